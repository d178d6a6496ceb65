package broker

import (
	"sync"
	"time"
)

// quiet is how long after a line in the log the next of its sort is left out.
const quiet = time.Minute

// A hush lets one line a minute through, so that trouble that every request meets does not fill the log.
type hush struct {
	mu   sync.Mutex
	next time.Time
	held int64
}

// speak says whether a line may be written now, and how many were left out since the last.
func (h *hush) speak(now time.Time) (more int64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	// A caller may have looked at the clock before the one that spoke: only a step back of over a minute is a clock that was set.
	if now.Before(h.next) && h.next.Sub(now) <= 2*quiet {
		h.held++
		return 0, false
	}
	more, h.held, h.next = h.held, 0, now.Add(quiet)
	return more, true
}
