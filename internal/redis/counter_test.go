//go:build unix

package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"coze-token/internal/ratelimit"
	"coze-token/internal/redis"
	"coze-token/internal/redistest"
)

func allow(ctx context.Context, s *redis.Store, key string, requests int, per time.Duration) (
	ok bool, remaining int, retry time.Duration, err error,
) {
	d, err := s.Allow(ctx, key, ratelimit.Rate{Requests: requests, Per: per})
	return d.OK, d.Remaining, d.RetryAfter, err
}

func TestAllow(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	s := open(t, server.URL)
	ctx := t.Context()
	for i := range 5 {
		allowed, remaining, retry, err := allow(ctx, s, "a", 5, 5*time.Minute)
		if err != nil || !allowed || remaining != 4-i || retry != 0 {
			t.Fatalf("%d: %v, %d, %v, %v", i, allowed, remaining, retry, err)
		}
	}
	for range 3 { // what is refused does not count
		allowed, remaining, retry, err := allow(ctx, s, "a", 5, 5*time.Minute)
		if err != nil || allowed || remaining != 0 || retry > time.Minute || retry < 55*time.Second {
			t.Fatalf("%v, %d, %v, %v", allowed, remaining, retry, err)
		}
	}
	if allowed, _, _, err := allow(ctx, s, "b", 5, 5*time.Minute); err != nil || !allowed {
		t.Errorf("another key is limited too: %v", err)
	}
	// A key shares nothing with a value's name.
	if b, err := s.Get(ctx, "a"); b != nil || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	// A limit that was lowered, and one that was raised, hold from now on.
	if allowed, _, retry, err := allow(ctx, s, "a", 1, time.Second); err != nil || allowed || retry > time.Second {
		t.Errorf("%v, %v, %v", allowed, retry, err)
	}
	if allowed, remaining, _, err := allow(ctx, s, "a", 1000, 5*time.Minute); err != nil || !allowed && remaining != 0 {
		t.Errorf("%v, %d, %v", allowed, remaining, err)
	}
	// A theoretical arrival time far ahead, as after a clock was set back, refuses no key for
	// longer than a period.
	server.Do(ctx, "SET", "coze-token:limit:c", "9007199254740000")
	const short = 200 * time.Millisecond
	if allowed, _, retry, err := allow(ctx, s, "c", 1, short); err != nil || allowed || retry > short {
		t.Errorf("%v, %v, %v", allowed, retry, err)
	}
	server.Do(ctx, "SET", "coze-token:limit:d", "nonsense")
	if allowed, _, _, err := allow(ctx, s, "d", 1, time.Second); err != nil || !allowed {
		t.Errorf("%v, %v", allowed, err)
	}
}

// Room comes back at the even rate, and after a pause all of it, not more.
func TestAllowRefills(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	s := open(t, server.URL)
	const each = 500 * time.Millisecond // is how long it takes until there is room for one more
	began := time.Now()
	total := 0
	// use asks until it is refused. However long that and the sleeps take here: at least that much
	// has come back, and at most this.
	use := func(least int) {
		t.Helper()
		for {
			allowed, _, _, err := allow(t.Context(), s, "a", 4, 2*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if !allowed {
				break
			}
			total++
		}
		if most := 4 + int(time.Since(began)/each); total < least || total > most {
			t.Errorf("%d in %v, not %d to %d", total, time.Since(began), least, most)
		}
	}
	use(4)
	time.Sleep(1100 * time.Millisecond)
	use(6)
	time.Sleep(3 * time.Second)
	before := total
	use(10)
	if n := total - before; n < 4 || n > 4+int((time.Since(began)-4100*time.Millisecond)/each) {
		t.Errorf("%d after a pause", n)
	}
}

func TestReplicasShareALimit(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for range 10 {
		s := open(t, server.URL)
		for range 20 {
			wg.Go(func() {
				// A crowd may take longer than the 100 ms on a busy machine. Such a call is not
				// what is tested.
				for {
					ok, _, _, err := allow(t.Context(), s, "a", 50, time.Hour)
					if err == nil {
						if ok {
							allowed.Add(1)
						}
						return
					}
					time.Sleep(time.Second)
				}
			})
		}
	}
	wg.Wait()
	// A call that was given up may have been counted: fewer is possible, more is not.
	if n := allowed.Load(); n > 50 || n < 30 {
		t.Errorf("%d of 200 were allowed, with a limit of 50", n)
	}
}

// While the server hangs, each limiter counts alone, and requests wait at most 100 ms, once in
// three seconds.
func TestLimitersWithoutAServer(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	rate := ratelimit.Rate{Requests: 100, Per: time.Hour}
	one, two := limiter(t, server), limiter(t, server)
	one.Allow(t.Context(), "a", rate)
	if d := two.Allow(t.Context(), "a", rate); d.Remaining != 98 {
		t.Fatalf("they do not share a count: %+v", d)
	}
	server.Hang()
	var mu sync.Mutex
	var waits []time.Duration
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				began := time.Now()
				two.Allow(t.Context(), fmt.Sprint(i), ratelimit.Rate{Requests: 1e6, Per: time.Hour})
				if d := time.Since(began); d > 90*time.Millisecond {
					mu.Lock()
					defer mu.Unlock()
					waits = append(waits, d)
				}
			})
		}
		all.Wait()
	}
	// Up to four wait when the server begins to hang, and one when it is tried again. A busy
	// machine does not slow down each of them.
	if n := len(waits); n < 1 || n > 8 || slices.Min(waits) > 300*time.Millisecond {
		t.Errorf("within 4 s, requests waited %v for a server that hangs", waits)
	}
	if d := two.Allow(t.Context(), "a", rate); !d.OK || d.Remaining != 98 {
		t.Errorf("it does not count alone: %+v", d)
	}
	server.GoOn()
	one = limiter(t, server)
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		before := one.Allow(t.Context(), "b", rate)
		after := two.Allow(t.Context(), "b", rate)
		if after.Remaining == before.Remaining-1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no recovery: %+v, %+v", before, after)
		}
	}
}

func limiter(t *testing.T, server *redistest.Server) *ratelimit.Limiter {
	return ratelimit.New(ratelimit.Options{
		Name: "address", Shared: open(t, server.URL), Log: slog.New(slog.DiscardHandler),
	})
}

func TestAllowEndsWithItsContext(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	s := open(t, server.URL)
	server.Hang()
	defer server.GoOn()
	late, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, _, _, err := allow(late, s, "a", 1000, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, _, err := allow(gone, s, "a", 1000, time.Minute); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
