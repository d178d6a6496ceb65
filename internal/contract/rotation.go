package contract

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// cooldown is the least time from one fetch of a login's keys to the next, with a little more.
const cooldown = 31 * time.Second

// beginRotation starts a service with three logins and has it fetch the keys of all, one of whose
// providers is down at first. The function that it returns ends the test once the keys may be
// fetched again.
func beginRotation(t *testing.T, b Build) (end func(*testing.T)) {
	idp, late, crowded := newProvider(t), newProvider(t), newProvider(t)
	late.set(func(p *provider) { p.down = true })
	s := start(t, b, map[string]string{
		"LOGINS": fmt.Sprintf(`[{"issuer":%q,"audiences":["web"],"name":"staff"},{"issuer":%q,"audiences":["web"],"name":"customers","jwks_url":%q},{"issuer":%q,"audiences":["web"],"jwks_url":%q}]`,
			idp.url, late.url, late.url+"/keys", crowded.url, crowded.url+"/keys"),
	})
	ask := func(t *testing.T, token string) answer { return s.post(t, bearer(token)...) }
	session := func(t *testing.T, token string) string {
		t.Helper()
		return s.issued(t, ask(t, token).token(t).AccessToken).Session
	}
	old := idp.token(nil)
	if got := session(t, old); got != "staff|alice@login.example" {
		t.Errorf("the session is %q", got)
	}
	a := ask(t, late.token(nil))
	a.failure(t, 503, "auth_unavailable")
	if a.Header.Get("Retry-After") == "" {
		t.Error("nothing says when to ask again")
	}
	flood(t, s, crowded, 50, 401, 503)
	if n := crowded.fetched(); n != 1 {
		t.Errorf("forged tokens cost %d fetches", n)
	}
	began := time.Now()
	// While other tests run, forged tokens keep coming.
	trickled := make(chan error, 1)
	go func() { trickled <- trickle(s, crowded, began.Add(cooldown-5*time.Second)) }()
	late.set(func(p *provider) { p.down = false })

	return func(t *testing.T) {
		if wait := cooldown - time.Since(began); wait > 0 {
			t.Logf("waiting %v until keys may be fetched again", wait.Round(time.Second))
			time.Sleep(wait)
		}
		if err := <-trickled; err != nil {
			t.Error(err)
		}
		if n := crowded.fetched(); n > 2 {
			t.Errorf("within half a minute forged tokens cost %d more fetches", n-1)
		}
		if got := session(t, late.token(nil)); got != "customers|alice@login.example" {
			t.Errorf("its provider is up again, and the session is %q", got)
		}

		// The provider has a new key, and no longer the old one. Nobody restarts the service.
		fetched := idp.fetched()
		idp.set(func(p *provider) { p.keys = []jose.JSONWebKey{public("rsa-2", key())} })
		session(t, old) // until something makes the service look, what it knows is good
		next := sign(jose.RS256, key(), "rsa-2", idp.claims(map[string]any{"sub": "bob@login.example"}), nil)
		if got := session(t, next); got != "staff|bob@login.example" {
			t.Errorf("under the new key the session is %q", got)
		}
		if n := idp.fetched() - fetched; n != 1 {
			t.Errorf("a new key cost %d fetches", n)
		}
		ask(t, old).failure(t, 401, "unauthenticated")
		flood(t, s, idp, 50, 401, 503)
		if n := idp.fetched() - fetched; n != 1 {
			t.Errorf("right after a fetch forged tokens cost %d more", n-1)
		}

		// A provider that is down does not lock out its users, nor do forgers then, who cost one fetch.
		// Of a token whose key is not known nobody can say that it is wrong.
		crowded.set(func(p *provider) { p.down = true })
		flood(t, s, crowded, 50, 503)
		if n := crowded.fetched(); n < 2 || n > 3 {
			t.Errorf("after half a minute forged tokens cost %d more fetches", n-1)
		}
		if got := session(t, crowded.token(nil)); got != strings.TrimPrefix(crowded.url, "http://")+"|alice@login.example" {
			t.Errorf("the provider is down, and the session is %q", got)
		}
		ask(t, late.token(map[string]any{"aud": "elsewhere"})).failure(t, 403, "forbidden")
		ask(t, sign(jose.RS256, rsaKey(), "rsa", late.claims(map[string]any{"iss": idp.url}), nil)).failure(t, 401,
			"unauthenticated")
	}
}

// flood sends tokens at once, each forged under a kid of its own.
func flood(t *testing.T, s *server, p *provider, times int, want ...int) {
	t.Helper()
	var tokens []string
	for i := range times {
		tokens = append(tokens, forged(p, i))
	}
	var wg sync.WaitGroup
	for _, token := range tokens {
		wg.Go(func() {
			if status, err := statusOf(s.url, bearer(token)); err != nil || !slices.Contains(want, status) {
				t.Errorf("a forged token: status %d, %v", status, err)
			}
		})
	}
	wg.Wait()
}

// trickle sends a forged token twice a second.
func trickle(s *server, p *provider, until time.Time) error {
	for i := 0; time.Now().Before(until); i++ {
		if status, err := statusOf(s.url, bearer(forged(p, i))); err != nil || status != 401 && status != 503 {
			return fmt.Errorf("a forged token: status %d, %v", status, err)
		}
		time.Sleep(500 * time.Millisecond)
	}
	return nil
}

// forged is a token under a kid that the provider does not have.
func forged(p *provider, i int) string {
	return sign(jose.RS256, forgersKey(), fmt.Sprint("forged-", i), p.claims(nil), nil)
}
