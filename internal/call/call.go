// Package call has the one engine for calls that several callers wait for and that none of them
// owns: an exchange at Coze, a fetch of a provider's keys. A call goes on when the caller who
// started it has gone.
//
// golang.org/x/sync/singleflight is not used. The map of calls and what they bring must change
// under one lock of the owner's, the host starts the goroutine, and on Workers a goroutine can be
// lost together with its request.
package call

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// overdue is added to a call's timeout. A call that is still under way then has lost its goroutine.
const overdue = time.Second

// A Call is one call under way, or its result. Start makes it.
type Call[T any] struct {
	done    chan struct{}
	expires time.Time // by the monotonic clock: the other one may be corrected by this very call
	value   T
	err     error
}

// A PanicError is the error of a call that panicked.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("it panicked: %v", e.Value) }

// errAbandoned is the result of a call whose goroutine ended without one (runtime.Goexit).
var errAbandoned = errors.New("the call was abandoned")

// Start runs do in a goroutine that spawn starts, within the timeout. ctx gives do its values; its
// end does not end do. Before those who wait are told, settle gets the result and returns it as
// they are to see it: there the owner takes the call out of its map. settle is called once, after a
// panic too.
func Start[T any](
	ctx context.Context, spawn func(func()), timeout time.Duration,
	do func(context.Context) (T, error), settle func(*Call[T], T, error) (T, error),
) *Call[T] {
	c := &Call[T]{done: make(chan struct{}), expires: time.Now().Add(timeout + overdue), err: errAbandoned}
	ctx = context.WithoutCancel(ctx)
	spawn(func() {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		defer close(c.done)
		value, err := run(ctx, do)
		c.value, c.err = settle(c, value, err)
	})
	return c
}

func run[T any](ctx context.Context, do func(context.Context) (T, error)) (value T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{p, debug.Stack()}
		}
	}()
	return do(ctx)
}

// Joinable reports whether c is worth waiting for. A nil call is not, nor one whose goroutine must
// have been lost.
func (c *Call[T]) Joinable() bool { return c != nil && time.Now().Before(c.expires) }

// Done is closed when the result is there.
func (c *Call[T]) Done() <-chan struct{} { return c.done }

// Result is the result. It may be called once Done is closed.
func (c *Call[T]) Result() (T, error) { return c.value, c.err }
