package contract

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// testRemember shows that tokens are remembered for those they belong to, and for nobody else.
func testRemember(t *testing.T, b Build) {
	s := start(t, b, nil)
	t.Run("one exchange for each session", func(t *testing.T) {
		before := s.Exchanges()
		first := map[string]string{}
		for range 3 {
			for _, session := range []string{"", "session-a", "session-b", "session-A"} {
				headers := []string{"X-User-ID", session}
				if session == "" {
					headers = nil
				}
				got := s.post(t, headers...).token(t)
				if issue := s.issued(t, got.AccessToken); issue.Session != session {
					t.Fatalf("%q was given the token of %q", session, issue.Session)
				}
				if known, ok := first[session]; ok && known != got.AccessToken {
					t.Errorf("%q was given another token, and its first is good", session)
				}
				first[session] = got.AccessToken
			}
		}
		if n := s.Exchanges() - before; n != 4 {
			t.Errorf("four sessions took %d exchanges", n)
		}
	})
	t.Run("one exchange for all who ask at once", func(t *testing.T) {
		fails(t, s, "latency=300ms")
		defer fails(t, s)
		before := s.Exchanges()
		var wg sync.WaitGroup
		var tokens sync.Map
		for range 50 {
			wg.Go(func() {
				token, err := postSession(s.url, "session-at-once")
				if err != nil {
					t.Error(err)
				}
				tokens.Store(token, true)
			})
		}
		wg.Wait()
		if n := s.Exchanges() - before; n != 1 {
			t.Errorf("50 callers of one session took %d exchanges", n)
		}
		n := 0
		tokens.Range(func(_, _ any) bool { n++; return true })
		if n != 1 {
			t.Errorf("they were given %d tokens", n)
		}
	})
	t.Run("min_ttl", func(t *testing.T) {
		for _, path := range []string{"/?min_ttl=1", "/?min_ttl=900", "/?a=b&min_ttl=300", "/?min_ttl=0900",
			"/?min%5Fttl=30%30", "/?a=%zz&min_ttl=300", "/?a;b&%zz=1"} {
			s.do(t, "POST", path, nil).token(t)
		}
		for _, path := range []string{"/?min_ttl=901", "/?min_ttl=0", "/?min_ttl=-1", "/?min_ttl=", "/?min_ttl=1.5",
			"/?min_ttl=x", "/?min_ttl=1&min_ttl=2", "/?min_ttl=99999999999999999999",
			"/?min_ttl", "/?min_ttl=%zz", "/?min_ttl=300%", "/?min_ttl=300;a=b", "/?min_ttl=300&min_ttl=%zz"} {
			f := s.do(t, "POST", path, nil).failure(t, 400, "invalid_min_ttl")
			if !strings.Contains(f.Hint, "900") {
				t.Errorf("%s: the bounds are not said: %s", path, f.Hint)
			}
		}
	})
	t.Run("stale_token of a wrong type", func(t *testing.T) {
		for _, body := range []string{`{"stale_token":1}`, `{"stale_token":{}}`, `{"stale_token":["x"]}`,
			`{"stale_token":true}`} {
			s.do(t, "POST", "/", strings.NewReader(body)).failure(t, 400, "invalid_body")
		}
		for _, body := range []string{`{"stale_token":null}`, `{"stale_token":""}`, `{"stale_token":"czs_unknown"}`,
			`{"stale_token":"x"`, `["stale_token"]`} {
			s.do(t, "POST", "/", strings.NewReader(body)).token(t)
		}
		// Whoever nests very deep gets the same answer. On Workers, the first such bodies ended the
		// program when each level took a call.
		for n := 4000; n <= 8000; n += 400 {
			nested := strings.Repeat("[", n) + strings.Repeat("]", n)
			s.do(t, "POST", "/", strings.NewReader(`{"stale_token":`+nested+`}`)).failure(t, 400, "invalid_body")
			s.do(t, "POST", "/", strings.NewReader(`{"other":`+nested+`}`)).token(t)
		}
	})

	t.Run("a dead token is replaced, but not again and again", func(t *testing.T) {
		s := start(t, b, map[string]string{"TOKEN_DURATION": "20"}) // not replaced in its first 2 s
		old := s.post(t).token(t).AccessToken
		stale := fmt.Sprintf(`{"stale_token":%q}`, old)
		asked := 0
		for deadline := time.Now().Add(8 * time.Second); ; {
			got := s.do(t, "POST", "/", strings.NewReader(stale)).token(t).AccessToken
			asked++
			if got != old {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the dead token was never replaced")
			}
			time.Sleep(50 * time.Millisecond)
		}
		if n := s.Exchanges(); n != 2 {
			t.Errorf("%d callers with a dead token made %d exchanges", asked, n-1)
		}
		if got := s.post(t).token(t).AccessToken; got == old {
			t.Error("other callers are given the dead token")
		}
	})
	t.Run("tokens are exchanged anew before they run short", func(t *testing.T) {
		// 10 s long, 3 s of which are left at least; exchanged anew in the background after 4 to 6 s.
		s := start(t, b, map[string]string{"TOKEN_DURATION": "10"})
		first := s.post(t).token(t).AccessToken
		for deadline := time.Now().Add(15 * time.Second); ; {
			got := s.post(t).token(t)
			if got.TTL < 2 { // 3, rounded down, and a moment on the way
				t.Fatalf("a token with %d s left was handed out", got.TTL)
			}
			if got.AccessToken != first {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the token was never exchanged anew")
			}
			time.Sleep(50 * time.Millisecond)
		}
		if n := s.Exchanges(); n != 2 {
			t.Errorf("there were %d exchanges", n)
		}
	})
	t.Run("a refusal is remembered for a while", func(t *testing.T) {
		s := start(t, b, nil)
		fails(t, s, "unknown-key")
		for range 5 {
			a := s.post(t)
			a.failure(t, 502, "upstream_rejected")
			if a.Header.Get("Retry-After") == "" {
				t.Error("nothing says when to ask again")
			}
		}
		if n := s.Exchanges(); n != 1 {
			t.Errorf("five callers were refused with %d exchanges", n)
		}
		fails(t, s)
		for deadline := time.Now().Add(15 * time.Second); s.post(t).StatusCode != 200; {
			if time.Now().After(deadline) {
				t.Fatal("the refusal was never forgotten")
			}
			time.Sleep(100 * time.Millisecond)
		}
		s.post(t).token(t)
	})
	t.Run("a timeout is remembered too", func(t *testing.T) {
		s := start(t, b, map[string]string{"UPSTREAM_TIMEOUT": "1"})
		fails(t, s, "latency=30s")
		// The exchange goes on for 5 s more than its first caller waits.
		for deadline := time.Now().Add(15 * time.Second); ; {
			a := s.post(t)
			a.failure(t, 504, "upstream_timeout")
			if a.Header.Get("Retry-After") != "" {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("nothing says when to ask again")
			}
		}
	})
	t.Run("faults under load", func(t *testing.T) { testFaultsUnderLoad(t, b) })
	t.Run("the budget", func(t *testing.T) {
		s := start(t, b, map[string]string{"MINT_BUDGET": "2"})
		s.post(t, "X-User-ID", "session-first").token(t)
		s.post(t, "X-User-ID", "session-second").token(t)
		a := s.post(t, "X-User-ID", "session-third")
		a.failure(t, 503, "over_budget")
		if a.Header.Get("Retry-After") == "" {
			t.Error("nothing says when to ask again")
		}
		s.post(t, "X-User-ID", "session-first").token(t)
		if n := s.Exchanges(); n != 2 {
			t.Errorf("a budget of two made %d exchanges", n)
		}
	})
	t.Run("off", func(t *testing.T) {
		s := start(t, b, map[string]string{"CACHE": "off"})
		if s.post(t).token(t).AccessToken == s.post(t).token(t).AccessToken {
			t.Error("a token was handed out twice")
		}
		fails(t, s, "unknown-key,times=1")
		s.post(t).failure(t, 502, "upstream_rejected")
		s.post(t).token(t)
	})
}
