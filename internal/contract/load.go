package contract

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// testFaultsUnderLoad shows that whatever Coze does while many ask, each answer is a token of the
// caller's own session, or a failure that says what it is.
func testFaultsUnderLoad(t *testing.T, b Build) {
	s := start(t, b, map[string]string{"UPSTREAM_TIMEOUT": "3"})
	fails(t, s, "latency=20ms", "503,every=2", "reset,every=5", "truncated,every=7", "html=502,every=9", "429,every=11",
		"expires-in=relative,every=13")
	const callers, times = 40, 4
	var wg sync.WaitGroup
	var mu sync.Mutex
	granted, refused := 0, 0
	for i := range callers {
		wg.Go(func() {
			session := fmt.Sprintf("session-load-%d", i/2) // two callers each
			for range times {
				problem, ok := s.askUnderLoad(session)
				mu.Lock()
				if ok {
					granted++
				} else {
					refused++
				}
				mu.Unlock()
				if problem != nil {
					t.Error(problem)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d tokens, %d failures", granted, refused)
	if granted == 0 {
		t.Error("nobody was given a token, though half of the exchanges succeed")
	}
	fails(t, s)
	// The last of those failures may have been enough for the whole app to rest. Who comes back when
	// told to is served.
	a := s.post(t, "X-User-ID", "session-load-after")
	if a.StatusCode != http.StatusOK {
		seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
		if err != nil || seconds < 1 || seconds > 30 {
			t.Fatalf("status %d with Retry-After %q: %s", a.StatusCode, a.Header.Get("Retry-After"), a.body)
		}
		time.Sleep(time.Duration(seconds) * time.Second)
		a = s.post(t, "X-User-ID", "session-load-after")
	}
	a.token(t)
}

// askUnderLoad asks once. What is no answer of the contract's is a problem; a failure that is one
// of them is not.
func (s *server) askUnderLoad(session string) (problem error, granted bool) {
	r, err := http.NewRequest("POST", s.url+"/", nil)
	if err != nil {
		return err, false
	}
	r.Header.Set("X-User-ID", session)
	response, err := client.Do(r)
	if err != nil {
		return err, false
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return err, false
	}
	if response.StatusCode == http.StatusOK {
		var body tokenBody
		if err := unmarshal(data, &body); err != nil {
			return err, false
		}
		keepSecret("a token", body.AccessToken)
		if issue, ok := s.Issued(body.AccessToken); !ok || issue.Session != session {
			return fmt.Errorf("%s was given a token of %q (issued: %t)", session, issue.Session, ok), true
		}
		return nil, true
	}
	var body failureBody
	if err := unmarshal(data, &body); err != nil {
		return fmt.Errorf("status %d: %s", response.StatusCode, data), false
	}
	if !slices.Contains([]string{"upstream_unavailable", "upstream_busy", "upstream_timeout"}, body.Code) ||
		body.Hint == "" {
		return fmt.Errorf("status %d: %s", response.StatusCode, data), false
	}
	return nil, false
}
