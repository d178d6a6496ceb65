package guard_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"coze-token/internal/guard"
)

const (
	timeout = 100 * time.Millisecond
	open    = 3 * time.Second
)

func newGuard(failures int, log *bytes.Buffer, now func() time.Time) *guard.Guard {
	return guard.New(guard.Options{
		Timeout: timeout, Failures: failures, Open: open, Message: "it does not work", Now: now,
		Log: slog.New(slog.NewTextHandler(log, nil)),
	})
}

var errRefused = errors.New("connection refused")

func TestCall(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(context.Context) (int, error)
		took time.Duration
		want string // in the error; empty: none
	}{
		"works":  {func(context.Context) (int, error) { return 7, nil }, 0, ""},
		"error":  {func(context.Context) (int, error) { return 0, errRefused }, 0, "connection refused"},
		"panics": {func(context.Context) (int, error) { panic("nil map") }, 0, "nil map"},
		"exits":  {func(context.Context) (int, error) { runtime.Goexit(); return 7, nil }, 0, "abandoned"},
		"hangs": {func(ctx context.Context) (int, error) {
			<-ctx.Done()
			time.Sleep(time.Millisecond)
			return 0, ctx.Err()
		}, timeout, "timeout"},
		"hangs, whatever its context says": {func(context.Context) (int, error) {
			time.Sleep(time.Hour)
			return 7, nil
		}, timeout, "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				g := newGuard(0, &log, nil)
				began := time.Now()
				got, err := guard.Call(t.Context(), g, "get", c.do)
				if took := time.Since(began); took != c.took {
					t.Errorf("took %v", took)
				}
				if c.want == "" {
					if got != 7 || err != nil || g.Faults() != 0 || !g.Ready() || log.Len() != 0 {
						t.Errorf("%v, %v, %d faults, log: %s", got, err, g.Faults(), &log)
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), c.want) || g.Faults() != 1 || g.Ready() || g.Closed() {
					t.Errorf("%v, %v, %d faults", got, err, g.Faults())
				}
				if line := log.String(); !strings.Contains(line, "operation=get") || !strings.Contains(line, c.want) {
					t.Errorf("log: %s", line)
				}
				time.Sleep(2 * time.Hour) // for the one that hangs
			})
		})
	}
}

// A caller who goes away must not be able to open the breaker for others.
func TestCallerGoneIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		g := newGuard(1, &log, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := guard.Call(ctx, g, "get", func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		})
		if err == nil || !g.Ready() || g.Faults() != 0 || log.Len() != 0 {
			t.Errorf("%v, %d faults, log: %s", err, g.Faults(), &log)
		}
	})
}

func fail(t *testing.T, g *guard.Guard) {
	t.Helper()
	_, err := guard.Call(t.Context(), g, "get", func(context.Context) (int, error) { return 0, errRefused })
	if !errors.Is(err, errRefused) {
		t.Error(err)
	}
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(3, new(bytes.Buffer), nil)
		is := func(what string, ready ...bool) {
			t.Helper()
			for i, want := range ready {
				if got := g.Ready(); got != want {
					t.Errorf("%s, caller %d: ready %v", what, i, got)
				}
			}
		}
		fail(t, g)
		fail(t, g)
		g.Succeeded()
		fail(t, g)
		fail(t, g)
		is("two failures in a row", true, true)
		fail(t, g)
		is("three", false)
		time.Sleep(open - 1)
		is("open", false)
		time.Sleep(1)
		is("half-open", true, false, false)
		time.Sleep(open)
		is("half-open, and nothing was heard of the caller who tried", true, false)
		fail(t, g)
		time.Sleep(open - 1)
		is("open again", false)
		time.Sleep(1)
		is("half-open again", true, false)
		g.Succeeded()
		is("closed", true, true)
	})
}

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		g := newGuard(1, &log, nil)
		for range 100 { // one a second
			fail(t, g)
			time.Sleep(time.Second)
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "more_since_the_last_line=0") ||
			!strings.Contains(lines[1], "more_since_the_last_line=59") {
			t.Errorf("log: %s", &log)
		}
	})
}

// A clock that is set back keeps neither the remote away nor the log silent.
func TestClockIsSetBack(t *testing.T) {
	var log bytes.Buffer
	now := time.Unix(1_800_000_000, 0)
	g := newGuard(1, &log, func() time.Time { return now })
	for range 2 {
		fail(t, g)
		if g.Ready() {
			t.Error("ready after a failure")
		}
		now = now.Add(-time.Hour)
		if !g.Ready() {
			t.Error("not ready after the clock was set back")
		}
	}
	if strings.Count(log.String(), "\n") != 2 {
		t.Errorf("log: %s", &log)
	}
}

// Faults come from many calls at once, and each reads the clock a while before.
func TestThrottleAndTheClock(t *testing.T) {
	var throttle guard.Throttle
	start := time.Unix(1_700_000_000, 0)
	for _, step := range []struct {
		at      time.Duration
		skipped int64
		ok      bool
	}{
		{0, 0, true},
		{-time.Microsecond, 0, false},
		{-150 * time.Millisecond, 0, false},
		{59 * time.Second, 0, false},
		{time.Minute, 3, true},
		{time.Minute - time.Second, 0, false},
		{-time.Hour, 1, true}, // the clock was set back
		{time.Minute - time.Hour, 0, true},
	} {
		skipped, ok := throttle.Allow(start.Add(step.at))
		if ok != step.ok || skipped != step.skipped {
			t.Errorf("at %v: %d, %v; want %d, %v", step.at, skipped, ok, step.skipped, step.ok)
		}
	}
}
