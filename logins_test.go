package cozetoken_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	cozetoken "coze-token"
	"coze-token/sandbox"
)

// A world is what a service can reach: Coze, and the providers of logins, of which each has a key
// of its own.
type world struct {
	coze *sandbox.Sandbox

	mu      sync.Mutex
	down    bool           // the providers
	fetches map[string]int // :: provider's host → fetches of its keys
}

var cozeKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newWorld(t *testing.T) *world {
	coze, err := sandbox.New(sandbox.Options{Key: cozeKey()})
	if err != nil {
		t.Fatal(err)
	}
	return &world{coze: coze, fetches: map[string]int{}}
}

func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Hostname() == "localhost" {
		answer := httptest.NewRecorder()
		w.coze.ServeHTTP(answer, r)
		return answer.Result(), nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fetches[r.URL.Host]++
	if w.down {
		return nil, errors.New("connection refused")
	}
	p, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: keyOf(r.URL.Host).Public(), KeyID: "k",
		Use: "sig"}}})
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(p)),
		Request: r}, nil
}

func (w *world) set(down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
}

func (w *world) fetched(host string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fetches[host]
}

// keyOf is the private key of the provider at a host.
func keyOf(host string) crypto.Signer {
	return ed25519.NewKeyFromSeed(fmt.Appendf(nil, "%-32.32s", host))
}

// token is one that the provider at a host signed, whatever it says of its issuer.
func token(t *testing.T, host, kid, issuer string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: keyOf(host)},
		(&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", kid))
	if err != nil {
		t.Fatal(err)
	}
	claims, err := json.Marshal(map[string]any{"iss": issuer, "aud": "web", "sub": "alice",
		"exp": time.Now().Add(time.Hour).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// settings are those of the sandbox's app, and of further ones with the same at Coze.
func (w *world) settings(t *testing.T, env map[string]string, apps map[string]map[string]any) *cozetoken.Settings {
	t.Helper()
	all := w.coze.Settings("http://localhost")
	for _, members := range apps {
		for _, name := range []string{"CLIENT_ID", "KID", "PRIVATE_KEY"} {
			members[strings.ToLower(name)] = all[name]
		}
	}
	if apps != nil {
		text, err := json.Marshal(apps)
		if err != nil {
			t.Fatal(err)
		}
		all["APPS"] = string(text)
	}
	maps.Copy(all, env)
	s, _, err := cozetoken.Read(all, cozetoken.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) serve(s *cozetoken.Settings) *cozetoken.Service {
	return cozetoken.Build(s, cozetoken.Options{Transport: w})
}

// statusFor is the status of the answer to a login's token.
func statusFor(t *testing.T, v *cozetoken.Service, path, token string) int {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	answer := httptest.NewRecorder()
	v.ServeHTTP(answer, r)
	return answer.Code
}

const (
	login = "login.example"
	other = "other.example"
)

var loginA = map[string]string{"JWT_ISSUER": "https://" + login, "JWT_AUDIENCE": "web",
	"JWKS_URL": "https://" + login + "/keys", "RATE_LIMIT": "off"}

// What is known of a login's keys outlives a change of settings: it must not lock users out when
// the provider is down.
func TestReloadKeepsTheKeysOfLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		v := w.serve(w.settings(t, loginA, nil))
		alice := token(t, login, "k", "https://"+login)
		if status := statusFor(t, v, "/", alice); status != 200 {
			t.Fatalf("status %d", status)
		}
		w.set(true)
		use := func(env map[string]string) {
			t.Helper()
			if err := v.Use(w.settings(t, env, nil)); err != nil {
				t.Fatal(err)
			}
		}
		use(loginA)
		if status := statusFor(t, v, "/", alice); status != 200 {
			t.Errorf("after a reload, with the provider down: status %d", status)
		}
		// Keys that no settings need are not kept.
		use(map[string]string{"OPEN_ACCESS": "on"})
		use(loginA)
		if status := statusFor(t, v, "/", alice); status != 503 {
			t.Errorf("the keys of a login that was removed are still known: status %d", status)
		}
	})
}

// However many apps take a login, its provider is asked as often as for one (security check 12).
func TestAppsShareTheKeysOfALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		apps := map[string]map[string]any{}
		for i := range 20 {
			apps[fmt.Sprintf("app-%d", i)] = map[string]any{"rate_limit_app": "off"}
		}
		v := w.serve(w.settings(t, loginA, apps))
		flood := func() {
			t.Helper()
			for name := range apps {
				if status := statusFor(t, v, "/"+name, token(t, login, "made-up-"+name, "https://"+login)); status != 401 {
					t.Fatalf("a made-up key: status %d", status)
				}
			}
		}
		for want := 1; want <= 3; want++ {
			flood()
			if got := w.fetched(login); got != want {
				t.Errorf("%d fetches in %d times the cooldown", got, want)
			}
			if want == 2 { // a reload does not end the cooldown
				if err := v.Use(w.settings(t, loginA, apps)); err != nil {
					t.Fatal(err)
				}
				flood()
			}
			time.Sleep(31 * time.Second)
		}
	})
}

// An app with an issuer of its own believes that issuer's keys, and not those of the service's.
func TestAnAppsLoginIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		v := w.serve(w.settings(t, loginA, map[string]map[string]any{
			"partners": {"jwt_issuer": "https://" + other, "jwt_audience": "web", "jwks_url": "https://" + other + "/keys"},
		}))
		for _, c := range []struct {
			path, signer, issuer string
			want                 int
		}{
			{"/", login, login, 200},
			{"/", other, login, 401},
			{"/", other, other, 401},
			{"/partners", other, other, 200},
			{"/partners", login, other, 401},
			{"/partners", login, login, 401},
		} {
			if status := statusFor(t, v, c.path, token(t, c.signer, "k", "https://"+c.issuer)); status != c.want {
				t.Errorf("%s, signed by %s for %s: status %d, want %d", c.path, c.signer, c.issuer, status, c.want)
			}
		}
	})
}
