//go:build unix

package redis_test

import (
	"fmt"
	"sync"
	"testing"

	"coze-token/internal/redistest"
)

// A store that was opened a moment ago takes a crowd: connections that it dials ahead and those
// that calls dial must not be in each other's way.
func TestCrowdAtAColdStore(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	for range 100 {
		s := open(t, server.URL)
		s.Get(t.Context(), "first")
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				if _, err := s.Get(t.Context(), fmt.Sprint(i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		s.Close()
	}
}
