package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"
)

// A Store keeps values for a while, for all brokers that share it. It sees neither sessions nor tokens: names are
// hashed, values sealed. Whatever it returns is checked, so it need not be trusted with more than being there.
//
// Its methods are called concurrently and should end with their context; a store that does not costs a
// goroutine for as long as it hangs.
type Store interface {
	// Get returns the value last put under the name, and nil without an error if there is none or its time is over.
	// An older value is no harm.
	Get(ctx context.Context, name string) ([]byte, error)
	// Put keeps a value for ttl, instead of any other under the name. A store with a least ttl of its own keeps it that long, or not
	// at all: what has expired is seen in the value.
	Put(ctx context.Context, name string, value []byte, ttl time.Duration) error
}

// A Claimer is a Store that can tell who came first. With one, many brokers that need the same token at the same time make few
// exchanges; without, each may make one.
type Claimer interface {
	Store
	// Claim takes the name for ttl and returns true, or false if another owner has it. Who has it may take it again, to have it longer.
	Claim(ctx context.Context, name, owner string, ttl time.Duration) (bool, error)
	// Release gives the name up, unless another owner has it.
	Release(ctx context.Context, name, owner string) error
}

const (
	// restStore is how long a store that failed is left alone, so that not every flight pays for it.
	restStore = 3 * time.Second
	// claimFor is how long the one that came first has for its exchange before another tries. Coze's Chat SDK waits 3 s.
	claimFor = 2 * time.Second
	// patience is how long the others wait for it in all. Then each goes itself: the store is a help, never a condition.
	patience = 2500 * time.Millisecond
	// Pauses between two looks.
	firstLook = 25 * time.Millisecond
	lastLook  = 200 * time.Millisecond
)

// Sharing is the broker's side of a store.
type sharing struct {
	store   Store
	claimer Claimer // nil if the store is none
	timeout time.Duration
	log     *slog.Logger
	hush    hush
	rested  atomic.Int64 // Unix nanoseconds, from when on the store is asked again
	faults  atomic.Int64
}

func newSharing(store Store, timeout time.Duration, log *slog.Logger) *sharing {
	if timeout <= 0 {
		timeout = DefaultStoreTimeout
	}
	sh := &sharing{store: store, timeout: timeout, log: log}
	sh.claimer, _ = store.(Claimer)
	return sh
}

// find looks for a token that serves the flight. Not finding one, it returns when this broker is the one to exchange it.
func (sh *sharing) find(ctx context.Context, f *flight, now func() time.Time) (h held, ok bool) {
	box := f.app.box
	started := now()
	if box == nil || sh.resting(started) {
		return h, false
	}
	name := box.name(f.key)
	for pause := firstLook; ; pause = min(pause*2, lastLook) {
		h, ok, mine := sh.look(ctx, box, name, f, now)
		if ok || mine || now().Sub(started) >= patience {
			return h, ok
		}
		timer := time.NewTimer(pause - pause/4 + time.Duration(spread(int64(pause/2))))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return held{}, false
		}
	}
}

// look asks the store once, within its timeout. mine says that it is this broker's turn to exchange.
func (sh *sharing) look(ctx context.Context, box *box, name string, f *flight, now func() time.Time) (h held, ok, mine bool) {
	ctx, cancel := context.WithTimeout(ctx, sh.timeout)
	defer cancel()
	value, err := ask(ctx, func() ([]byte, error) { return sh.store.Get(ctx, name) })
	if err != nil {
		sh.fault("get", err, now())
		sh.rest(now())
		return h, false, true
	}
	if len(value) > 0 {
		h, err = box.open(name, value)
		if err != nil {
			sh.fault("open", err, now())
		} else if f.terms.meet(h, now().UnixNano()) && h.expiry > f.newer {
			return h, true, false
		}
	}
	if sh.claimer == nil {
		return held{}, false, true
	}
	if f.owner == "" {
		f.owner = rand.Text()
	}
	mine, err = ask(ctx, func() (bool, error) { return sh.claimer.Claim(ctx, claimOf(name), f.owner, claimFor) })
	f.claimed = mine || err != nil // an answer that does not come may be a yes
	if err != nil {
		sh.fault("claim", err, now())
		sh.rest(now())
		return held{}, false, true
	}
	return held{}, false, mine
}

func claimOf(name string) string { return name + ".claim" }

// finish tells the others what came of a flight. They have the token, or the claim is free: who waits for it need not wait until
// its time is over. With the token there the claim is left to its time, for those who looked before and claim only now.
func (sh *sharing) finish(f *flight, got outcome, now time.Time) {
	if f.app.box == nil {
		return
	}
	name := f.app.box.name(f.key)
	if got.err == nil && got.origin == Minted && sh.keep(f, name, got.held, now) || !f.claimed {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(f.ctx), sh.timeout)
	defer cancel()
	if _, err := ask(ctx, func() (struct{}, error) { return struct{}{}, sh.claimer.Release(ctx, claimOf(name), f.owner) }); err != nil {
		sh.fault("release", err, now)
	}
}

// keep puts a new token into the store, for as long as it can be handed out. A store that failed meanwhile is left alone, but not where
// others may be waiting for the one that came first.
func (sh *sharing) keep(f *flight, name string, h held, now time.Time) (kept bool) {
	ttl := time.Duration(f.terms.end(h) - f.terms.base - now.UnixNano())
	if ttl <= 0 || sh.resting(now) && !f.claimed {
		return false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(f.ctx), sh.timeout)
	defer cancel()
	_, err := ask(ctx, func() (struct{}, error) { return struct{}{}, sh.store.Put(ctx, name, f.app.box.seal(name, h), ttl) })
	if err != nil {
		sh.fault("put", err, now)
		sh.rest(now)
	}
	return err == nil
}

// resting says whether the store is left alone. The difference is bounded for a clock that was set back since; not to restStore itself, as
// now may be a moment older than what rest was given.
func (sh *sharing) resting(now time.Time) bool {
	left := sh.rested.Load() - now.UnixNano()
	return 0 < left && left <= int64(2*restStore)
}

func (sh *sharing) rest(now time.Time) { sh.rested.Store(now.Add(restStore).UnixNano()) }

// fault counts what went wrong, and writes one line a minute.
func (sh *sharing) fault(operation string, err error, now time.Time) {
	sh.faults.Add(1)
	if more, ok := sh.hush.speak(now); ok {
		sh.log.Warn("the shared store does not work; tokens are exchanged without it",
			slog.String("operation", operation), slog.String("error", err.Error()), slog.Int64("more_since_the_last_line", more))
	}
}

var errHung = errors.New("no answer within the store's timeout")

// ask waits for a store's answer no longer than ctx, whether or not the store heeds it, and takes a panic for an error.
func ask[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		a := answer{err: errors.New("the store panicked")}
		defer func() {
			recover()
			answers <- a
		}()
		a.value, a.err = do()
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, errHung
	}
}
