// Package guard calls something remote that is a help and never a condition: a shared store, a
// shared counter. A call takes no longer than its timeout, a panic is an error, and a remote that
// fails is left alone for a while.
package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Options are a guard's.
type Options struct {
	// Timeout bounds each call. Required.
	Timeout time.Duration
	// Failures is how many failures in a row open the breaker. Optional: 1.
	Failures int
	// Open is how long an open breaker keeps callers away. Then it is half-open: one caller tries.
	// Required.
	Open time.Duration
	// Message is the line in the log when a call fails, at most one a minute. Required.
	Message string
	// Log takes the line. Optional: nothing is logged.
	Log *slog.Logger
	// Attrs stand in the line before the others. (A logger that has them costs the Worker's start a
	// millisecond.) Optional.
	Attrs []any
	// Now is the clock. Optional: time.Now.
	Now func() time.Time
}

// A Guard is a timeout, a circuit breaker and a throttled log line around one remote. It is safe
// for concurrent use.
type Guard struct {
	o        Options
	inARow   atomic.Int32
	openTill atomic.Int64 // Unix nanoseconds; 0 if the breaker is closed
	faults   atomic.Int64
	lines    Throttle
}

// New makes a guard whose breaker is closed.
func New(o Options) *Guard {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Guard{o: o}
}

// ErrTimeout is the error of a call that did not return within the timeout.
var ErrTimeout = errors.New("no answer within the timeout")

// errAbandoned is the error of a call that ended its goroutine (runtime.Goexit).
var errAbandoned = errors.New("the call was abandoned")

// Ready reports whether the remote may be called now. While the breaker is open it may not. When
// the time is over, one caller is told that it may, and the next one only if nothing is heard of
// that call.
func (g *Guard) Ready() bool {
	till := g.openTill.Load()
	if till == 0 {
		return true
	}
	now := g.o.Now()
	if left := till - now.UnixNano(); 0 < left && left <= int64(2*g.o.Open) { // more: the clock was set back
		return false
	}
	return g.openTill.CompareAndSwap(till, now.Add(g.o.Open).UnixNano())
}

// Closed reports whether the breaker is closed.
func (g *Guard) Closed() bool { return g.openTill.Load() == 0 }

// Succeeded closes the breaker. A caller says so when the remote did all that was asked of it.
func (g *Guard) Succeeded() {
	if g.inARow.Load() != 0 {
		g.inARow.Store(0)
		g.openTill.Store(0)
	}
}

// Faults is how many calls failed, and how many times [Guard.Fault] was called.
func (g *Guard) Faults() int64 { return g.faults.Load() }

// Fault counts and logs what is wrong with the remote. It does not open the breaker.
func (g *Guard) Fault(operation string, err error) {
	g.faults.Add(1)
	if more, ok := g.lines.Allow(g.o.Now()); ok {
		g.o.Log.With(g.o.Attrs...).Warn(g.o.Message, slog.String("operation", operation), slog.String("error", err.Error()),
			slog.Int64("more_since_the_last_line", more))
	}
}

// Call runs do and waits for it until the timeout, even if do ignores its context. An error is
// logged and counts towards opening the breaker, unless ctx has ended: a caller who went away says
// nothing about the remote.
func Call[T any](ctx context.Context, g *Guard, operation string, do func(context.Context) (T, error)) (T, error) {
	bounded, cancel := context.WithTimeout(ctx, g.o.Timeout)
	defer cancel()
	type result struct {
		value T
		err   error
	}
	results := make(chan result, 1)
	go func() {
		r := result{err: errAbandoned}
		defer func() {
			if p := recover(); p != nil {
				r.err = fmt.Errorf("it panicked: %v", p)
			}
			results <- r
		}()
		r.value, r.err = do(bounded)
	}()
	r := result{err: ErrTimeout}
	select {
	case r = <-results:
	case <-bounded.Done():
	}
	if r.err != nil && ctx.Err() == nil {
		g.Fault(operation, r.err)
		if g.inARow.Add(1) >= int32(max(g.o.Failures, 1)) {
			g.openTill.Store(g.o.Now().Add(g.o.Open).UnixNano())
		}
	}
	return r.value, r.err
}

// quiet is how long after a line the next one is left out.
const quiet = time.Minute

// A Throttle lets one line a minute through, so that a fault that every request meets does not fill
// the log. Its zero value is ready. It is safe for concurrent use.
type Throttle struct {
	mu      sync.Mutex
	next    time.Time
	skipped int64
}

// Allow reports whether a line may be written now, and how many were left out since the last one.
func (t *Throttle) Allow(now time.Time) (skipped int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// Callers read the clock before they come here, so a small step back is usual. A large one is a
	// clock that was set.
	if now.Before(t.next) && t.next.Sub(now) <= 2*quiet {
		t.skipped++
		return 0, false
	}
	skipped, t.skipped, t.next = t.skipped, 0, now.Add(quiet)
	return skipped, true
}
