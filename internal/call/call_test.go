package call_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"coze-token/internal/call"
)

const timeout = 5 * time.Second

func spawn(f func()) { go f() }

// as is a settle that changes nothing.
func as(_ *call.Call[int], value int, err error) (int, error) { return value, err }

func TestCall(t *testing.T) {
	refused := errors.New("refused")
	for name, test := range map[string]struct {
		do    func(context.Context) (int, error)
		value int
		is    error
	}{
		"works":  {func(context.Context) (int, error) { return 7, nil }, 7, nil},
		"fails":  {func(context.Context) (int, error) { return 7, refused }, 7, refused},
		"exits":  {func(context.Context) (int, error) { runtime.Goexit(); return 7, nil }, 0, call.ErrAbandoned},
		"slow":   {func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }, 0, context.DeadlineExceeded},
		"panics": {func(context.Context) (int, error) { panic(refused) }, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				settled := 0
				c := call.Start(ctx, spawn, timeout, test.do, func(_ *call.Call[int], value int, err error) (int, error) {
					settled++
					return value + 1, err
				})
				cancel() // the first caller goes
				<-c.Done()
				value, err := c.Result()
				if value != test.value+1 || settled != 1 {
					t.Errorf("%d, settled %d times", value, settled)
				}
				p, panicked := errors.AsType[*call.PanicError](err)
				switch {
				case name != "panics":
					if !errors.Is(err, test.is) || test.is == nil && err != nil {
						t.Error(err)
					}
				case !panicked || p.Value != refused || !strings.Contains(string(p.Stack), "call_test.go") ||
					!strings.Contains(p.Error(), "refused"):
					t.Errorf("%+v", err)
				}
			})
		})
	}
}

type valueKey struct{}

func TestContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), valueKey{}, 7))
	cancel()
	c := call.Start(ctx, spawn, timeout, func(ctx context.Context) (int, error) {
		n, _ := ctx.Value(valueKey{}).(int)
		return n, ctx.Err()
	}, as)
	<-c.Done()
	if n, err := c.Result(); n != 7 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// The host may lose the goroutine, and may find it again.
func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost func()
		c := call.Start(t.Context(), func(f func()) { lost = f }, timeout,
			func(ctx context.Context) (int, error) { return 7, ctx.Err() }, as)
		if !c.Joinable() {
			t.Error("a call that has begun is not joinable")
		}
		time.Sleep(timeout + time.Second - 1)
		if !c.Joinable() {
			t.Error("a call within its timeout is not joinable")
		}
		time.Sleep(1)
		if c.Joinable() {
			t.Error("a lost call is joinable")
		}
		lost()
		<-c.Done()
		if n, err := c.Result(); n != 7 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
	if (*call.Call[int])(nil).Joinable() {
		t.Error("no call is joinable")
	}
}
