package broker

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"time"

	"coze-token/internal/guard"
)

// A Store keeps values for a while, for all brokers that share it. It sees neither sessions nor
// tokens: keys are hashed and values sealed. It need not be trusted: brokers check what it returns.
// Package storetest checks an implementation.
//
// Keys have 43 to 49 bytes: letters, digits, "-", "_" and ".". Two brokers use the same key for the
// same token. Values have 50 bytes to 64 KiB, usually less than 200 bytes, and are not text. One
// token needs one Get, one Put and, of a Claimer, some Claims.
//
// No consistency is required. A value that is old or missing costs one exchange. A broker does not
// read its own writes.
//
// Methods are called concurrently and should return when their context ends, 150 ms later at most
// by default. A broker does not wait longer, but a method that hangs keeps a goroutine. It takes a
// panic for an error. After five errors in a row it does not ask the store for a second.
type Store interface {
	// Get returns the value last put under the key. It returns nil without an error if there is none
	// or its time is over. The broker does not change the value.
	Get(ctx context.Context, key string) ([]byte, error)
	// Put keeps a value for ttl, in place of any other under the key. ttl is more than zero and at
	// most 24 hours. A store may forget values earlier, or keep them longer: they say themselves
	// when they expire. The broker does not change the value afterwards.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
}

// A Claimer is a Store that can tell who came first. With one, many brokers that need the same
// token at the same time make one exchange. Without, each may make one.
type Claimer interface {
	Store
	// Claim reports whether owner has the key for ttl from now on. It must be atomic: of several
	// owners who call it at the same time, one gets true. It returns false while another owner has
	// the key. The owner who has it may claim it again, for a new ttl.
	//
	// Keys of claims are never used for values. An owner has 26 letters and digits. ttl is two
	// seconds; a store that rounds it must not keep it much longer, because others wait.
	Claim(ctx context.Context, key, owner string, ttl time.Duration) (bool, error)
	// Release gives the key up if the owner has it. If not, it does nothing and returns nil. It must
	// be atomic too.
	Release(ctx context.Context, key, owner string) error
}

const (
	// storeFailures in a row open the store's breaker. One failure may be this machine's own, which
	// was busy. Without the store, each session costs an exchange.
	storeFailures = 5
	// storeOpen is how long it is left alone then. Redis with Sentinel has a new primary after about a
	// second. One caller tries each time.
	storeOpen = time.Second
	// Pauses between two looks into the store.
	firstPause = 25 * time.Millisecond
	lastPause  = 200 * time.Millisecond
	// claimFor is how long others wait for a broker that claimed and died.
	claimFor = 2 * time.Second
	// renewEvery is how often a claim is renewed. Two renewals may fail before it is lost.
	renewEvery = 600 * time.Millisecond
)

// shared is the broker's side of a store, which is a help and never a condition.
type shared struct {
	store   Store
	claimer Claimer // nil if the store is none
	guard   *guard.Guard
	now     func() time.Time
}

func newShared(o Options) *shared {
	claimer, _ := o.Store.(Claimer)
	return &shared{o.Store, claimer, guard.New(guard.Options{
		Timeout:  o.StoreTimeout,
		Failures: storeFailures,
		Open:     storeOpen,
		Message:  "the shared store does not work; tokens are exchanged without it",
		Log:      o.Log,
		Now:      o.Now,
	}), o.Now}
}

// A look is what a broker sees when it looks into the store.
type look struct {
	held  held
	found bool // there is a token that serves
	first bool // there is none, and this broker shall exchange one
}

// find waits for a token that serves the job. Without one it returns when this broker shall
// exchange one, or has waited long enough for another that does.
func (sh *shared) find(ctx context.Context, j *job) (h held, ok bool) {
	if j.app.sealer == nil || !sh.guard.Ready() {
		return h, false
	}
	began := time.Now()
	key := j.app.sealer.key(j.key)
	if sh.claimer != nil {
		j.claim = &claim{shared: sh, key: key + ".claim", owner: rand.Text()}
	}
	for pause := firstPause; ; pause = min(pause*2, lastPause) {
		saw, err := guard.Call(ctx, sh.guard, "get", func(ctx context.Context) (look, error) {
			return sh.look(ctx, key, j)
		})
		if err != nil {
			return h, false
		}
		sh.guard.Succeeded()
		if saw.first && j.claim != nil {
			j.claim.renew(ctx)
		}
		if saw.found || saw.first || time.Since(began) >= j.patience {
			return saw.held, saw.found
		}
		select {
		case <-time.After(pause - pause/4 + time.Duration(random(int64(pause/2)))):
		case <-ctx.Done():
			return h, false
		}
	}
}

func (sh *shared) look(ctx context.Context, key string, j *job) (look, error) {
	value, err := sh.store.Get(ctx, key)
	if err != nil {
		return look{}, err
	}
	if len(value) > 0 {
		h, err := j.app.sealer.open(key, value)
		if err != nil {
			sh.guard.Fault("open", err)
		} else if j.terms.meet(h, sh.now().UnixNano()) && h.expiry > j.newer {
			return look{held: h, found: true}, nil
		}
	}
	if j.claim == nil || ctx.Err() != nil {
		return look{first: true}, ctx.Err()
	}
	first, err := j.claim.acquire(ctx)
	if err != nil {
		err = fmt.Errorf("claim: %w", err)
	}
	return look{first: first}, err
}

// finish shows others what came of a job: they find its token, or its claim is free. Beside a token
// the claim is left to expire, for brokers that looked before the token was there and claim now.
func (sh *shared) finish(ctx context.Context, j *job) {
	claimed := j.claim != nil && j.claim.end()
	kept := j.fresh.access != "" && j.app.sealer != nil && (claimed || sh.guard.Closed()) && sh.keep(ctx, j)
	if claimed && !kept {
		guard.Call(ctx, sh.guard, "release", func(ctx context.Context) (struct{}, error) {
			return struct{}{}, sh.claimer.Release(ctx, j.claim.key, j.claim.owner)
		})
	}
}

// keep puts a new token into the store, for as long as it can be handed out.
func (sh *shared) keep(ctx context.Context, j *job) bool {
	key := j.app.sealer.key(j.key)
	value := j.app.sealer.seal(key, j.fresh)
	ttl := time.Duration(j.terms.useful(j.fresh) - sh.now().UnixNano())
	if ttl <= 0 || len(value) > maxSealed {
		return false
	}
	_, err := guard.Call(ctx, sh.guard, "put", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, sh.store.Put(ctx, key, value, ttl)
	})
	return err == nil
}

// A claim keeps other brokers from exchanging what a job exchanges.
type claim struct {
	shared     *shared
	key, owner string
	mayHold    atomic.Bool // the store may have given it
	stop       func()      // ends the renewals; nil if there are none
}

// acquire claims the key, or renews the claim.
func (c *claim) acquire(ctx context.Context) (bool, error) {
	c.mayHold.Store(true) // stays true after an error: the answer that was lost may be a yes
	held, err := c.shared.claimer.Claim(ctx, c.key, c.owner, claimFor)
	if err == nil {
		c.mayHold.Store(held)
	}
	return held, err
}

// renew keeps the claim until its end, however long Coze takes.
func (c *claim) renew(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	stopped := make(chan struct{})
	c.stop = func() { cancel(); <-stopped }
	go func() {
		defer close(stopped)
		for {
			select {
			case <-time.After(renewEvery):
			case <-ctx.Done():
				return
			}
			// The end does not break a renewal off: one that came after the release would claim again.
			held, err := guard.Call(context.WithoutCancel(ctx), c.shared.guard, "claim", c.acquire)
			if err == nil && !held {
				return // it was lost, and another broker exchanges too
			}
		}
	}()
}

// end ends the renewals. It reports whether the store may still have the claim.
func (c *claim) end() bool {
	if c.stop != nil {
		c.stop()
	}
	return c.mayHold.Load()
}
