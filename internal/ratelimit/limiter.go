package ratelimit

import (
	"context"
	"log/slog"
	"time"

	"coze-token/internal/guard"
)

// DefaultSize is the default of Options.Size: 800 kB of memory. It is far more keys than a small
// service sees in a minute, and idle keys need no room.
const DefaultSize = 50_000

// Options are a limiter's.
type Options struct {
	// Name is the kind of key: "address", "session". Clients read it in the RateLimit header. It
	// consists of lower-case letters, digits and hyphens. Required.
	Name string
	// Size is how many keys are remembered, 16 bytes each. Optional: [DefaultSize].
	Size int
	// Shared counts for several processes. Optional.
	Shared Counter
	// Secret keeps the shared counter's operator from trying which address or user a key stands for.
	// It is the same in all processes that share it. Optional: without it, keys can be guessed.
	Secret []byte
	// Log takes a warning when Shared does not work, at most one a minute. Optional:
	// [slog.Default].
	Log *slog.Logger
}

// A Limiter counts the requests of each key of one kind. It is safe for concurrent use.
type Limiter struct {
	name    string
	started time.Time // TATs count from here, by the monotonic clock
	table   *table
	shared  Counter // nil if there is none
	secret  []byte
	guard   *guard.Guard
}

// New makes a limiter. It draws nothing random, which Workers do not allow before the first
// request.
func New(o Options) *Limiter {
	if o.Size <= 0 {
		o.Size = DefaultSize
	}
	return &Limiter{o.Name, time.Now(), newTable(o.Size), o.Shared, o.Secret, newGuard(o)}
}

// Allow counts a request for the key if there is room for it. A refused request is not counted. A
// nil limiter refuses nothing. Without a shared counter, Allow neither waits nor allocates; with
// one, it waits for at most 100 ms.
//
// The shared counter is asked only about requests that the limiter's own count lets through. The
// own count is a part of the shared one, so its refusals are right, and a flood that it refuses
// costs no round trips.
func (l *Limiter) Allow(ctx context.Context, key string, rate Rate) Decision {
	if l == nil || rate.Off() {
		return Decision{OK: true}
	}
	ok, ahead := l.table.allow(key, rate, int64(time.Since(l.started)))
	d := Decision{
		OK:         ok,
		Name:       l.name,
		Rate:       rate,
		Remaining:  int((rate.tolerance() - ahead) / rate.interval()),
		RetryAfter: time.Duration(max(0, ahead+rate.interval()-rate.tolerance())),
	}
	if !d.OK || l.shared == nil {
		return d
	}
	theirs, ok := l.askShared(ctx, key, rate)
	if !ok {
		return d
	}
	if !theirs.OK {
		l.undo(key, rate)
	}
	return theirs
}

// Faults is how many operations of the shared counter failed.
func (l *Limiter) Faults() int64 { return l.guard.Faults() }

// undo takes back a request that Allow let through and that another limit refused.
func (l *Limiter) undo(key string, rate Rate) {
	if l != nil && !rate.Off() {
		l.table.undo(key, rate)
	}
}
