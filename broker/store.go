package broker

import (
	"context"
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
	// restStore is how long a store that failed restAfter times in a row is left alone, so that not every flight pays for it. One
	// failure may be this machine's own, which was busy; who then exchanges without the store does it for each session.
	restStore = 3 * time.Second
	restAfter = 5
	// Pauses between two looks.
	firstLook = 25 * time.Millisecond
	lastLook  = 200 * time.Millisecond
)

// Sharing is the broker's side of a store.
type sharing struct {
	store   Store
	claimer Claimer // nil if the store is none
	timeout time.Duration
	now     func() time.Time
	log     *slog.Logger
	hush    hush
	run     atomic.Int32 // failures in a row
	rested  atomic.Int64 // Unix nanoseconds, from when on the store is asked again; 0 if all is well
	faults  atomic.Int64
}

func newSharing(store Store, timeout time.Duration, now func() time.Time, log *slog.Logger) *sharing {
	if timeout <= 0 {
		timeout = DefaultStoreTimeout
	}
	sh := &sharing{store: store, timeout: timeout, now: now, log: log}
	sh.claimer, _ = store.(Claimer)
	return sh
}

// find looks for a token that serves the flight. Not finding one, it returns when this broker is the one to exchange it, or has waited
// long enough for the one that is: the store is a help, never a condition.
func (sh *sharing) find(ctx context.Context, f *flight) (h held, ok bool) {
	box := f.app.box
	if box == nil || sh.resting() {
		return h, false
	}
	began := time.Now()
	name := box.name(f.key)
	for pause := firstLook; ; pause = min(pause*2, lastLook) {
		h, ok, mine := sh.look(ctx, name, f)
		if ok || mine || time.Since(began) >= f.patience {
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
func (sh *sharing) look(flying context.Context, name string, f *flight) (h held, ok, mine bool) {
	ctx, cancel := context.WithTimeout(flying, sh.timeout)
	defer cancel()
	value, err := ask(ctx, func() ([]byte, error) { return sh.store.Get(ctx, name) })
	if err != nil {
		sh.fault("get", err)
		sh.failed()
		return h, false, true
	}
	if len(value) > 0 {
		h, err = f.app.box.open(name, value)
		if err != nil {
			sh.fault("open", err)
		} else if f.terms.meet(h, sh.now().UnixNano()) && h.expiry > f.newer {
			sh.worked()
			return h, true, false
		}
	}
	if sh.claimer == nil {
		sh.worked()
		return held{}, false, true
	}
	if f.claim == nil {
		f.claim = sh.newClaim(name)
	}
	mine, err = f.claim.take(ctx)
	if err != nil {
		sh.failed()
		return held{}, false, true
	}
	sh.worked()
	if mine {
		f.claim.renew(flying)
	}
	return held{}, false, mine
}

// finish tells the others what came of a flight: they find its token, or its claim is free. With a token there the claim is left to
// its time, for those who looked before it was and claim only now.
func (sh *sharing) finish(f *flight, got outcome) {
	if f.claim != nil {
		f.claim.end()
	}
	kept := got.err == nil && got.origin == Miss && sh.keep(f, got.held)
	if f.claim != nil && !kept {
		f.claim.release(f.ctx)
	}
}

// keep puts a new token into the store, for as long as it can be handed out. A store that rests is left alone, but not where
// others may be waiting for the one that came first.
func (sh *sharing) keep(f *flight, h held) (kept bool) {
	box := f.app.box
	ttl := time.Duration(f.terms.end(h) - f.terms.base - sh.now().UnixNano())
	if box == nil || ttl <= 0 || sh.rested.Load() != 0 && !f.claim.held() {
		return false
	}
	name := box.name(f.key)
	ctx, cancel := context.WithTimeout(f.ctx, sh.timeout)
	defer cancel()
	_, err := ask(ctx, func() (struct{}, error) { return struct{}{}, sh.store.Put(ctx, name, box.seal(name, h), ttl) })
	if err != nil {
		sh.fault("put", err)
		sh.failed()
	}
	return err == nil
}

// resting says whether the store is left alone. When its rest is over, it says so to one flight, which tries the store, and to another if
// nothing is heard of that one.
func (sh *sharing) resting() bool {
	until := sh.rested.Load()
	if until == 0 {
		return false
	}
	now := sh.now().UnixNano()
	if left := until - now; 0 < left && left <= int64(2*restStore) { // more is a clock that was set back
		return true
	}
	return !sh.rested.CompareAndSwap(until, now+int64(restStore))
}

// failed notes that the store, or this machine, was too slow or worse.
func (sh *sharing) failed() {
	if sh.run.Add(1) >= restAfter {
		sh.rested.Store(sh.now().Add(restStore).UnixNano())
	}
}

// worked notes that the store did all that a flight asked before its exchange.
func (sh *sharing) worked() {
	if sh.run.Load() != 0 {
		sh.run.Store(0)
		sh.rested.Store(0)
	}
}

// fault counts what went wrong, and writes one line a minute.
func (sh *sharing) fault(operation string, err error) {
	sh.faults.Add(1)
	if more, ok := sh.hush.speak(sh.now()); ok {
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
