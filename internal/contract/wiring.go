package contract

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"coze-token/sandbox"
)

// testWiring shows that the parts are put together: each is tested alone, and would not notice if
// nobody used it.
func testWiring(t *testing.T, b Build) {
	t.Run("MIN_TTL", func(t *testing.T) {
		// Handed out while 18 s are left, or for the first 2 s. Unset it would be a third, and the token
		// stay for over 8 s.
		s := start(t, b, map[string]string{"TOKEN_DURATION": "20", "MIN_TTL": "18"})
		first := s.post(t).token(t).AccessToken
		for {
			got := s.post(t).token(t)
			if got.TTL < 15 {
				t.Fatalf("a token with %d s left was handed out", got.TTL)
			}
			if got.AccessToken != first {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	t.Run("CACHE_SIZE", func(t *testing.T) {
		s := start(t, b, map[string]string{"CACHE_SIZE": "2"})
		for _, session := range []string{"first", "second", "third", "third", "first", "first"} {
			s.post(t, "X-User-ID", "session-"+session).token(t)
		}
		if n := s.Exchanges(); n != 4 {
			t.Errorf("three sessions, the first of them forgotten for the third, took %d exchanges and not 4", n)
		}
	})
	for _, off := range []time.Duration{-time.Hour, time.Hour} {
		t.Run("Coze's clock, off by "+off.String(), func(t *testing.T) {
			s := raiseAt(t, off)
			s.serve(t, b, nil)
			for range 2 {
				got := s.post(t).token(t)
				if left := time.Until(time.Unix(got.ExpiresIn, 0).Add(-off)); left < 14*time.Minute || left > 15*time.Minute {
					t.Errorf("by Coze's clock it has %v left", left)
				}
				if got.TTL < 14*60 || got.TTL > 15*60 {
					t.Errorf("ttl is %d", got.TTL)
				}
			}
			if n := s.Exchanges(); n != 2 { // the first one's refusal says what time it is
				t.Errorf("Coze was asked %d times", n)
			}
		})
	}
	t.Run("429 without Retry-After", func(t *testing.T) {
		s := start(t, b, nil)
		fails(t, s, "429")
		a := s.post(t)
		a.failure(t, 503, "upstream_busy")
		if got := a.Header.Get("Retry-After"); got != "1" && got != "2" {
			t.Errorf("Retry-After is %q", got)
		}
	})
	t.Run("what Coze asks for goes for all sessions", func(t *testing.T) {
		s := start(t, b, nil)
		fails(t, s, "429,retry-after=9")
		for i := range 5 {
			a := s.post(t, "X-User-ID", fmt.Sprint("session-", i))
			a.failure(t, 503, "upstream_busy")
			if seconds, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 9 {
				t.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
			}
			if i == 0 && a.Header.Get("Retry-After") != "9" {
				t.Errorf("the first Retry-After is %q, Coze said 9", a.Header.Get("Retry-After"))
			}
		}
		if n := s.Exchanges(); n != 1 {
			t.Errorf("Coze was asked %d times", n)
		}
	})
}

// raiseAt is newServer, with a clock at Coze that is off, in what it judges by and in what it says.
func raiseAt(t *testing.T, off time.Duration) *server {
	t.Helper()
	now := func() time.Time { return time.Now().Add(off) }
	sb, err := sandbox.New(sandbox.Options{Key: key(), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	coze := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", now().UTC().Format(http.TimeFormat))
		sb.ServeHTTP(w, r)
	}))
	t.Cleanup(coze.Close)
	s := &server{Sandbox: sb, coze: coze.URL, settings: sb.Settings(coze.URL)}
	t.Cleanup(func() { s.keepSecrets(t) })
	return s
}
