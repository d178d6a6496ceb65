package broker

import (
	"testing"
	"time"
)

// Faults come from many flights at once, and each tells a time that it may have looked up a while ago.
func TestHush(t *testing.T) {
	var h hush
	start := time.Unix(1_700_000_000, 0)
	for _, step := range []struct {
		at    time.Duration
		more  int64
		speak bool
	}{
		{0, 0, true},
		{-time.Microsecond, 0, false},
		{-150 * time.Millisecond, 0, false},
		{59 * time.Second, 0, false},
		{time.Minute, 3, true},
		{time.Minute - time.Second, 0, false},
		{-time.Hour, 1, true}, // the clock was set back
		{time.Minute - time.Hour, 0, true},
	} {
		if more, ok := h.speak(start.Add(step.at)); ok != step.speak || ok && more != step.more {
			t.Errorf("at %v: %d, %v; want %d, %v", step.at, more, ok, step.more, step.speak)
		}
	}
}
