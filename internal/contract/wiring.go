package contract

import (
	"fmt"
	"strconv"
	"testing"
)

// testWiring shows that the parts are put together: each is tested alone, and would not notice if nobody used it.
func testWiring(t *testing.T, b Build) {
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
