// Package call has the one engine for calls that several callers wait for and that none of them
// owns: an exchange at Coze, a fetch of a provider's keys. A call goes on when the caller who
// started it has gone.
//
// golang.org/x/sync/singleflight is not used: the owner's map of calls and what they bring must
// change under one lock, the host starts the goroutine, and on Workers a goroutine can be lost
// together with its request.
package call

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// overdue is added to a call's timeout. After that, a call that goes on has lost its goroutine.
const overdue = time.Second

// A Call is one call that goes on, or its result. Start makes it.
type Call[T any] struct {
	done    chan struct{}
	expires time.Time // by the monotonic clock: this very call may correct the other one
	value   T
	err     error
}

// A PanicError is the error of a call that panicked.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("it panicked: %v", e.Value) }

// ErrAbandoned is the error of a call whose goroutine ended without a result (runtime.Goexit).
var ErrAbandoned = errors.New("the call was abandoned")

// Start runs do in a goroutine that spawn starts, within the timeout. do gets the values of ctx; the
// end of ctx does not end it. settle gets the result and returns it as those who wait shall see it.
// It is called exactly once, before they see it, even if do panicked or ended its goroutine. The
// owner takes the call out of its map there.
func Start[T any](
	ctx context.Context, spawn func(func()), timeout time.Duration,
	do func(context.Context) (T, error), settle func(*Call[T], T, error) (T, error),
) *Call[T] {
	c := &Call[T]{done: make(chan struct{}), expires: time.Now().Add(timeout + overdue)}
	ctx = context.WithoutCancel(ctx)
	spawn(func() {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		var value T
		err := ErrAbandoned
		defer func() {
			if p := recover(); p != nil {
				err = &PanicError{p, debug.Stack()}
			}
			c.value, c.err = settle(c, value, err)
			close(c.done)
		}()
		value, err = do(ctx)
	})
	return c
}

// Joinable reports whether c is worth waiting for. A nil call is not, and neither is one that must
// have lost its goroutine.
func (c *Call[T]) Joinable() bool { return c != nil && time.Now().Before(c.expires) }

// Done is closed when the result is there.
func (c *Call[T]) Done() <-chan struct{} { return c.done }

// Result is the result. It may be called once Done is closed.
func (c *Call[T]) Result() (T, error) { return c.value, c.err }
