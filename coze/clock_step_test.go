package coze

import (
	"testing"
	"time"
)

// NTP may set the clock while the service runs. A correction on top of that would hand out dead
// tokens.
func TestClockStep(t *testing.T) {
	for _, test := range []struct{ step, corrected time.Duration }{
		{0, -time.Hour},
		{time.Second, -time.Hour}, // slewed
		{-time.Hour, 0},
		{time.Hour, 0},
		{3 * time.Second, 0},
	} {
		now := time.Now()
		clock := &Clock{Base: func() time.Time { return now }}
		// A minute has passed since, and the wall clock was moved by step.
		found := now.Add(-time.Minute)
		clock.inForce.Store(&correction{-time.Hour, found, found.Round(0).Add(-test.step)})
		for range 2 {
			if got := clock.Now().Sub(now); got != test.corrected {
				t.Errorf("a step of %v: corrected by %v, want %v", test.step, got, test.corrected)
			}
		}
		// What was known before the step is no reason to doubt the next answer.
		want := test.corrected
		if want == 0 {
			want = 10 * time.Minute
		}
		clock.observe(now, now, now.Add(10*time.Minute))
		if got := clock.Now().Sub(now); (got - want).Abs() > time.Second {
			t.Errorf("a step of %v, then an answer: corrected by %v, want %v", test.step, got, want)
		}
	}
}
