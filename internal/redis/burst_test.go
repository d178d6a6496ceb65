//go:build unix

package redis_test

import (
	"fmt"
	"sync"
	"testing"

	"coze-token/internal/redistest"
)

// Many calls can use a store that was just opened: the connections that it dials ahead and those
// that calls dial do not disturb each other.
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
