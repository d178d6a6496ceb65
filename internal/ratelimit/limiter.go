package ratelimit

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// DefaultSize is how many keys a limiter remembers: 800 kB of memory. That is far more than ask one small service
// within a minute, and keys that are idle do not count.
const DefaultSize = 50_000

// Options are a limiter's. All are optional but the name.
type Options struct {
	// Name is the kind of key that is counted: "address", "session". Clients read it in the RateLimit header, and
	// shared counters see it before each key. It is a word of lower-case letters, digits and hyphens, from the
	// program's code.
	Name string
	// Size is how many keys are remembered, 16 bytes each. DefaultSize.
	Size int
	// Now is the clock. time.Now.
	Now func() time.Time
	// Shared counts for several processes. The limiter's own memory takes its place while it does not work. None.
	Shared Counter
	// SharedTimeout is how long a request waits for Shared. DefaultSharedTimeout.
	SharedTimeout time.Duration
	// Log is told when Shared does not work, once a minute at most. slog.Default.
	Log *slog.Logger
}

// A Limiter counts the requests of each key of one kind. It may be used concurrently.
type Limiter struct {
	name   string
	now    func() time.Time
	table  *table
	shared *shared // nil if there is none

	once  sync.Once
	began time.Time // the first request
}

// A Decision is whether a request may go on, and what the client should know of its limit.
type Decision struct {
	// OK says that the request may go on.
	OK bool
	// Name is the limiter's.
	Name string
	// Rate is the limit that was applied. If it is off, the other fields but OK say nothing.
	Rate Rate
	// Remaining is how many more requests could follow at once, or Unknown.
	Remaining int
	// Reset is how long it takes until the whole quota is back, if nobody asks in between. 0 if Remaining is Unknown.
	Reset time.Duration
	// RetryAfter is how long a refused caller has to wait for its next request, and above 0 with every refusal.
	RetryAfter time.Duration
}

// Unknown is the Remaining of shared counters that tell only yes or no.
const Unknown = -1

// New makes a limiter. It draws nothing random and reads no clock, so that it may be called before the first request
// on Workers.
func New(o Options) *Limiter {
	if o.Size <= 0 {
		o.Size = DefaultSize
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Limiter{name: o.Name, now: o.Now, table: newTable(o.Size)}
	if o.Shared != nil {
		l.shared = newShared(o)
	}
	return l
}

// Allow counts a request for the key, if there is room for it: a refused request is not counted. It allocates nothing
// unless a shared counter is asked, waits for nothing else, and is never an error.
//
// A shared counter is asked only for what the limiter's own memory lets through. That has counted a part of what the
// shared one has, so its refusal holds, and a flood that is refused costs no round trips.
func (l *Limiter) Allow(ctx context.Context, key string, rate Rate) Decision {
	if rate.Off() {
		return Decision{OK: true, Name: l.name, Remaining: Unknown}
	}
	left, wait := l.table.take(key, rate, l.elapsed())
	d := Decision{
		OK:         wait <= 0,
		Name:       l.name,
		Rate:       rate,
		Remaining:  int((rate.quota() - left) / rate.cost()),
		Reset:      time.Duration(left),
		RetryAfter: time.Duration(max(0, wait)),
	}
	if !d.OK || l.shared == nil {
		return d
	}
	theirs, ok := l.shared.allow(ctx, key, rate)
	if !ok {
		return d
	}
	if !theirs.OK {
		l.table.giveBack(key, rate)
	}
	return theirs
}

// Return takes back a request that Allow let through and that did not happen, because another limit refused it. A
// shared counter takes it back if it is a Returner.
func (l *Limiter) Return(ctx context.Context, key string, rate Rate) {
	if rate.Off() {
		return
	}
	l.table.giveBack(key, rate)
	if l.shared != nil {
		l.shared.giveBack(ctx, key, rate)
	}
}

// Evicted is how many keys were forgotten before their quota was back, since the start. If it grows all the time,
// more keys are in use than Size.
func (l *Limiter) Evicted() int64 { return l.table.evicted.Load() }

// elapsed is the time since the first request, in nanoseconds. Sub takes the monotonic readings where the clock has
// them.
func (l *Limiter) elapsed() int64 {
	now := l.now()
	l.once.Do(func() { l.began = now })
	return int64(now.Sub(l.began))
}
