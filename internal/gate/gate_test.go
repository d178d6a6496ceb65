package gate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"coze-token/broker"
	"coze-token/coze"
	"coze-token/internal/auth"
	"coze-token/internal/cors"
	"coze-token/internal/gate"
	"coze-token/internal/ratelimit"
)

// What a caller sees over HTTP is the contract suite's subject. Here is what that suite cannot bring about.

type sourceFunc func(context.Context, coze.TokenRequest) (coze.Token, error)

func (f sourceFunc) Get(ctx context.Context, g coze.TokenRequest, want broker.GetOptions) (broker.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, want.Wait)
	defer cancel()
	token, err := f(ctx, g)
	return broker.Result{Token: token}, err
}

func ask(t *testing.T, o gate.Options, r *http.Request) (status int, body map[string]any, log string) {
	t.Helper()
	var b bytes.Buffer
	o.Log = slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if o.Apps == nil {
		o.Apps = map[string]gate.App{"": {}}
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
	status, body, log := ask(t, gate.Options{Source: sourceFunc(func(context.Context, coze.TokenRequest) (coze.Token, error) {
		panic("boom")
	})}, httptest.NewRequest("POST", "/", nil))
	if status != 500 || body["code"] != "internal_error" || body["request_id"] == "" {
		t.Errorf("status %d: %v", status, body)
	}
	if answer, _ := json.Marshal(body); strings.Contains(string(answer), "boom") {
		t.Errorf("the caller is told of the inside: %s", answer)
	}
	if !strings.Contains(log, "boom") || !strings.Contains(log, "gate_test.go") {
		t.Errorf("the log does not say where: %s", log)
	}
}

func TestErrorsOfOtherSources(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{errors.New("dial tcp 10.1.2.3:443: refused"), 500, "internal_error"},
		{&coze.Error{Kind: coze.InvalidRequest, Err: errors.New("10.1.2.3 is locked")}, 500, "misconfigured"},
		{&coze.Error{Kind: coze.Unavailable, Err: errors.New("dial tcp 10.1.2.3:443: refused")}, 502, "upstream_unavailable"},
	} {
		status, body, log := ask(t, gate.Options{Source: sourceFunc(func(context.Context, coze.TokenRequest) (coze.Token, error) {
			return coze.Token{}, c.err
		})}, httptest.NewRequest("POST", "/", nil))
		if status != c.status || body["code"] != c.code {
			t.Errorf("%v: status %d, %v", c.err, status, body)
		}
		if answer, _ := json.Marshal(body); strings.Contains(string(answer), "10.1.2.3") {
			t.Errorf("the caller is told of the network behind: %s", answer)
		}
		if !strings.Contains(log, "10.1.2.3") {
			t.Errorf("the log is not told: %s", log)
		}
	}
}

func TestTheSourceHasTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, _, _ = ask(t, gate.Options{Timeout: 7 * time.Second, Source: sourceFunc(func(ctx context.Context, _ coze.TokenRequest) (coze.Token, error) {
			<-ctx.Done()
			return coze.Token{}, &coze.Error{Kind: coze.Timeout, Err: ctx.Err()}
		})}, httptest.NewRequest("POST", "/", nil).WithContext(t.Context()))
		if took := time.Since(began); took != 7*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestATokenThatHasJustExpiredHasNoTimeLeft(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	_, body, _ := ask(t, gate.Options{Now: func() time.Time { return now }, Source: sourceFunc(func(context.Context, coze.TokenRequest) (coze.Token, error) {
		return coze.Token{AccessToken: "czs_x", Expiry: now.Add(-time.Minute), Type: "Bearer"}, nil
	})}, httptest.NewRequest("POST", "/", nil))
	if body["ttl"] != 0.0 {
		t.Errorf("ttl %v", body["ttl"])
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestABodyThatBreaksOff(t *testing.T) {
	status, body, _ := ask(t, gate.Options{}, httptest.NewRequest("POST", "/", broken{}))
	if status != 400 || body["code"] != "invalid_body" {
		t.Errorf("status %d: %v", status, body)
	}
}

func TestLogsHoldNoSessionAndNoQuery(t *testing.T) {
	r := httptest.NewRequest("POST", "/?authorization=Bearer+czs_query", nil)
	r.Header.Set("X-User-ID", "alice@example.com")
	_, _, log := ask(t, gate.Options{Source: sourceFunc(func(context.Context, coze.TokenRequest) (coze.Token, error) {
		return coze.Token{AccessToken: "czs_answer", Expiry: time.Now().Add(time.Minute), Type: "Bearer"}, nil
	})}, r)
	for _, secret := range []string{"alice", "czs_query", "czs_answer"} {
		if strings.Contains(log, secret) {
			t.Errorf("%s is in %s", secret, log)
		}
	}
	if !strings.Contains(log, "session_hash") {
		t.Errorf("nothing tells the sessions apart: %s", log)
	}
}

// granted is a source that has a token for everybody.
var granted = sourceFunc(func(context.Context, coze.TokenRequest) (coze.Token, error) {
	return coze.Token{AccessToken: "czs_x", Expiry: time.Now().Add(time.Minute), Type: "Bearer"}, nil
})

func TestRecordsBoundWhatCallersChoose(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for name, r := range map[string]*http.Request{
		"method": httptest.NewRequest(long, "/", nil),
		"path":   httptest.NewRequest("POST", "/"+long, nil),
		"origin": httptest.NewRequest("POST", "/", nil),
	} {
		if name == "origin" {
			r.Header["Origin"] = []string{long, long}
		}
		var log bytes.Buffer
		gate.New(gate.Options{
			Source: granted, Apps: map[string]gate.App{"": {}},
			Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		}).ServeHTTP(httptest.NewRecorder(), r)
		if !strings.Contains(log.String(), `"`+name+`"`) || log.Len() > 600 {
			t.Errorf("%s: the record has %d bytes: %.700s", name, log.Len(), log.String())
		}
	}
}

// Prefix and name are hashed with their lengths, so that two services that share an app and a secret never meet.
func TestPrefixAndNameDoNotRunTogether(t *testing.T) {
	name := func(prefix, user string) (session string) {
		source := sourceFunc(func(ctx context.Context, g coze.TokenRequest) (coze.Token, error) {
			session = g.Session
			return granted(ctx, g)
		})
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("X-User-ID", user)
		ask(t, gate.Options{Source: source, Apps: map[string]gate.App{"": {Sessions: gate.Sessions{Prefix: prefix, Secret: []byte("secret")}}}}, r)
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

// Replicas and the Worker's instances count addresses together: there, too, a backend pays for nothing that others do.
func TestAKnownKeyIsNotCountedByAddress(t *testing.T) {
	key := auth.NewKey()
	keys, err := auth.ParseKeys("backend=" + key)
	if err != nil {
		t.Fatal(err)
	}
	callers := auth.New(auth.Config{Keys: keys}, auth.Options{})
	counted := 0
	addresses := ratelimit.New(ratelimit.Options{Name: "address", Shared: counterFunc(func(string) ratelimit.Decision {
		counted++
		return ratelimit.Decision{RetryAfter: time.Second}
	})})
	o := gate.Options{
		Source: granted,
		Apps:   map[string]gate.App{"": {Callers: callers}},
		Limits: gate.Limits{Addresses: addresses, AddressRate: ratelimit.Rate{Requests: 1, Per: time.Minute}},
	}
	post := func(key string) int {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("Authorization", "Bearer "+key)
		status, _, _ := ask(t, o, r)
		return status
	}
	if status := post(key); status != 200 || counted != 0 {
		t.Errorf("a known key: status %d, counted %d times", status, counted)
	}
	if status := post(auth.NewKey()); status != 429 || counted != 1 {
		t.Errorf("an unknown key: status %d, counted %d times", status, counted)
	}
}

// What stands around a gate sees the request as it came, although the cookie of a page below a wildcard is not heeded.
func TestTheRequestIsLeftAsItWas(t *testing.T) {
	origins, _, err := cors.Parse("https://*.example.com")
	if err != nil {
		t.Fatal(err)
	}
	policy := &cors.Policy{Origins: origins, Methods: []string{"POST"}}
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Origin", "https://one.example.com")
	r.Header.Set("Cookie", "mine=1")
	r.Header.Set("Sec-Fetch-Site", "same-site")
	before := r.Header.Clone()
	ask(t, gate.Options{Source: granted, Apps: map[string]gate.App{"": {Origins: policy}}}, r)
	if !maps.EqualFunc(r.Header, before, slices.Equal) {
		t.Errorf("%v has become %v", before, r.Header)
	}
}

func FuzzSession(f *testing.F) {
	for _, s := range []string{"", "user-1", "用户🙂", strings.Repeat("x", 257), "a\tb", "a\x7fb", "a\u0085b", "a\xffb", "a, b", "a,b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, session string) {
		var asked *coze.TokenRequest
		h := gate.New(gate.Options{Log: slog.New(slog.DiscardHandler), Apps: map[string]gate.App{"": {}}, Source: sourceFunc(func(_ context.Context, g coze.TokenRequest) (coze.Token, error) {
			asked = &g
			return coze.Token{AccessToken: "x", Expiry: time.Now().Add(time.Minute), Type: "Bearer"}, nil
		})})
		r := httptest.NewRequest("POST", "/", nil)
		r.Header["X-User-Id"] = []string{session}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 200 && w.Code != 400 || (w.Code == 200) != (asked != nil) {
			t.Fatalf("status %d, asked %v", w.Code, asked)
		}
		if asked == nil {
			return
		}
		if asked.Session != session || session == "" || len(session) > 256 || !utf8.ValidString(session) || strings.ContainsFunc(session, unicode.IsControl) ||
			strings.ContainsRune(session, utf8.RuneError) || strings.Contains(session, ", ") {
			t.Errorf("%q was asked for as %q", session, asked.Session)
		}
	})
}
