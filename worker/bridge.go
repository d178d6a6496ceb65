package worker

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A bridge is one instance's state: open requests and effects under way. It needs no
// WebAssembly, so it is tested natively. JavaScript calls it through exports_wasip1.go.
//
// On Workers there is one thread, and the lock is always free. The tests use many threads.
type bridge struct {
	handler http.Handler
	maxBody int64
	names   []string // of the request headers that are carried; none means all
	warmUp  *WarmUp

	mu      sync.Mutex
	out     outbox
	open    map[uint32]context.CancelFunc // :: request id → cancels its context
	effects map[uint32]chan result        // :: effect id → the goroutine that waits
	lastID  uint32                        // of the latest effect
	live    bool                          // the first request has come

	busy  atomic.Int32  // background jobs under way
	moves atomic.Uint64 // counts what shows that goroutines still progress

	idle   chan *call // :: a request to serve → an idle goroutine
	idling atomic.Int32
}

// A result is what JavaScript returns for an effect.
type result struct {
	ok      bool
	payload []byte // the result, or the reason in words
}

func newBridge(h http.Handler, o Options) *bridge {
	return &bridge{
		handler: h,
		maxBody: cmp.Or(o.MaxBody, 64<<10),
		names:   carried(o.Headers),
		warmUp:  o.WarmUp,
		open:    make(map[uint32]context.CancelFunc),
		effects: make(map[uint32]chan result),
		idle:    make(chan *call),
	}
}

// errStarting is the error of an effect before the first request: Workers allow neither I/O nor
// randomness while a Worker starts.
var errStarting = errors.New("worker: not possible before the first request")

// maxEffect bounds every effect, because the platform may silently end the request under which it
// runs: 30 s after its client has gone, or over its CPU time.
const maxEffect = 60 * time.Second

// perform asks JavaScript for an effect. It waits for the result, the end of ctx, or maxEffect. The
// request of ctx owns the effect: JavaScript performs it on that request's account if it can.
func (b *bridge) perform(ctx context.Context, kind uint32, payload []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > maxEffect {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, maxEffect, errors.New("worker: the platform gave no answer"))
		defer cancel()
	}
	owner, _ := ctx.Value(ownerKey{}).(uint32)
	done := make(chan result, 1)

	b.mu.Lock()
	if !b.live {
		b.mu.Unlock()
		return nil, errStarting
	}
	b.lastID++
	id := b.lastID
	b.effects[id] = done
	b.out.put(kind, id, owner, func(p []byte) []byte { return append(p, payload...) })
	b.mu.Unlock()
	b.moves.Add(1)

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
	}
}

// abandon forgets an effect and asks JavaScript to stop it.
func (b *bridge) abandon(id uint32) {
	b.mu.Lock()
	if _, ok := b.effects[id]; ok {
		delete(b.effects, id)
		b.out.put(kindAbort, id, 0, func(p []byte) []byte { return p })
	}
	b.mu.Unlock()
	b.moves.Add(1)
}

// resolve gives an effect's result to the goroutine that waits for it, if one still does. The
// payload is copied.
func (b *bridge) resolve(id uint32, ok bool, payload []byte) {
	b.mu.Lock()
	done, waiting := b.effects[id]
	delete(b.effects, id)
	b.mu.Unlock()
	if waiting {
		done <- result{ok, append([]byte(nil), payload...)}
	}
}

// start serves a request in a goroutine. Only the frame's head is kept, as a copy.
func (b *bridge) start(id uint32, p []byte) {
	f, err := decodeFrame(p)
	if err != nil {
		b.answer(id, &answer{status: http.StatusBadRequest})
		return
	}
	c := &call{id: id, frame: f}
	c.Context, c.cancel = context.WithCancel(context.Background())
	b.mu.Lock()
	b.live = true
	b.open[id] = c.cancel
	b.mu.Unlock()
	b.spawn(c)
}

// A call is an open request, and its context. It is one piece of memory for what a request needs:
// on Workers an allocation takes about half a microsecond.
type call struct {
	context.Context
	cancel context.CancelFunc
	id     uint32
	frame  frame
	answer answer
}

// Value also has the request's id, for the effects that it asks for.
func (c *call) Value(key any) any {
	if key == (ownerKey{}) {
		return c.id
	}
	return c.Context.Value(key)
}

// maxIdle is how many idle goroutines are kept.
const maxIdle = 16

// spawn serves a request in an idle goroutine, or else in a new one. A new one has to grow its
// stack, and that took a fifth of a request's CPU time.
func (b *bridge) spawn(c *call) {
	select {
	case b.idle <- c:
		return
	default:
	}
	go func() {
		for c != nil {
			b.serve(c)
			if b.idling.Add(1) > maxIdle {
				b.idling.Add(-1)
				return
			}
			c = <-b.idle
			b.idling.Add(-1)
		}
	}()
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
	b.out.put(kindAnswer, id, id, a.appendTo)
	b.mu.Unlock()
	b.moves.Add(1)
}

// maxYields bounds settle when goroutines are always ready. The next wake-up continues.
const maxYields = 4096

// settle lets the other goroutines run until none of them progresses.
//
// One Gosched puts this goroutine behind all that are ready and all that they wake, except that
// every 61st turn the scheduler looks at the global queue first. So two turns without a move mean
// quiet, unless more than 61 goroutines in a row are woken that neither ask for an effect nor
// answer. Then the wake-up loop of the open requests runs the rest within one tick.
func (b *bridge) settle() {
	for i, quiet := 0, 0; i < maxYields && quiet < 2; i++ {
		before := b.moves.Load()
		runtime.Gosched()
		quiet++
		if b.moves.Load() != before {
			quiet = 0
		}
	}
}

// uint32Payload is a payload of one number.
func uint32Payload(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }

// ownerKey is the context key of the id of the request to which a context belongs.
type ownerKey struct{}
