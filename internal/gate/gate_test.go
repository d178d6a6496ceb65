package gate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"coze-token/broker"
	"coze-token/coze"
	"coze-token/internal/auth"
	"coze-token/internal/clientip"
	"coze-token/internal/cors"
	"coze-token/internal/fault"
	"coze-token/internal/gate"
	"coze-token/internal/ratelimit"
)

// Package contract tests what a caller sees over HTTP. The tests here are of what it cannot bring
// about.

type sourceFunc func(context.Context, coze.TokenRequest) (coze.Token, error)

func (f sourceFunc) Get(
	ctx context.Context, request coze.TokenRequest, o broker.GetOptions,
) (broker.Result, error) {
	if o.Wait > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, o.Wait)
		defer cancel()
	}
	token, err := f(ctx, request)
	return broker.Result{Token: token}, err
}

// A gate that drains says so at /readyz alone.
func TestDraining(t *testing.T) {
	o := gate.Options{Source: granted, Apps: oneApp(gate.App{}), Draining: func() bool { return true }}
	for path, want := range map[string]int{"/readyz": 503, "/healthz": 200} {
		if status, body, _ := ask(t, o, httptest.NewRequest("GET", path, nil)); status != want {
			t.Errorf("%s: %d, %v", path, status, body)
		}
	}
	if status, body, _ := ask(t, o, post("/", nil)); status != 200 {
		t.Errorf("/: %d, %v", status, body)
	}
}

// newTokens is a source that remembers nothing.
type newTokens struct{}

func (newTokens) Get(ctx context.Context, r coze.TokenRequest, o broker.GetOptions) (broker.Result, error) {
	if o.Admit != nil && !o.Admit() {
		return broker.Result{}, &coze.Error{Kind: coze.Busy, Err: broker.ErrNotAdmitted}
	}
	token, err := granted(ctx, r)
	return broker.Result{Token: token}, err
}

// The addresses of a network begin four times as many exchanges as one, which begins half as many
// as it may send requests.
func TestExchangesOfANetwork(t *testing.T) {
	rate, err := ratelimit.ParseRate("100")
	if err != nil {
		t.Fatal(err)
	}
	g := gate.New(gate.Options{Source: newTokens{}, Apps: oneApp(gate.App{}), Log: debugLog(io.Discard),
		Limits: gate.Limits{
			AddressRate: rate, Addresses: ratelimit.New(ratelimit.Options{}), Exchanges: ratelimit.New(ratelimit.Options{}),
		}})
	got := func(address string) (tokens int) {
		for range 60 {
			r := post("/", nil)
			r.RemoteAddr = address
			w := httptest.NewRecorder()
			g.ServeHTTP(w, r)
			if w.Code == http.StatusOK {
				tokens++
			} else if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
				t.Fatalf("%d: %s", w.Code, w.Body)
			}
		}
		return tokens
	}
	all := 0
	for i := range 8 {
		n := got(fmt.Sprintf("[2001:db8:0:%d::1]:1", i))
		if i == 0 && (n < 50 || n > 51) {
			t.Errorf("one address began %d exchanges", n)
		}
		all += n
	}
	if all < 200 || all > 204 {
		t.Errorf("the network began %d exchanges", all)
	}
	if n := got("[2001:db8:1::1]:1"); n < 50 {
		t.Errorf("%d are left to an address elsewhere", n)
	}
}

// A page whose name is pointed at this machine gets no token from an open service.
func TestRebinding(t *testing.T) {
	loopback := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8787}
	trusted, err := clientip.ParseProxies("127.0.0.1", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, host string
		local      net.Addr
		private    bool
		proxies    *clientip.Proxies
		want       int
	}{
		{"a name", "evil.example:8787", loopback, false, nil, 421},
		{"a name with a dot", "evil.example.", loopback, false, nil, 421},
		{"a name like localhost", "localhost.evil.example", loopback, false, nil, 421},
		{"a name, over IPv6", "evil.example", &net.TCPAddr{IP: net.IPv6loopback}, false, nil, 421},
		{"localhost", "localhost:8787", loopback, false, nil, 200},
		{"below localhost", "app.LOCALHOST", loopback, false, nil, 200},
		{"an address", "127.0.0.1:8787", loopback, false, nil, 200},
		{"an IPv6 address", "[::1]:8787", loopback, false, nil, 200},
		{"callers prove who they are", "token.example", loopback, true, nil, 200},
		{"a trusted proxy", "token.example", loopback, false, trusted, 200},
		{"another interface", "token.example", &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}, false, nil, 200},
		{"no listener", "token.example", nil, false, nil, 200},
	} {
		r := post("/", nil)
		r.Host, r.RemoteAddr = c.host, "127.0.0.1:1"
		if c.local != nil {
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, c.local))
		}
		o := gate.Options{Source: granted, Apps: oneApp(gate.App{Private: c.private}), Limits: gate.Limits{Proxies: c.proxies}}
		if status, body, _ := ask(t, o, r); status != c.want || status == 421 && body["code"] != "misdirected" {
			t.Errorf("%s: %d, %v", c.name, status, body)
		}
	}
}

// Refusals before all limits are sampled: nobody fills a disk with them for nothing.
func TestRefusalsAreSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		g := gate.New(gate.Options{Source: granted, Apps: oneApp(gate.App{}), Log: debugLog(&log)})
		for range 1000 {
			g.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("PUT", "/", nil))
		}
		if n := strings.Count(log.String(), "\n"); n != 60 {
			t.Errorf("%d records of 1000 refusals", n)
		}
		g.ServeHTTP(httptest.NewRecorder(), post("/", nil)) // all others are recorded
		time.Sleep(time.Second)
		g.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("PUT", "/", nil))
		if n := strings.Count(log.String(), "\n"); n != 62 || !strings.Contains(log.String(), `"skipped":940`) {
			t.Errorf("%d records, and not how many were skipped", n)
		}
	})
}

// Where anybody can name a user, the requests of one address do not use up the user's rate elsewhere.
func TestOpenSessionsCountByAddress(t *testing.T) {
	rate, err := ratelimit.ParseRate("2")
	if err != nil {
		t.Fatal(err)
	}
	g := gate.New(gate.Options{Source: granted, Apps: oneApp(gate.App{SessionRate: rate}), Log: debugLog(io.Discard),
		Limits: gate.Limits{Sessions: ratelimit.New(ratelimit.Options{})}})
	for _, c := range []struct {
		address string
		want    int
	}{{"192.0.2.1:1", 200}, {"192.0.2.1:1", 200}, {"192.0.2.1:1", 429}, {"192.0.2.9:1", 200},
		{"[2001:db8::1]:1", 200}, {"[2001:db8::2]:1", 200}, {"[2001:db8::3]:1", 429}} {
		r := post("/", nil)
		r.RemoteAddr = c.address
		r.Header.Set("X-User-ID", "alice")
		w := httptest.NewRecorder()
		if g.ServeHTTP(w, r); w.Code != c.want {
			t.Errorf("%s: %d", c.address, w.Code)
		}
	}
}

// granted has a token for everybody.
var granted = sourceFunc(func(context.Context, coze.TokenRequest) (coze.Token, error) {
	return coze.Token{AccessToken: "czs_answer", Expiry: time.Now().Add(time.Minute), Type: "Bearer"}, nil
})

// failing has no token.
func failing(err error) sourceFunc {
	return func(context.Context, coze.TokenRequest) (coze.Token, error) { return coze.Token{}, err }
}

// anybody lets in callers without a credential.
var anybody = auth.New(auth.Config{}, auth.Options{})

// oneApp is an app at /, for anybody if it names no callers.
func oneApp(app gate.App) map[string]gate.App {
	if app.Callers == nil {
		app.Callers = anybody
	}
	return map[string]gate.App{"": app}
}

func post(target string, body io.Reader) *http.Request {
	return httptest.NewRequest("POST", target, body)
}

func debugLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// ask sends one request to a gate. Without apps, it has one for anybody.
func ask(t *testing.T, o gate.Options, r *http.Request) (status int, body map[string]any, log string) {
	t.Helper()
	var b bytes.Buffer
	o.Log = debugLog(&b)
	if o.Apps == nil {
		o.Apps = oneApp(gate.App{})
	}
	w := httptest.NewRecorder()
	gate.New(o).ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if id := w.Header().Get("X-Request-ID"); id == "" || !strings.Contains(b.String(), id) {
		t.Errorf("the request id %q is not in the log: %s", id, b.String())
	}
	return w.Code, body, b.String()
}

func TestAPanicIsAnAnswer(t *testing.T) {
	panics := sourceFunc(func(context.Context, coze.TokenRequest) (coze.Token, error) { panic("boom") })
	status, body, log := ask(t, gate.Options{Source: panics}, post("/", nil))
	if status != 500 || body["code"] != "internal_error" || body["request_id"] == "" {
		t.Errorf("status %d: %v", status, body)
	}
	if answer, _ := json.Marshal(body); strings.Contains(string(answer), "boom") {
		t.Errorf("the caller learns the cause: %s", answer)
	}
	if !strings.Contains(log, "boom") || !strings.Contains(log, "gate_test.go") {
		t.Errorf("the log does not say where: %s", log)
	}
}

func TestCausesAreForTheLogAlone(t *testing.T) {
	refused := errors.New("dial tcp 10.1.2.3:443: refused")
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{refused, 500, "internal_error"},
		{&coze.Error{Kind: coze.InvalidRequest, Err: errors.New("10.1.2.3 is locked")}, 500, "misconfigured"},
		{&coze.Error{Kind: coze.Unavailable, Err: refused}, 502, "upstream_unavailable"},
	} {
		status, body, log := ask(t, gate.Options{Source: failing(c.err)}, post("/", nil))
		if status != c.status || body["code"] != c.code {
			t.Errorf("%v: status %d, %v", c.err, status, body)
		}
		if answer, _ := json.Marshal(body); strings.Contains(string(answer), "10.1.2.3") {
			t.Errorf("the caller learns about the network: %s", answer)
		}
		if !strings.Contains(log, "10.1.2.3") {
			t.Errorf("the log has no cause: %s", log)
		}
	}
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		silent := sourceFunc(func(ctx context.Context, _ coze.TokenRequest) (coze.Token, error) {
			<-ctx.Done()
			return coze.Token{}, &coze.Error{Kind: coze.Timeout, Err: ctx.Err()}
		})
		ask(t, gate.Options{Timeout: 7 * time.Second, Source: silent}, post("/", nil).WithContext(t.Context()))
		if took := time.Since(began); took != 7*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAnExpiredTokenHasNoTimeLeft(t *testing.T) {
	later := func() time.Time { return time.Now().Add(time.Hour) }
	_, body, _ := ask(t, gate.Options{Now: later, Source: granted}, post("/", nil))
	if body["ttl"] != 0.0 {
		t.Errorf("ttl %v", body["ttl"])
	}
}

// The answer with a token is what package json makes of it, whatever the texts are.
func TestTokensAreWrittenAsByPackageJSON(t *testing.T) {
	for _, text := range []string{"czs_a", "", `quoted "<&>" \ `, "用户\u2028\xff\n"} {
		token := coze.Token{AccessToken: text, Type: text, Expiry: time.Now().Add(90 * time.Second)}
		w := httptest.NewRecorder()
		gate.New(gate.Options{
			Apps: oneApp(gate.App{}), Log: slog.New(slog.DiscardHandler),
			Source: sourceFunc(func(context.Context, coze.TokenRequest) (coze.Token, error) { return token, nil }),
		}).ServeHTTP(w, post("/", nil))
		var want bytes.Buffer
		encoder := json.NewEncoder(&want)
		encoder.SetEscapeHTML(false)
		encoder.Encode(struct {
			AccessToken string `json:"access_token"`
			ExpiresIn   int64  `json:"expires_in"`
			TokenType   string `json:"token_type"`
			Token       string `json:"token"`
			TTL         int64  `json:"ttl"`
		}{text, token.Expiry.Unix(), text, text, 89})
		if got := w.Body.String(); got != want.String() || w.Header().Get("Content-Length") != strconv.Itoa(len(got)) {
			t.Errorf("%s is not %s", got, want.String())
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestABodyThatBreaksOff(t *testing.T) {
	status, body, _ := ask(t, gate.Options{}, post("/", broken{}))
	if status != 400 || body["code"] != "invalid_body" {
		t.Errorf("status %d: %v", status, body)
	}
}

func TestLogsHoldNoSessionAndNoQuery(t *testing.T) {
	r := post("/?authorization=Bearer+czs_query", nil)
	r.Header.Set("X-User-ID", "alice@example.com")
	_, _, log := ask(t, gate.Options{Source: granted}, r)
	for _, secret := range []string{"alice", "czs_query", "czs_answer"} {
		if strings.Contains(log, secret) {
			t.Errorf("%s is in %s", secret, log)
		}
	}
	if !strings.Contains(log, "session_hash") {
		t.Errorf("the record has no hash of the session: %s", log)
	}
}

func TestRecordsBoundWhatCallersChoose(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for name, r := range map[string]*http.Request{
		"method": httptest.NewRequest(long, "/", nil),
		"path":   post("/"+long, nil),
		"origin": post("/", nil),
	} {
		if name == "origin" {
			r.Header["Origin"] = []string{long, long}
		}
		_, _, log := ask(t, gate.Options{Source: granted}, r)
		if !strings.Contains(log, `"`+name+`"`) || len(log) > 600 {
			t.Errorf("%s: the record has %d bytes: %.700s", name, len(log), log)
		}
	}
}

// Each hashed part has its length before it, so two services that share an app and a secret never
// share a session.
func TestPrefixAndNameAreHashedApart(t *testing.T) {
	name := func(prefix, user string) (session string) {
		source := sourceFunc(func(ctx context.Context, request coze.TokenRequest) (coze.Token, error) {
			session = request.Session
			return granted(ctx, request)
		})
		r := post("/", nil)
		r.Header.Set("X-User-ID", user)
		app := gate.App{Sessions: gate.Sessions{Prefix: prefix, Secret: []byte("secret")}}
		ask(t, gate.Options{Source: source, Apps: oneApp(app)}, r)
		return session
	}
	if a, b := name("shop-1", "23"), name("shop-12", "3"); a == "" || a == b {
		t.Errorf("two users are one session, %q", a)
	}
}

type counterFunc func(key string) ratelimit.Decision

func (f counterFunc) Allow(_ context.Context, key string, _ ratelimit.Rate) (ratelimit.Decision, error) {
	return f(key), nil
}

// A shared counter counts an address in all processes. Others at the address of a backend cannot
// keep the backend out there either.
func TestAKnownKeyIsNotCountedByAddress(t *testing.T) {
	key := auth.NewKey()
	keys, err := auth.ParseKeys("backend=" + key)
	if err != nil {
		t.Fatal(err)
	}
	counted := 0
	addresses := ratelimit.New(ratelimit.Options{Name: "address", Shared: counterFunc(func(string) ratelimit.Decision {
		counted++
		return ratelimit.Decision{RetryAfter: time.Second}
	})})
	o := gate.Options{
		Source: granted,
		Apps:   oneApp(gate.App{Callers: auth.New(auth.Config{Keys: keys}, auth.Options{})}),
		Limits: gate.Limits{Addresses: addresses, AddressRate: ratelimit.Rate{Requests: 1, Per: time.Minute}},
	}
	status := func(key string) int {
		r := post("/", nil)
		r.Header.Set("Authorization", "Bearer "+key)
		status, _, _ := ask(t, o, r)
		return status
	}
	if status := status(key); status != 200 || counted != 0 {
		t.Errorf("a known key: status %d, counted %d times", status, counted)
	}
	if status := status(auth.NewKey()); status != 429 || counted != 1 {
		t.Errorf("an unknown key: status %d, counted %d times", status, counted)
	}
}

// A handler around the gate sees the request as it came, although the gate ignores the cookie of a
// page below a wildcard.
func TestTheRequestStaysAsItWas(t *testing.T) {
	origins, _, err := cors.Parse("https://*.example.com")
	if err != nil {
		t.Fatal(err)
	}
	r := post("/", nil)
	r.Header.Set("Origin", "https://one.example.com")
	r.Header.Set("Cookie", "mine=1")
	r.Header.Set("Sec-Fetch-Site", "same-site")
	before := r.Header.Clone()
	policy := &cors.Policy{Origins: origins, Methods: []string{"POST"}}
	ask(t, gate.Options{Source: granted, Apps: oneApp(gate.App{Origins: policy})}, r)
	if !maps.EqualFunc(r.Header, before, slices.Equal) {
		t.Errorf("%v has become %v", before, r.Header)
	}
}

func TestMisconfigured(t *testing.T) {
	faults := fault.List{fault.New("is not set", "set it to the key's fingerprint").Of("KID")}
	for _, c := range []struct {
		method, path string
		status       int
		code, level  string
	}{
		{"POST", "/", 500, "misconfigured", "WARN"},
		{"POST", "/shop", 500, "misconfigured", "WARN"},
		{"GET", "/readyz", 500, "misconfigured", "WARN"},
		{"HEAD", "/readyz", 500, "misconfigured", "WARN"},
		{"POST", "/readyz", 405, "method_not_allowed", "DEBUG"},
		{"GET", "/", 405, "method_not_allowed", "INFO"},
		{"OPTIONS", "/", 405, "method_not_allowed", "INFO"},
		{"GET", "/shop", 404, "not_found", "DEBUG"},
		{"OPTIONS", "/shop", 404, "not_found", "DEBUG"},
		{"POST", "/%68ealthz", 404, "not_found", "DEBUG"},
		{"GET", "/healthz", 200, "", "DEBUG"},
	} {
		var log bytes.Buffer
		w := httptest.NewRecorder()
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Header.Set("Origin", "https://www.example.com")
		r.Header.Set("Access-Control-Request-Method", "POST")
		gate.Misconfigured(faults, "set them", debugLog(&log)).ServeHTTP(w, r)
		var body struct{ Error, Code, Hint string }
		json.Unmarshal(w.Body.Bytes(), &body)
		if w.Code != c.status || body.Code != c.code || !strings.Contains(log.String(), `"level":"`+c.level+`"`) {
			t.Errorf("%s %s: status %d, %s, log %s", c.method, c.path, w.Code, w.Body, &log)
		}
		if c.code != "misconfigured" {
			continue
		}
		if body.Error != "settings are missing or wrong: KID" || body.Hint != "set them" {
			t.Errorf("%s %s: the caller learns %s", c.method, c.path, w.Body)
		}
		if !strings.Contains(log.String(), "fingerprint") {
			t.Errorf("%s %s: the log does not say what to do: %s", c.method, c.path, &log)
		}
	}
}

func FuzzSession(f *testing.F) {
	for _, s := range []string{
		"", "user-1", "用户🙂", strings.Repeat("x", 257), "a\tb", "a\x7fb", "a\u0085b", "a\xffb", "a, b", "a,b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, session string) {
		var asked *coze.TokenRequest
		source := sourceFunc(func(ctx context.Context, request coze.TokenRequest) (coze.Token, error) {
			asked = &request
			return granted(ctx, request)
		})
		r := post("/", nil)
		r.Header["X-User-Id"] = []string{session}
		w := httptest.NewRecorder()
		o := gate.Options{Source: source, Apps: oneApp(gate.App{}), Log: slog.New(slog.DiscardHandler)}
		gate.New(o).ServeHTTP(w, r)
		if w.Code != 200 && w.Code != 400 || (w.Code == 200) != (asked != nil) {
			t.Fatalf("status %d, asked %v", w.Code, asked)
		}
		if asked == nil {
			return
		}
		if asked.Session != session || session == "" || len(session) > 256 || !utf8.ValidString(session) ||
			strings.ContainsFunc(session, unicode.IsControl) || strings.ContainsRune(session, utf8.RuneError) ||
			strings.Contains(session, ", ") {
			t.Errorf("%q was asked for as %q", session, asked.Session)
		}
	})
}

// The author of a page sees only that CORS failed. The log says why, once a minute.
func TestRefusedPagesAreLogged(t *testing.T) {
	origins, _, err := cors.Parse("https://a.example")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	h := gate.New(gate.Options{
		Source: granted, Log: slog.New(slog.NewTextHandler(&log, nil)), Audit: slog.New(slog.DiscardHandler),
		Apps: map[string]gate.App{"": {
			Callers: auth.New(auth.Config{}, auth.Options{}),
			Origins: &cors.Policy{Origins: origins, Methods: []string{"POST"}, Headers: []string{"X-User-Id"}},
		}},
	})
	for range 3 {
		r := httptest.NewRequest("OPTIONS", "/", nil)
		r.Header.Set("Origin", "https://a.example")
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "traceparent,x-user-id,baggage")
		h.ServeHTTP(httptest.NewRecorder(), r)
		r = httptest.NewRequest("POST", "/", nil)
		r.Header.Set("Origin", "https://b.example")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	said := log.String()
	for _, want := range []string{"ALLOWED_HEADERS", `headers="traceparent, baggage"`, "origin=https://a.example",
		"ALLOWED_ORIGINS", "origin=https://b.example"} {
		if !strings.Contains(said, want) {
			t.Errorf("the log lacks %s: %s", want, said)
		}
	}
	if n := strings.Count(said, "\n"); n != 2 {
		t.Errorf("%d lines: %s", n, said)
	}
}
