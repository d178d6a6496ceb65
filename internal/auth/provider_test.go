package auth_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"coze-token/internal/auth"
	"coze-token/internal/message"
	"coze-token/internal/setting"
)

const issuer = "https://login.example"

// The keys of this test binary. Made once: RSA takes a while.
var (
	rsaKey   = must(rsa.GenerateKey(rand.Reader, 2048))
	rsaKey2  = must(rsa.GenerateKey(rand.Reader, 2048))
	ecKey    = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	ecKey384 = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	edKey    = ed25519.NewKeyFromSeed([]byte("the same in each fuzzing process")) // 32 bytes
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func must2(_ ed25519.PublicKey, v ed25519.PrivateKey, err error) ed25519.PrivateKey {
	return must(v, err)
}

// A provider is an OIDC provider, seen from its client: an http.RoundTripper. Its keys are written,
// and its tokens signed, by go-jose, which the verifier does not use.
type provider struct {
	issuer string

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	raw     []byte        // in place of keys
	endless *endless      // in place of keys
	header  http.Header   // of the keys
	delay   time.Duration // of each answer
	down    error
	status  int    // in place of 200
	said    string // the discovery document's issuer, in place of issuer
	uri     string // its jwks_uri
	panics  bool
	keysGot int // fetches of keys
	docsGot int // fetches of the discovery document
}

func newProvider(keys ...jose.JSONWebKey) *provider {
	return &provider{issuer: issuer, keys: keys, uri: issuer + "/keys", header: http.Header{}}
}

func public(kid string, key crypto.Signer) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key.Public(), KeyID: kid, Use: "sig"}
}

func (p *provider) set(f func(*provider)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

func (p *provider) got() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keysGot
}

func (p *provider) docs() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.docsGot
}

func (p *provider) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	delay, status, down := p.delay, p.status, p.down
	body, h := []byte(nil), http.Header{}
	switch url := r.URL.String(); {
	case p.panics:
		p.mu.Unlock()
		panic("boom")
	case strings.HasSuffix(url, "/.well-known/openid-configuration"):
		p.docsGot++
		said := p.said
		if said == "" {
			said = p.issuer
		}
		body = must(json.Marshal(map[string]any{"issuer": said, "jwks_uri": p.uri}))
	case url == p.uri:
		p.keysGot++
		h = p.header.Clone()
		body = p.raw
		if body == nil {
			body = must(json.Marshal(jose.JSONWebKeySet{Keys: p.keys}))
		}
	default:
		status = 404
	}
	content := io.Reader(bytes.NewReader(body))
	if p.endless != nil && r.URL.String() == p.uri {
		content = p.endless
	}
	p.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if down != nil {
		return nil, down
	}
	if status == 0 {
		status = 200
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(content), Request: r}, nil
}

// An endless answer goes on for as long as it is read; in a test, to 16 MiB.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	if e.read > 16<<20 {
		return 0, io.EOF
	}
	clear(p)
	e.read += len(p)
	return len(p), nil
}

// A login is one of the tests: with what fetches its keys.
type login struct {
	auth.LoginOptions
	Transport http.RoundTripper
	Go        func(func())
	Log       *slog.Logger
}

// login is a login of the provider.
func (p *provider) login(t testing.TB, change ...func(*login)) *login {
	t.Helper()
	l := &login{Transport: p}
	l.Issuer, l.Audiences = p.issuer, []string{"web"}
	for _, f := range change {
		f(l)
	}
	if err := auth.CheckLogin(l.LoginOptions, nil); err != nil {
		t.Fatal(err)
	}
	return l
}

// Check fetches the login's keys.
func (l *login) Check(ctx context.Context) (int, []message.Text, error) {
	return (&auth.KeySets{Transport: l.Transport}).Check(ctx, l.LoginOptions)
}

// visitorOptions are those of visitors in tests.
type visitorOptions struct {
	Secrets   []string
	App       string
	Turnstile *widget
	Now       func() time.Time
}

// options are what an authenticator of a test is made of.
type options struct {
	Keys     *auth.Keys
	Logins   []*login
	Visitors *visitorOptions
	Open     bool
}

// claims are good ones, with changes. A nil takes one out.
func claims(change map[string]any) map[string]any {
	now := time.Now().Unix()
	c := map[string]any{"iss": issuer, "aud": "web", "sub": "alice", "iat": now, "exp": now + 600}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// sign makes a JWT with go-jose. header adds to the JOSE header.
func sign(t testing.TB, alg jose.SignatureAlgorithm, key any, kid string, payload any, header map[string]any) string {
	t.Helper()
	o := &jose.SignerOptions{}
	o.WithType("JWT")
	if kid != "" {
		o.WithHeader("kid", kid)
	}
	for k, v := range header {
		o.WithHeader(jose.HeaderKey(k), v)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	p, ok := payload.([]byte)
	if !ok {
		p = must(json.Marshal(payload))
	}
	return must(must(s.Sign(p)).CompactSerialize())
}

// cryptoNone signs messages and not digests, as Ed25519 does.
type cryptoNone struct{}

func (cryptoNone) HashFunc() crypto.Hash { return 0 }

func sha256Of(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

func authenticator(t testing.TB, o options) *auth.Authenticator {
	t.Helper()
	config := auth.Config{Keys: o.Keys, Open: o.Open}
	var sets auth.KeySets
	transports := byHost{}
	sets.Transport = transports
	for _, l := range o.Logins {
		if err := auth.CheckLogin(l.LoginOptions, config.Logins); err != nil {
			t.Fatal(err)
		}
		config.Logins = append(config.Logins, l.LoginOptions)
		sets.Go, sets.Log = l.Go, l.Log
		transports[must(url.Parse(l.Issuer)).Host] = l.Transport
	}
	with := auth.Options{KeySets: &sets}
	if v := o.Visitors; v != nil {
		if err := auth.CheckVisitorSecrets(v.Secrets); err != nil {
			t.Fatal(err)
		}
		for _, secret := range v.Secrets {
			config.VisitorSecrets = append(config.VisitorSecrets, setting.NewSecret(secret))
		}
		if v.Turnstile != nil {
			config.TurnstileSecret, with.Transport = setting.NewSecret(turnstileSecret), v.Turnstile
		}
		with.App, with.Now = v.App, v.Now
	}
	return auth.New(config, with)
}

// byHost sends to each provider what is for it.
type byHost map[string]http.RoundTripper

func (b byHost) RoundTrip(r *http.Request) (*http.Response, error) {
	if transport := b[r.URL.Host]; transport != nil {
		return transport.RoundTrip(r)
	}
	for _, transport := range b {
		return transport.RoundTrip(r)
	}
	return nil, errors.New("nobody is there")
}

func authenticate(a *auth.Authenticator, h http.Header) (auth.Caller, *auth.Error) {
	return authenticateIn(context.Background(), a, h)
}

func authenticateIn(ctx context.Context, a *auth.Authenticator, h http.Header) (auth.Caller, *auth.Error) {
	c, err := a.Authenticate(ctx, a.Credentials(h, auth.Trust{Cookies: true}))
	return c, asError(err)
}

func asError(err error) *auth.Error {
	if err == nil {
		return nil
	}
	var e *auth.Error
	if !errors.As(err, &e) {
		panic(err)
	}
	return e
}

// wantRefusal checks a refusal for its reason, and for what every refusal has.
func wantRefusal(t *testing.T, e *auth.Error, status int, reason auth.Reason) {
	t.Helper()
	if e == nil {
		t.Errorf("let in; want %d %s", status, reason)
		return
	}
	if e.Status != status || e.Reason != reason {
		t.Errorf("refused with %d %s (%v); want %d %s", e.Status, e.Reason, e, status, reason)
	}
	if e.Problem.String() == "" || e.Hint.String() == "" {
		t.Errorf("%s: the problem is %q and the hint %q", e.Reason, e.Problem.String(), e.Hint.String())
	}
	code := map[int]auth.Code{400: auth.InvalidRequest, 401: auth.Unauthenticated, 403: auth.Forbidden,
		429: auth.RateLimited, 500: auth.Misconfigured, 503: auth.Unavailable}[e.Status]
	if e.Code != code && !(e.Status == 401 && e.Code == auth.WeChatCodeRequired) {
		t.Errorf("%d has the code %s", e.Status, e.Code)
	}
	if (e.Status == 401) && len(e.Challenges) == 0 || (e.Status == 403 || e.Status == 503) && len(e.Challenges) != 0 {
		t.Errorf("%d has the challenges %q", e.Status, e.Challenges)
	}
	if e.Status == 503 && e.RetryAfter == 0 {
		t.Error("503 without a time to come again")
	}
	for _, field := range e.Challenges {
		rest := field
		for _, word := range []string{`Bearer realm="coze-token"`, `Visitor realm="coze-token"`,
			`WeChat realm="coze-token"`, `, error="invalid_token"`,
			`, error="invalid_request"`} {
			rest = strings.TrimPrefix(rest, word)
		}
		if rest == "" {
			continue
		}
		text, ok := strings.CutPrefix(rest, `, error_description="`)
		text, closed := strings.CutSuffix(text, `"`)
		// RFC 6750, section 3: %x20-21 / %x23-5B / %x5D-7E.
		if !ok || !closed || slices.ContainsFunc([]rune(text),
			func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }) {
			t.Errorf("the challenge is not well formed: %s", field)
		}
	}
}
