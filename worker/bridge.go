package worker

import (
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A bridge is one instance's state: what is open and what was asked of
// JavaScript. Nothing in it needs WebAssembly, so that it is tested natively;
// exports_wasip1.go is the thin layer which JavaScript calls.
//
// On Workers there is one thread and the lock is never contended. It is there
// for the tests, which run the bridge on many.
type bridge struct {
	handler http.Handler
	options Options
	names   []string // of the request headers that are carried; none means all

	mu      sync.Mutex
	out     outbox
	open    map[uint32]context.CancelFunc // :: request id → cancels its context
	effects map[uint32]chan result        // :: effect id → the goroutine that waits
	lastID  uint32                        // of the latest effect
	live    bool                          // the first request has come

	busy  atomic.Int32  // background jobs under way
	moves atomic.Uint64 // counts what shows that goroutines still get on
	pool  []chan func() // idle goroutines with their grown stacks, latest last
}

// A result is what JavaScript hands back for an effect.
type result struct {
	ok      bool
	payload []byte // the answer, or the reason in words
}

func newBridge(h http.Handler, o Options) *bridge {
	o = o.withDefaults()
	return &bridge{
		handler: h,
		options: o,
		names:   carried(o.Headers),
		open:    make(map[uint32]context.CancelFunc),
		effects: make(map[uint32]chan result),
	}
}

// ErrStarting is what an effect returns when it is begun before the first
// request: Workers allow neither I/O nor randomness while a Worker starts.
var ErrStarting = errors.New("worker: not possible before the first request")

// maxEffect bounds every effect. The platform may end the request that an
// effect runs under (30 s after its client has gone, or when it is over its
// CPU time) without a word; the goroutine that waits must not wait for ever.
const maxEffect = 60 * time.Second

// perform asks JavaScript for an effect and waits for its result, for the end
// of ctx, or for maxEffect.
//
// The request that ctx belongs to owns the effect: JavaScript performs it on
// that request's account where it can.
func (b *bridge) perform(ctx context.Context, kind uint32, payload []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	owner, _ := ctx.Value(ownerKey{}).(uint32)
	done := make(chan result, 1)

	b.mu.Lock()
	if !b.live {
		b.mu.Unlock()
		return nil, ErrStarting
	}
	id := b.nextEffect()
	b.effects[id] = done
	b.out.put(kind, id, owner, payload)
	b.mu.Unlock()
	b.moves.Add(1)

	limit := time.NewTimer(maxEffect)
	defer limit.Stop()
	select {
	case r := <-done:
		b.moves.Add(1)
		if !r.ok {
			return nil, errors.New(string(r.payload))
		}
		return r.payload, nil
	case <-ctx.Done():
		b.abandon(id)
		return nil, context.Cause(ctx)
	case <-limit.C:
		b.abandon(id)
		return nil, errors.New("worker: the platform gave no answer")
	}
}

// nextEffect returns an id that no effect under way has.
func (b *bridge) nextEffect() uint32 {
	for {
		b.lastID++
		if _, taken := b.effects[b.lastID]; b.lastID != 0 && !taken {
			return b.lastID
		}
	}
}

// abandon forgets an effect and tells JavaScript to stop it.
func (b *bridge) abandon(id uint32) {
	b.mu.Lock()
	if _, ok := b.effects[id]; ok {
		delete(b.effects, id)
		b.out.put(kindAbort, id, 0, nil)
	}
	b.mu.Unlock()
	b.moves.Add(1)
}

// resolve hands an effect's result to the goroutine that waits for it. A
// result nobody waits for is dropped. The payload is copied.
func (b *bridge) resolve(id uint32, ok bool, payload []byte) {
	b.mu.Lock()
	done, waiting := b.effects[id]
	delete(b.effects, id)
	b.mu.Unlock()
	if waiting {
		done <- result{ok, append([]byte(nil), payload...)}
	}
}

// start serves a request in a goroutine. The frame is copied.
func (b *bridge) start(id uint32, p []byte) {
	f, err := decodeFrame(p)
	b.mu.Lock()
	b.live = true
	b.mu.Unlock()
	if err != nil {
		b.answer(id, &answer{status: http.StatusBadRequest})
		return
	}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), ownerKey{}, id))
	b.mu.Lock()
	b.open[id] = cancel
	b.mu.Unlock()
	b.spawn(func() { b.serve(ctx, cancel, id, f) })
}

// cancel ends a request's context: its client has gone.
func (b *bridge) cancel(id uint32) {
	b.mu.Lock()
	cancel := b.open[id]
	b.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// answer puts a request's answer in the outbox.
func (b *bridge) answer(id uint32, a *answer) {
	b.mu.Lock()
	delete(b.open, id)
	at := b.out.begin(kindAnswer, id, id)
	b.out.buf = a.appendTo(b.out.buf)
	b.out.end(at)
	b.mu.Unlock()
	b.moves.Add(1)
}

// maxYields bounds settle, so that goroutines which never rest cannot keep
// JavaScript from its turn. What is left runs at the next wake-up.
const maxYields = 4096

// settle lets the other goroutines run until none gets on any longer.
//
// One Gosched puts this goroutine behind all that are ready, and those that
// they wake, save that every 61st turn the scheduler looks at the global queue
// first. Two turns in a row without a move therefore mean quiet, unless over
// 61 goroutines in a row are woken that neither ask for an effect nor answer;
// the wake-up loop of the open requests then runs the rest within one tick.
func (b *bridge) settle() {
	for i, quiet := 0, 0; i < maxYields && quiet < 2; i++ {
		before := b.moves.Load()
		runtime.Gosched()
		if b.moves.Load() == before {
			quiet++
		} else {
			quiet = 0
		}
	}
}

// spawn runs f in a goroutine, in an idle one where there is one: a goroutine
// that has served a request has a stack that need not grow again.
func (b *bridge) spawn(f func()) {
	b.mu.Lock()
	var idle chan func()
	if n := len(b.pool); n > 0 {
		idle, b.pool = b.pool[n-1], b.pool[:n-1]
	}
	b.mu.Unlock()
	if idle == nil {
		idle = make(chan func(), 1)
		go b.work(idle)
	}
	idle <- f
}

// maxIdle is how many idle goroutines are kept.
const maxIdle = 16

func (b *bridge) work(jobs chan func()) {
	for f := range jobs {
		f()
		b.mu.Lock()
		keep := len(b.pool) < maxIdle
		if keep {
			b.pool = append(b.pool, jobs)
		}
		b.mu.Unlock()
		if !keep {
			return
		}
	}
}

// uint32Payload is a payload of one number.
func uint32Payload(n uint32) []byte {
	return binary.LittleEndian.AppendUint32(nil, n)
}

// ownerKey is the context key of the id of the request that a context is of.
type ownerKey struct{}
