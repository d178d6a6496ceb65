package gate

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"coze-token/internal/auth"
)

// A sample chooses which refusals of one reason are recorded. Those before all limits cost a caller
// nothing, and a record of each would fill a disk: 60 are recorded at once, and one a second.
type sample struct {
	mu      sync.Mutex
	limiter *rate.Limiter
	skipped int64
}

func newSamples() map[string]*sample {
	samples := map[string]*sample{}
	for _, reason := range []string{
		string(auth.OtherOrigin), "method_not_allowed", "misdirected", "not_found", "address_rate",
	} {
		samples[reason] = &sample{limiter: rate.NewLimiter(1, 60)}
	}
	return samples
}

// take reports whether this one is recorded, and how many were not since the last that was. A nil
// sample has all recorded.
func (s *sample) take(now time.Time) (skipped int64, ok bool) {
	if s == nil {
		return 0, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.limiter.AllowN(now, 1) {
		s.skipped++
		return 0, false
	}
	skipped, s.skipped = s.skipped, 0
	return skipped, true
}
