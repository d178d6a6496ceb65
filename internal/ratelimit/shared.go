package ratelimit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"
)

// A Counter counts for several processes: in Redis, or by the platform's own means.
//
// It is called concurrently and should return when its context ends; one that does not costs a goroutine for as long
// as it hangs. Keys are up to a few hundred bytes of any text and hold addresses or session names: one that keeps
// them where others look should hash them.
type Counter interface {
	// Allow counts a request for the key, if there is room for it. Of the decision OK, Remaining, Reset and
	// RetryAfter are read. A counter that knows only yes or no, such as Workers' rate-limit binding, has Remaining
	// Unknown; where it knows no RetryAfter for a refusal, the rate's Per takes its place.
	Allow(ctx context.Context, key string, rate Rate) (Decision, error)
}

// A Returner is a Counter that can take back a request it let through.
type Returner interface {
	Counter
	Return(ctx context.Context, key string, rate Rate) error
}

const (
	// DefaultSharedTimeout is what a request waits for the shared counter at most. A Redis nearby answers in one
	// millisecond.
	DefaultSharedTimeout = 100 * time.Millisecond
	// restShared is how long a shared counter that failed is left alone, so that not every request pays the timeout.
	restShared = time.Second
	// quiet is how long after a line in the log the next is left out.
	quiet = time.Minute
)

// Shared is the limiter's side of a shared counter.
type shared struct {
	counter  Counter
	returner Returner // nil if the counter is none
	name     string
	timeout  time.Duration
	now      func() time.Time
	log      *slog.Logger
	rested   atomic.Int64 // Unix nanoseconds, from when on the counter is asked again
	spoken   atomic.Int64 // Unix nanoseconds of the last line in the log
}

func newShared(o Options) *shared {
	s := &shared{counter: o.Shared, name: o.Name, timeout: o.SharedTimeout, now: o.Now, log: o.Log}
	s.returner, _ = o.Shared.(Returner)
	if s.timeout <= 0 {
		s.timeout = DefaultSharedTimeout
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	return s
}

// allow asks the counter. Not ok means that it could not be asked and the limiter's own count stands.
func (s *shared) allow(ctx context.Context, key string, rate Rate) (d Decision, ok bool) {
	if s.resting() {
		return d, false
	}
	d, err := s.ask(ctx, func(ctx context.Context) (Decision, error) { return s.counter.Allow(ctx, s.name+":"+key, rate) })
	if err != nil {
		s.fault(ctx, err)
		return d, false
	}
	d.Name, d.Rate = s.name, rate
	d.Remaining = min(max(d.Remaining, Unknown), rate.Requests)
	d.Reset = min(max(d.Reset, 0), rate.Per)
	switch {
	case d.OK:
		d.RetryAfter = 0
	case d.RetryAfter <= 0 || d.RetryAfter > rate.Per:
		d.RetryAfter = rate.Per
	}
	if d.Remaining == Unknown {
		d.Reset = 0
	}
	return d, true
}

func (s *shared) giveBack(ctx context.Context, key string, rate Rate) {
	if s.returner == nil || s.resting() {
		return
	}
	_, err := s.ask(ctx, func(ctx context.Context) (Decision, error) {
		return Decision{}, s.returner.Return(ctx, s.name+":"+key, rate)
	})
	if err != nil {
		s.fault(ctx, err)
	}
}

var (
	errHung     = errors.New("no answer within the counter's timeout")
	errPanicked = errors.New("the counter panicked")
)

// ask waits for the counter no longer than the timeout, whether or not it heeds its context, and takes a panic for an
// error: in a goroutine it would end the process.
func (s *shared) ask(ctx context.Context, do func(context.Context) (Decision, error)) (Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	type answer struct {
		decision Decision
		err      error
	}
	answers := make(chan answer, 1)
	go func() {
		a := answer{err: errPanicked}
		defer func() {
			recover()
			answers <- a
		}()
		a.decision, a.err = do(ctx)
	}()
	select {
	case a := <-answers:
		return a.decision, a.err
	case <-ctx.Done():
		return Decision{}, errHung
	}
}

// resting says whether the counter is left alone. The difference is bounded for a clock that was set back since.
func (s *shared) resting() bool {
	left := s.rested.Load() - s.now().UnixNano()
	return 0 < left && left <= int64(restShared)
}

// fault leaves the counter alone for a while, and writes one line a minute. A caller that went away says nothing
// about the counter: otherwise anybody could switch it off.
func (s *shared) fault(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	now := s.now()
	s.rested.Store(now.Add(restShared).UnixNano())
	last := s.spoken.Load()
	if since := now.UnixNano() - last; last != 0 && 0 <= since && since < int64(quiet) {
		return
	}
	if s.spoken.CompareAndSwap(last, now.UnixNano()) {
		s.log.Warn("the shared counter of requests does not work; this process counts alone",
			slog.String("limit", s.name), slog.String("error", err.Error()))
	}
}

// HashKey is a key as counters outside of the process should keep it: it tells neither an address nor a session.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}
