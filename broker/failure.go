package broker

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"coze-token/coze"
)

// How long a failure is remembered: the first time, doubled each time it comes again, at most maxRest. A refusal needs a person
// first, or, for a key created just now, the half minute that Coze takes to know it. Other trouble may be over
// at once, and the source behind has tried several times already.
const (
	restRefused = 5 * time.Second
	restTrouble = time.Second
	maxRest     = 30 * time.Second
	// maxAsked bounds the rest that Coze asks for with Retry-After.
	maxAsked = 5 * time.Minute
	// probeEvery is how often one exchange may try whether an app's trouble is over, once its rest is.
	probeEvery = 2 * time.Second
	// keepStreak is how long after its rest a failure still counts as the one before the next.
	keepStreak = time.Minute
	// several failures in a row, without a success between, are the app's and not one grant's.
	several = 3
)

// A failure is what is remembered instead of a token.
type failure struct {
	err    *coze.Error
	since  int64
	until  int64
	streak int
	// It is held against this app with its present keys, and, if it is of a kind that all its grants share, until any of them succeeds.
	app    *app
	common bool
	epoch  uint64
}

func (f *failure) holds(a *app, now int64) bool {
	// A clock that was set back, as a Clock does, must not make a few seconds' rest one of hours.
	return f != nil && f.since-int64(tolerated) <= now && now < f.until && f.app == a && !(f.common && f.epoch != a.epoch.Load())
}

// answer is the failure as a later caller is told: nothing was sent for this one, and it says when to come back.
func (f *failure) answer(now int64) *coze.Error {
	e := *f.err
	e.Attempts = 0
	e.RetryAfter = time.Duration(f.until - now)
	return &e
}

// after is the failure that is remembered when err follows f, which may be nil.
func (f *failure) after(a *app, err *coze.Error, now int64) *failure {
	next := &failure{err: err, since: now, streak: 1, app: a, common: reach(err) > 0, epoch: a.epoch.Load()}
	if f != nil && f.app == a && !(f.common && f.epoch != next.epoch) && now < f.until+int64(keepStreak) {
		next.streak = f.streak + 1
	}
	next.until = now + rest(err, next.streak)
	return next
}

// rest is how long nobody asks again, in nanoseconds.
func rest(err *coze.Error, streak int) int64 {
	first := restTrouble
	if err.Kind == coze.Rejected {
		first = restRefused
	}
	d := int64(min(first<<min(streak-1, 10), maxRest))
	d = d - d/8 + spread(d/4) // so that replicas do not come back together
	return max(d, int64(min(err.RetryAfter, maxAsked)))
}

// reach says after how many such failures in a row all grants of the app rest. Zero: never, it is this grant's own.
// One visitor's odd session must not stop the service for all, so a refusal counts only if it is about the app.
func reach(err *coze.Error) int {
	switch err.Kind {
	case coze.Busy:
		return 1 // Coze says itself that it is about all
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

// Trouble is what is held against an app.
type trouble struct {
	epoch atomic.Uint64 // successes so far
	mu    sync.Mutex
	bad   *failure
	probe bool // a caller was let through after the rest
	run   int  // failures in a row that may be the app's
}

// rests says why the app's grants are not exchanged now, or nil. When the rest is over it lets one caller through every
// probeEvery, until a success.
func (a *app) rests(now int64) *coze.Error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.bad == nil:
		return nil
	case a.bad.holds(a, now):
		return a.bad.answer(now)
	}
	probing := *a.bad
	probing.since, probing.until = now, now+int64(probeEvery)
	a.bad, a.probe = &probing, true
	return nil
}

func (a *app) failed(err *coze.Error, now int64) {
	n := reach(err)
	if n == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.run++
	// What was under way when the rest began says nothing new, unless Coze asks for a longer one.
	resting := a.bad.holds(a, now) && !a.probe
	if a.run >= n && !(resting && a.bad.until >= now+int64(err.RetryAfter)) {
		a.bad, a.probe = a.bad.after(a, err, now), false
	}
}

func (a *app) succeeded() {
	a.epoch.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bad, a.probe, a.run = nil, false, 0
}

// memorable says whether a failure is worth remembering: not when nothing was sent.
func memorable(err *coze.Error) bool {
	return err.Kind != coze.InvalidRequest && !errors.Is(err, ErrBudget)
}

// asError finds the *coze.Error in err, and makes one of what a source of another making returns.
func asError(err error) *coze.Error {
	var e *coze.Error
	switch {
	case errors.As(err, &e) && e != nil:
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return &coze.Error{Kind: coze.Timeout, Err: err}
	default:
		return &coze.Error{Kind: coze.Unavailable, Err: err}
	}
}
