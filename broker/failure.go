package broker

import (
	"sync"
	"sync/atomic"
	"time"

	"coze-token/coze"
)

// A failure is remembered for a pause, which doubles each time that it comes again. After a refusal
// a person must change something, or Coze takes half a minute to know a new key. After any other
// failure, all may be well at once, and the source behind has tried several times already.
const (
	pauseRefused = 5 * time.Second
	pauseOther   = time.Second
	maxPause     = 30 * time.Second
	// maxAsked bounds the pause that Coze asks for with Retry-After.
	maxAsked = 5 * time.Minute
	// probeEvery is how often a half-open breaker lets one exchange through.
	probeEvery = 2 * time.Second
	// keepStreak is how long after its pause a failure still counts as the one before the next.
	keepStreak = time.Minute
	// several failures in a row are the app's, not those of one request.
	several = 3
)

// A failure is remembered in place of a token. It is never changed.
type failure struct {
	err          *coze.Error
	since, until int64
	streak       int
	app          *app   // with its present keys
	common       bool   // it may be the app's, so a success of any request ends it
	epoch        uint64 // successes of the app before it
}

// holds reports whether the failure is the answer for requests of a. If the clock was set back, it
// is not: a pause of seconds would become one of hours.
func (f *failure) holds(a *app, now int64) bool {
	return f != nil && f.since-int64(tolerated) <= now && now < f.until && f.ofNow(a)
}

func (f *failure) ofNow(a *app) bool {
	return f.app == a && !(f.common && f.epoch != a.successes.Load())
}

// answer is the failure for a later caller, for whom nothing was sent.
func (f *failure) answer(now int64) *coze.Error {
	e := *f.err
	e.Attempts = 0
	e.RetryAfter = time.Duration(f.until - now)
	return &e
}

// next is what is remembered when err follows f, which may be nil.
func (f *failure) next(a *app, err *coze.Error, now int64) *failure {
	n := &failure{err: err, since: now, streak: 1, app: a, common: threshold(err) > 0, epoch: a.successes.Load()}
	if f != nil && f.ofNow(a) && now < f.until+int64(keepStreak) {
		n.streak = f.streak + 1
	}
	first := pauseOther
	if err.Kind == coze.Rejected {
		first = pauseRefused
	}
	pause := int64(min(first<<min(n.streak-1, 10), maxPause))
	pause += random(pause/4) - pause/8 // replicas shall not come back together
	n.until = now + max(pause, int64(min(err.RetryAfter, maxAsked)))
	return n
}

// threshold is how many such failures in a row open the app's breaker. 0: none do. One visitor's
// odd session must not stop the service for all, so a refusal counts only if it is about the app.
func threshold(err *coze.Error) int {
	switch err.Kind {
	case coze.Busy:
		return 1 // Coze itself says that it is about all
	case coze.Unavailable, coze.Timeout:
		return several
	case coze.Rejected:
		switch err.Code {
		case "invalid_client", "access_deny", "unsupported_grant_type":
			return several
		}
	}
	return 0
}

// A breaker is an app's circuit breaker. While it is open, no exchange of the app's is made. After
// the pause it is half-open: one exchange is made every probeEvery until one succeeds.
type breaker struct {
	successes atomic.Uint64
	mu        sync.Mutex
	open      *failure // nil: closed
	halfOpen  bool
	inARow    int // failures that may be the app's
}

// check returns why no exchange may be made now, or nil.
func (a *app) check(now int64) *coze.Error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil {
		return nil
	}
	if a.open.holds(a, now) {
		return a.open.answer(now)
	}
	probe := *a.open
	probe.since, probe.until = now, now+int64(probeEvery)
	a.open, a.halfOpen = &probe, true
	return nil
}

func (a *app) failed(err *coze.Error, now int64) {
	n := threshold(err)
	if n == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inARow++
	// A call that went on when the breaker opened says nothing new, except for a longer Retry-After.
	known := a.open.holds(a, now) && !a.halfOpen && a.open.until >= now+int64(err.RetryAfter)
	if a.inARow >= n && !known {
		a.open, a.halfOpen = a.open.next(a, err, now), false
	}
}

func (a *app) succeeded() {
	a.successes.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open, a.halfOpen, a.inARow = nil, false, 0
}
