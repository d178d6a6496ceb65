//go:build unix

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"coze-token/coze"
	"coze-token/internal/auth"
	"coze-token/internal/redistest"
	"coze-token/sandbox"
)

// A fleet is several replicas with TLS behind nginx, with two apps and all that they need: Coze,
// Redis with Sentinel, a provider of logins. It asks them for tokens and judges each answer.
type fleet struct {
	t       *testing.T
	dir     string // files of settings and of nginx
	coze    *sandbox.Sandbox
	server  *httptest.Server  // Coze's
	clients map[string]string // :: path of an app → its client id
	redis   *redistest.Sentinels
	environ []string

	key, added, nobodys string // API keys: of a backend, of one that is added, of nobody
	logins              *httptest.Server
	signer              jose.Signer

	front  string // nginx
	proxy  *http.Client
	direct *http.Client // of a replica, with a new connection for each request
	roots  *x509.CertPool

	replicas, all []*replica  // those that run, and all that were started
	down          atomic.Bool // Coze
	good, failed  atomic.Int64
	stop          context.CancelFunc
	callers       sync.WaitGroup

	mu       sync.Mutex
	counted  map[string]map[string]int // :: replica's host → what was answered → how often
	visitors map[string]bool           // the sessions of visitors
	problems int
}

// A replica is a child, and what its metrics were when it had given its first token.
type replica struct {
	*child
	host  string
	start map[string]float64 // what is bounded in the end
}

// A question is a request and the answer that it deserves: its status and code.
type question struct {
	path    string
	header  http.Header
	session string // whom the token is for. Empty: the visitor of the ticket
	want    string
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func newFleet(t *testing.T) *fleet {
	f := &fleet{
		t: t, dir: shortDir(t), redis: redistest.StartSentinel(t), roots: x509.NewCertPool(),
		key: auth.NewKey(), added: auth.NewKey(), nobodys: auth.NewKey(),
		proxy:   &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 20}, Timeout: time.Minute},
		counted: map[string]map[string]int{}, visitors: map[string]bool{},
	}
	f.direct = &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: f.roots}, DisableKeepAlives: true,
	}}
	t.Cleanup(f.proxy.CloseIdleConnections)
	var err error
	if f.coze, err = sandbox.New(sandbox.Options{Key: scriptKey()}); err != nil {
		t.Fatal(err)
	}
	f.server = httptest.NewServer(f.coze)
	t.Cleanup(f.server.Close)
	settings := f.coze.Settings(f.server.URL)
	const kid = "aAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaA1"
	shop, err := f.coze.Register(sandbox.Registration{Keys: []coze.Key{{ID: kid, Signer: scriptKey()}}})
	if err != nil {
		t.Fatal(err)
	}
	f.clients = map[string]string{"/": settings["CLIENT_ID"], "/shop": shop.ClientID}
	apps, err := json.Marshal(map[string]any{"shop": map[string]string{
		"client_id": shop.ClientID, "kid": kid, "private_key": settings["PRIVATE_KEY"],
	}})
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key},
		(&jose.SignerOptions{}).WithHeader("kid", "1"))
	if err != nil {
		t.Fatal(err)
	}
	f.logins = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Use: "sig"}}})
	}))
	t.Cleanup(f.logins.Close)
	f.renew(1)
	f.writeKeys("", "backend="+f.key)
	for name, value := range settings {
		f.environ = append(f.environ, name+"="+value)
	}
	f.environ = append(f.environ, "LISTEN=127.0.0.1:0", "METRICS_LISTEN=127.0.0.1:0", "APPS="+string(apps),
		"TLS_CERT_FILE="+filepath.Join(f.dir, "cert.pem"), "TLS_KEY_FILE="+filepath.Join(f.dir, "key.pem"),
		"API_KEYS_FILE="+filepath.Join(f.dir, "api_keys"), "VISITOR_SECRET="+auth.NewKey(),
		"JWT_ISSUER="+f.logins.URL, "JWKS_URL="+f.logins.URL, "JWT_AUDIENCE=web",
		"REDIS_URL="+f.redis.URL, "TRUSTED_PROXIES=127.0.0.1", "RATE_LIMIT=100000", "DRAIN_DELAY=15",
		"TOKEN_DURATION=60", "UPSTREAM_TIMEOUT=30")
	return f
}

// start starts a replica, which nginx does not know yet.
func (f *fleet) start() {
	f.t.Helper()
	r := &replica{child: startChild(f.t, f.environ...), start: map[string]float64{}}
	r.host = strings.TrimPrefix(r.url, "https://")
	f.replicas, f.all = append(f.replicas, r), append(f.all, r)
	f.ask(f.direct, r.url, f.byKey("/", "user-0"))
	for name := range bounds {
		r.start[name] = f.gauge(r, name)
	}
}

func (f *fleet) remove(r *replica) {
	f.replicas = slices.DeleteFunc(f.replicas, func(other *replica) bool { return other == r })
}

// nextUpstream is what docs/deploy.md says for several replicas.
const nextUpstream = "proxy_next_upstream error timeout non_idempotent;\nproxy_next_upstream_tries 2;"

func (f *fleet) startNginx(nginx string) {
	f.t.Helper()
	if !strings.Contains(readFile(f.t, "../../docs/deploy.md"), nextUpstream) {
		f.t.Errorf("docs/deploy.md has no %s", nextUpstream)
	}
	f.writeUpstream()
	address := freeAddress(f.t)
	startNginx(f.t, nginx, f.dir, "tcp", address, `
	include upstream.conf;
	server {
		listen `+address+`;
		location / {
			proxy_pass https://replicas;
			`+nextUpstream+`
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $host;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
			proxy_read_timeout 75s;
			add_header X-Replica $upstream_addr always;
		}
	}
`)
	f.front = "http://" + address
}

func (f *fleet) writeUpstream() {
	f.t.Helper()
	text := "upstream replicas {\n"
	for _, r := range f.replicas {
		text += "server " + r.host + ";\n"
	}
	if err := os.WriteFile(filepath.Join(f.dir, "upstream.conf"), []byte(text+"keepalive 8;\n}\n"), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// route tells nginx which replicas there are.
func (f *fleet) route() {
	f.t.Helper()
	f.writeUpstream()
	pid, err := strconv.Atoi(strings.TrimSpace(readFile(f.t, filepath.Join(f.dir, "pid"))))
	if err != nil {
		f.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		f.t.Fatal(err)
	}
}

// faults sets what Coze does wrong.
func (f *fleet) faults(faults ...string) {
	if err := f.coze.Fail(faults...); err != nil {
		f.t.Fatal(err)
	}
}

// begin has callers ask nginx until end.
func (f *fleet) begin() {
	var ctx context.Context
	ctx, f.stop = context.WithCancel(f.t.Context())
	for caller := range 8 {
		f.callers.Go(func() {
			tickets, sessions := map[string]string{}, map[string]string{} // :: app → the caller's as a visitor
			for n := 0; ctx.Err() == nil; n++ {
				q := f.question(caller, n, tickets)
				got := f.ask(f.proxy, f.front, q)
				if got.ticket != "" {
					tickets[q.path], sessions[q.path] = got.ticket, ""
				}
				if visitor := q.header.Get(auth.TicketHeader) != ""; visitor && got.session != "" {
					f.visited(sessions[q.path], got.session)
					sessions[q.path] = got.session
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	f.t.Cleanup(f.end)
}

func (f *fleet) end() {
	f.stop()
	f.callers.Wait()
}

// question is a caller's n-th.
func (f *fleet) question(caller, n int, tickets map[string]string) question {
	path := []string{"/", "/shop"}[n/8%2]
	user := fmt.Sprint("user-", (caller+n)%20)
	if n%9 == 0 {
		user = fmt.Sprint("user-", caller, "-", n) // whose token nobody has
	}
	switch n % 8 {
	case 0, 1, 2:
		return f.byKey(path, user)
	case 3, 4:
		return question{path, header("Authorization", "Bearer "+f.login(user)), user, "200"}
	case 5, 6:
		ticket := tickets[path]
		if ticket == "" || n%9 == 0 {
			ticket = "new"
		}
		return question{path, header(auth.TicketHeader, ticket), "", "200"}
	}
	login := "Bearer " + f.login(user)
	wrong := []question{
		{path, header("X-API-Key", f.nobodys, "X-User-ID", user), "", "401 unauthenticated"},
		{path, header("Authorization", login[:len(login)-20]+strings.Repeat("A", 20)), "", "401 unauthenticated"},
		{path, header("Authorization", login, "X-User-ID", "user-of-another"), "", "403 forbidden"},
		{path, header("X-API-Key", f.key, "X-User-ID", "a, b"), "", "400 invalid_session"},
		{"/nothing", header("X-API-Key", f.key, "X-User-ID", user), "", "404 not_found"},
	}
	return wrong[n/8%len(wrong)]
}

func (f *fleet) byKey(path, user string) question {
	return question{path, header("Authorization", "Bearer "+f.key, "X-User-ID", user), user, "200"}
}

// login is a token of the user's login.
func (f *fleet) login(user string) string {
	now := time.Now().Unix()
	claims, _ := json.Marshal(map[string]any{"iss": f.logins.URL, "aud": "web", "sub": user, "iat": now, "exp": now + 600})
	token, err := f.signer.Sign(claims)
	if err != nil {
		panic(err)
	}
	text, err := token.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return text
}

// A reply is what an answer had.
type reply struct{ token, session, ticket string }

// ask asks once. An answer that the question does not deserve fails the test.
func (f *fleet) ask(client *http.Client, url string, q question) (got reply) {
	down := f.down.Load()
	r, err := http.NewRequest("POST", url+q.path, nil)
	if err != nil {
		panic(err)
	}
	r.Header = q.header
	// It is not sent. It lets the client send the request again if the connection was closed before:
	// nginx closes idle ones when it reads its configuration again.
	r.Header["Idempotency-Key"] = nil
	response, err := client.Do(r)
	if err != nil {
		f.problem("%v", err)
		return got
	}
	defer response.Body.Close()
	var body struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
		TTL         int64
		Code        string
	}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		f.problem("status %d of %q: %v", response.StatusCode, response.Header["X-Replica"], err)
		return got
	}
	host := r.URL.Host
	if client == f.proxy { // nginx lists the replicas that it asked; the last one answered
		hosts := response.Header.Get("X-Replica")
		host = hosts[strings.LastIndexByte(hosts, ' ')+1:]
	}
	answer := strings.TrimSpace(fmt.Sprint(response.StatusCode, " ", body.Code))
	f.count(host, q.path, answer)
	switch {
	case answer == q.want:
	case q.want == "200" && (down || f.down.Load()) &&
		slices.Contains([]string{"502 upstream_unavailable", "503 upstream_busy", "504 upstream_timeout"}, answer):
		f.failed.Add(1)
	default:
		f.problem("%s for %v at %s: %s, not %s", q.path, q.session, host, answer, q.want)
	}
	got.ticket = response.Header.Get(auth.TicketHeader)
	if response.StatusCode != http.StatusOK {
		return got
	}
	f.good.Add(1)
	issue, ok := f.coze.Issued(body.AccessToken)
	if visitor := q.session == ""; !ok || issue.ClientID != f.clients[q.path] || !visitor && issue.Session != q.session ||
		visitor && !strings.HasPrefix(issue.Session, auth.VisitorPrefix) {
		f.problem("%s for %q got a token of %q (%s), issued: %v", q.path, q.session, issue.Session, issue.ClientID, ok)
	}
	if issue.Expiry.Unix() != body.ExpiresIn || body.TTL < 1 {
		f.problem("a token that ends at %v has expires_in %d and ttl %d", issue.Expiry, body.ExpiresIn, body.TTL)
	}
	got.token, got.session = body.AccessToken, issue.Session
	return got
}

// problem reports the first few. What comes after the test's end comes of it.
func (f *fleet) problem(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.problems++; f.problems <= 20 && f.t.Context().Err() == nil {
		f.t.Errorf(format, args...)
	}
}

// count counts an answer as metrics do, which leave unknown paths out.
func (f *fleet) count(host, path, answer string) {
	if strings.HasPrefix(answer, "404") {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counted[host] == nil {
		f.counted[host] = map[string]int{}
	}
	f.counted[host][path+" "+answer]++
}

// visited checks that a visitor has one session, and has it alone. before is empty for a new one.
func (f *fleet) visited(before, session string) {
	f.mu.Lock()
	known := f.visitors[session]
	f.visitors[session] = true
	f.mu.Unlock()
	if before != "" && before != session || before == "" && known {
		f.problem("a visitor had the session %q, and now %q; known before: %v", before, session, known)
	}
}

// answered waits for so many further tokens.
func (f *fleet) answered(n int64) {
	f.t.Helper()
	before := f.good.Load()
	redistest.Until(f.t, "there are answers", func() bool { return f.good.Load() >= before+n })
}

// share reports whether one replica hands out what the other exchanged.
func (f *fleet) share(a, b *replica) bool {
	q := f.byKey("/", "shared-"+rand.Text())
	first := f.ask(f.direct, a.url, q)
	return first.token != "" && first == f.ask(f.direct, b.url, q)
}

func (f *fleet) ready(r *replica) (status int) {
	response, err := f.direct.Get(r.url + "/readyz")
	if err != nil {
		f.t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// serial is that of the certificate that a replica serves.
func (f *fleet) serial(r *replica) int64 {
	response, err := f.direct.Get(r.url + "/healthz")
	if err != nil {
		f.t.Fatal(err)
	}
	response.Body.Close()
	return response.TLS.PeerCertificates[0].SerialNumber.Int64()
}

var requestsTotal = regexp.MustCompile(
	`(?m)^coze_token_requests_total\{app="([^"]*)",way="[^"]*",status="(\d+)",code="([^"]*)",cache="[^"]*"\} (\d+)$`)

// scrape is what a replica has counted, in the form of fleet.counted.
func (f *fleet) scrape(r *replica) map[string]int {
	f.t.Helper()
	counted := map[string]int{}
	_, text := get(f.t, r.metrics())
	for _, m := range requestsTotal.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(m[4])
		counted[strings.TrimSpace(m[1]+" "+m[2]+" "+m[3])] += n
	}
	return counted
}

// gauge is one of a replica's metrics.
func (f *fleet) gauge(r *replica, name string) float64 {
	f.t.Helper()
	_, text := get(f.t, r.metrics())
	return sample(f.t, text, name)
}
