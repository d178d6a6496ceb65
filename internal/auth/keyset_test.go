package auth_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"coze-token/internal/auth"
)

// A fixture is a login in a bubble of its own time.
type fixture struct {
	*provider
	a   *auth.Authenticator
	log *bytes.Buffer
}

func build(t *testing.T, change ...func(*login)) *fixture {
	h := &fixture{provider: newProvider(public("old", edKey)), log: &bytes.Buffer{}}
	change = append(change, func(o *login) { o.Log = slog.New(slog.NewTextHandler(h.log, nil)) })
	h.a = authenticator(t, options{Logins: []*login{h.login(t, change...)}})
	return h
}

// ask sends a token that is good now, signed with a key of that name.
func (h *fixture) ask(t *testing.T, kid string, key crypto.Signer) *auth.Error {
	t.Helper()
	_, e := authenticateIn(t.Context(), h.a, bearer(sign(t, algOf(key), key, kid, claims(nil), nil)))
	return e
}

func algOf(key crypto.Signer) jose.SignatureAlgorithm {
	switch key.(type) {
	case ed25519.PrivateKey:
		return jose.EdDSA
	case *ecdsa.PrivateKey:
		return jose.ES256
	default:
		return jose.RS256
	}
}

func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func TestKeysAreFetchedOnce(t *testing.T) {
	bubble(t, "for all who wait", func(t *testing.T) {
		h := build(t)
		h.delay = time.Second
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if e := h.ask(t, "old", edKey); e != nil {
					t.Error(e)
				}
			})
		}
		wg.Wait()
		if h.got() != 1 || h.docs() != 1 {
			t.Errorf("%d fetches of keys, %d of the discovery document", h.got(), h.docs())
		}
	})
	bubble(t, "while they are fresh", func(t *testing.T) {
		h := build(t)
		for range 59 {
			if e := h.ask(t, "old", edKey); e != nil {
				t.Fatal(e)
			}
			time.Sleep(time.Minute)
		}
		if h.got() != 1 {
			t.Errorf("%d fetches in an hour", h.got())
		}
	})
	bubble(t, "from a fixed address, without discovery", func(t *testing.T) {
		h := build(t, func(o *login) { o.JWKSURL = issuer + "/keys" })
		if e := h.ask(t, "old", edKey); e != nil || h.docs() != 0 {
			t.Errorf("%v, %d fetches of the discovery document", e, h.docs())
		}
	})
}

// Key rotation at the provider needs no restart.
func TestRotation(t *testing.T) {
	bubble(t, "a new key is fetched when it is first seen", func(t *testing.T) {
		h := build(t)
		if e := h.ask(t, "old", edKey); e != nil {
			t.Fatal(e)
		}
		time.Sleep(time.Minute)
		h.set(func(p *provider) { p.keys = []jose.JSONWebKey{public("new", ecKey)} })
		if e := h.ask(t, "new", ecKey); e != nil {
			t.Fatal(e)
		}
		wantRefusal(t, h.ask(t, "old", edKey), 401, auth.UnknownSigningKey) // it is revoked at once
		if h.got() != 2 {
			t.Errorf("%d fetches", h.got())
		}
	})
	bubble(t, "where keys have no names", func(t *testing.T) {
		h := build(t)
		h.keys = []jose.JSONWebKey{public("", rsaKey)}
		if e := h.ask(t, "", rsaKey); e != nil {
			t.Fatal(e)
		}
		time.Sleep(time.Minute)
		h.set(func(p *provider) { p.keys = []jose.JSONWebKey{public("", rsaKey2)} })
		if e := h.ask(t, "", rsaKey2); e != nil {
			t.Error(e)
		}
		for range 5 {
			wantRefusal(t, h.ask(t, "", rsaKey), 401, auth.BadSignature)
		}
		if h.got() != 2 {
			t.Errorf("%d fetches", h.got())
		}
	})
	bubble(t, "a revoked key is soon not taken any more", func(t *testing.T) {
		h := build(t)
		if e := h.ask(t, "old", edKey); e != nil {
			t.Fatal(e)
		}
		h.set(func(p *provider) { p.keys = []jose.JSONWebKey{public("new", ecKey)} })
		time.Sleep(time.Hour + time.Minute)
		if e := h.ask(t, "old", edKey); e != nil { // behind whose back new ones are fetched
			t.Error(e)
		}
		synctest.Wait()
		wantRefusal(t, h.ask(t, "old", edKey), 401, auth.UnknownSigningKey)
	})
	bubble(t, "after a quiet night it is not taken even once", func(t *testing.T) {
		h := build(t)
		if e := h.ask(t, "old", edKey); e != nil {
			t.Fatal(e)
		}
		h.set(func(p *provider) { p.keys, p.delay = []jose.JSONWebKey{public("new", ecKey)}, 300*time.Millisecond })
		time.Sleep(9 * time.Hour)
		wantRefusal(t, h.ask(t, "old", edKey), 401, auth.UnknownSigningKey)
	})
}

// Security check 12.
func TestForgedKeyIDs(t *testing.T) {
	bubble(t, "two fetches for each cooldown", func(t *testing.T) {
		h := build(t)
		if e := h.ask(t, "old", edKey); e != nil {
			t.Fatal(e)
		}
		began := time.Now()
		for i := range 1000 {
			// 401 after a fetch that was made for it, 503 while it is too early for one.
			if e := h.ask(t, fmt.Sprint("forged-", i), edKey); e == nil || e.Status != 401 && e.Status != 503 {
				t.Fatal(e)
			}
			time.Sleep(300 * time.Millisecond)
		}
		took := time.Since(began)
		if most := 2 + 2*int(took/(30*time.Second)); h.got() > most || h.got() < most-3 {
			t.Errorf("%d fetches in %v", h.got(), took)
		}
		if e := h.ask(t, "old", edKey); e != nil {
			t.Errorf("a user is locked out by the flood: %v", e)
		}
	})
	// A user of a new key is told to wait, never to log in again, and is let in at the next fetch.
	bubble(t, "beside a new key", func(t *testing.T) {
		h := build(t)
		if e := h.ask(t, "old", edKey); e != nil {
			t.Fatal(e)
		}
		junk := 0
		flood := func() {
			for range 2 {
				junk++
				h.ask(t, fmt.Sprint("forged-", junk), edKey)
			}
			time.Sleep(time.Second)
		}
		for range 67 {
			flood()
		}
		h.set(func(p *provider) { p.keys = append(p.keys, public("new", ecKey)) })
		waited := time.Duration(0)
		for e := h.ask(t, "new", ecKey); e != nil; e = h.ask(t, "new", ecKey) {
			wantRefusal(t, e, 503, auth.ProviderDown)
			if e.RetryAfter < time.Second || e.RetryAfter > 30*time.Second {
				t.Fatalf("Retry-After %v", e.RetryAfter)
			}
			if waited += time.Second; waited > 30*time.Second {
				t.Fatal("it is never let in")
			}
			flood()
		}
		// A token whose key the provider surely does not have is a 401, also while no fetch is allowed.
		time.Sleep(time.Minute)
		for range 5 {
			wantRefusal(t, h.ask(t, "wrong", edKey), 401, auth.UnknownSigningKey)
		}
	})
	bubble(t, "many at once", func(t *testing.T) {
		h := build(t)
		h.delay = 100 * time.Millisecond
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() { wantRefusal(t, h.ask(t, fmt.Sprint("forged-", i), edKey), 401, auth.UnknownSigningKey) })
		}
		wg.Wait()
		if h.got() != 1 {
			t.Errorf("%d fetches", h.got())
		}
	})
	bubble(t, "while the provider is down", func(t *testing.T) {
		h := build(t)
		h.set(func(p *provider) { p.down = errors.New("refused") })
		for i := range 100 {
			wantRefusal(t, h.ask(t, fmt.Sprint("forged-", i), edKey), 503, auth.ProviderDown)
			time.Sleep(100 * time.Millisecond)
		}
		if h.docs() > 2 {
			t.Errorf("%d fetches in 10 s", h.docs())
		}
	})
	bubble(t, "none for a token that no key could make good", func(t *testing.T) {
		h := build(t)
		for _, token := range []string{
			sign(t, jose.HS256, []byte(strings.Repeat("x", 32)), "old", claims(nil), nil),
			sign(t, jose.EdDSA, edKey, "old", claims(map[string]any{"iss": "https://evil.example"}), nil),
			sign(t, jose.EdDSA, edKey, "old", claims(nil), map[string]any{"jku": "https://evil.example"}),
		} {
			if _, e := authenticate(h.a, bearer(token)); e == nil {
				t.Error("let in")
			}
		}
		if h.docs() != 0 {
			t.Error("something was fetched")
		}
	})
}

// A provider that is down does not lock out users whose keys are known.
func TestProviderDown(t *testing.T) {
	bubble(t, "keys that are known go on", func(t *testing.T) {
		h := build(t)
		if e := h.ask(t, "old", edKey); e != nil {
			t.Fatal(e)
		}
		h.set(func(p *provider) { p.down = errors.New("dial tcp 10.9.8.7:443: refused") })
		for range 6 * 24 {
			time.Sleep(time.Hour)
			if e := h.ask(t, "old", edKey); e != nil {
				t.Fatal(e)
			}
		}
		e := h.ask(t, "new", ecKey)
		wantRefusal(t, e, 503, auth.ProviderDown) // it may be a good one: who knows?
		if strings.Contains(e.Problem.String()+e.Hint.String(), "10.9.8.7") || !strings.Contains(e.Error(), "10.9.8.7") {
			t.Errorf("the client is told %q, the log %q", e.Problem.String(), e)
		}
		synctest.Wait()
		if !strings.Contains(h.log.String(), "10.9.8.7") {
			t.Errorf("the log says %q", h.log)
		}
		time.Sleep(48 * time.Hour)
		wantRefusal(t, h.ask(t, "old", edKey), 503, auth.ProviderDown) // but not for ever
		h.set(func(p *provider) { p.down = nil })
		time.Sleep(time.Minute)
		if e := h.ask(t, "old", edKey); e != nil {
			t.Error(e)
		}
	})
	bubble(t, "it costs a user a second at most, and only now and then", func(t *testing.T) {
		h := build(t)
		if e := h.ask(t, "old", edKey); e != nil {
			t.Fatal(e)
		}
		h.set(func(p *provider) { p.delay = time.Hour })
		time.Sleep(5 * time.Hour)
		for range 3 {
			began := time.Now()
			if e := h.ask(t, "old", edKey); e != nil {
				t.Fatal(e)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("it took %v", took)
			}
			time.Sleep(20 * time.Second)
		}
		if h.docs() != 4 { // one at the start, and two for each half minute
			t.Errorf("%d fetches", h.docs())
		}
	})
	bubble(t, "a slow one from the start", func(t *testing.T) {
		h := build(t)
		h.delay = 2 * time.Second // discovery and keys together take 4
		if e := h.ask(t, "old", edKey); e != nil {
			t.Error(e)
		}
	})
	bubble(t, "one that is too slow", func(t *testing.T) {
		h := build(t)
		h.delay = time.Hour
		began := time.Now()
		wantRefusal(t, h.ask(t, "old", edKey), 503, auth.ProviderDown)
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("it took %v", took)
		}
		h.set(func(p *provider) { p.delay = 0 })
		wantRefusal(t, h.ask(t, "old", edKey), 503, auth.ProviderDown)
		time.Sleep(6 * time.Second)
		if e := h.ask(t, "old", edKey); e != nil {
			t.Error(e)
		}
	})
	for name, broken := range map[string]func(*provider){
		"an error page":  func(p *provider) { p.raw = []byte("<html>down for maintenance</html>") },
		"no keys":        func(p *provider) { p.raw = []byte(`{"keys":[]}`) },
		"keys of no use": func(p *provider) { p.keys = []jose.JSONWebKey{{Key: []byte("secret"), KeyID: "old"}} },
		"too much": func(p *provider) {
			p.raw = append(must(json.Marshal(jose.JSONWebKeySet{Keys: p.keys})), strings.Repeat(" ", 256<<10)...)
		},
		"a redirect":            func(p *provider) { p.status = 302 },
		"a 500":                 func(p *provider) { p.status = 500 },
		"a 204":                 func(p *provider) { p.status = 204 },
		"another's discovery":   func(p *provider) { p.said = "https://evil.example" },
		"a discovery over http": func(p *provider) { p.uri = "http://login.example/keys" },
		"one of this machine":   func(p *provider) { p.uri = "http://127.0.0.1/keys" },
		"a file":                func(p *provider) { p.uri = "file:///etc/passwd" },
		"a panic":               func(p *provider) { p.panics = true },
	} {
		bubble(t, name, func(t *testing.T) {
			h := build(t)
			if e := h.ask(t, "old", edKey); e != nil {
				t.Fatal(e)
			}
			h.set(broken)
			time.Sleep(3 * time.Hour)
			if e := h.ask(t, "old", edKey); e != nil {
				t.Errorf("users are locked out: %v", e)
			}
			fresh := build(t)
			fresh.set(broken)
			wantRefusal(t, fresh.ask(t, "old", edKey), 503, auth.ProviderDown)
		})
	}
}

// An answer that does not end is not read to its end, which would be the end of the memory.
func TestEndlessKeys(t *testing.T) {
	p := newProvider()
	p.endless = &endless{}
	if _, _, err := p.login(t).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "larger than 256 KiB") {
		t.Errorf("it says %v", err)
	}
	if p.endless.read > 1<<20 {
		t.Errorf("%d bytes were read", p.endless.read)
	}
}

// The fetch is nobody's: who began it may go.
func TestTheFirstCallerGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t)
		h.delay = time.Second
		ctx, cancel := context.WithCancel(t.Context())
		token := bearer(sign(t, jose.EdDSA, edKey, "old", claims(nil), nil))
		first := make(chan *auth.Error)
		go func() {
			_, e := authenticateIn(ctx, h.a, token)
			first <- e
		}()
		synctest.Wait()
		cancel()
		wantRefusal(t, <-first, 503, auth.ProviderDown)
		if _, e := authenticateIn(t.Context(), h.a, token); e != nil {
			t.Error(e)
		}
		if h.got() != 1 {
			t.Errorf("%d fetches", h.got())
		}
	})
}

// A host may lose a goroutine together with the request that began it. Users are not locked out by
// that.
func TestALostFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lose := true
		h := build(t, func(o *login) {
			o.Go = func(f func()) {
				if !lose {
					go f()
				}
			}
		})
		began := time.Now()
		wantRefusal(t, h.ask(t, "old", edKey), 503, auth.ProviderDown)
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("it took %v", took)
		}
		lose = false
		if e := h.ask(t, "old", edKey); e != nil {
			t.Error(e)
		}
	})
}

func TestFreshness(t *testing.T) {
	for control, want := range map[string]time.Duration{
		"":                                 time.Hour,
		"public":                           time.Hour,
		"max-age=1800":                     30 * time.Minute,
		"public, Max-Age=1800, immutable":  30 * time.Minute,
		`max-age="1800"`:                   30 * time.Minute,
		"max-age=0":                        5 * time.Minute,
		"max-age=1":                        5 * time.Minute,
		"max-age=99999999":                 24 * time.Hour,
		"max-age=9223372036854775807":      24 * time.Hour,
		"max-age=99999999999999999999":     time.Hour,
		"max-age=-5":                       time.Hour,
		"max-age=x":                        time.Hour,
		"no-store":                         5 * time.Minute,
		"max-age=86400, no-cache":          5 * time.Minute,
		"s-maxage=3, stale-if-error=86400": time.Hour,
	} {
		h := http.Header{}
		if control != "" {
			h.Set("Cache-Control", control)
		}
		if got := auth.Freshness(h); got != want {
			t.Errorf("%q: %v, want %v", control, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	p := newProvider(public("a", edKey), public("b", ecKey), public("c", ecKey384))
	if n, dropped, err := p.login(t).Check(t.Context()); n != 3 || len(dropped) > 0 || err != nil {
		t.Errorf("%d keys, %q, %v", n, dropped, err)
	}
	p.said = issuer + "/"
	if _, _, err := p.login(t).Check(t.Context()); err == nil ||
		!strings.Contains(err.Error(), `"https://login.example/"`) {
		t.Errorf("it does not say what is wrong: %v", err)
	}
}
