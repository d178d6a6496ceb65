//go:build unix

package redis_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"coze-token/internal/redis"
	"coze-token/internal/redistest"
)

func TestAllow(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	s := open(t, server.URL)
	ctx := t.Context()
	for i := range 5 {
		allowed, remaining, retry, err := s.Allow(ctx, "a", 5, 5*time.Minute)
		if err != nil || !allowed || remaining != 4-i || retry != 0 {
			t.Fatalf("%d: %v, %d, %v, %v", i, allowed, remaining, retry, err)
		}
	}
	for range 3 { // what is refused does not count
		allowed, remaining, retry, err := s.Allow(ctx, "a", 5, 5*time.Minute)
		if err != nil || allowed || remaining != 0 || retry > time.Minute || retry < 55*time.Second {
			t.Fatalf("%v, %d, %v, %v", allowed, remaining, retry, err)
		}
	}
	if allowed, _, _, err := s.Allow(ctx, "b", 5, 5*time.Minute); err != nil || !allowed {
		t.Errorf("another key is limited too: %v", err)
	}
	// A key shares nothing with a value's name.
	if b, err := s.Get(ctx, "a"); b != nil || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	// A limit that was lowered, and one that was raised, hold from now on.
	if allowed, _, retry, err := s.Allow(ctx, "a", 1, time.Second); err != nil || allowed || retry > time.Second {
		t.Errorf("%v, %v, %v", allowed, retry, err)
	}
	if allowed, remaining, _, err := s.Allow(ctx, "a", 1000, 5*time.Minute); err != nil || !allowed && remaining != 0 {
		t.Errorf("%v, %d, %v", allowed, remaining, err)
	}
	// A moment far ahead, as a clock that was set back leaves behind, locks nobody out for longer than a period.
	server.Do(ctx, "SET", "coze-token:limit:c", "9007199254740000")
	if allowed, _, retry, err := s.Allow(ctx, "c", 1, 200*time.Millisecond); err != nil || allowed || retry > 200*time.Millisecond {
		t.Errorf("%v, %v, %v", allowed, retry, err)
	}
	server.Do(ctx, "SET", "coze-token:limit:d", "nonsense")
	if allowed, _, _, err := s.Allow(ctx, "d", 1, time.Second); err != nil || !allowed {
		t.Errorf("%v, %v", allowed, err)
	}
	for _, c := range []struct {
		limit  int
		period time.Duration
	}{{0, time.Minute}, {-1, time.Minute}, {1, 0}, {2, time.Microsecond}} {
		if allowed, _, _, err := s.Allow(ctx, "e", c.limit, c.period); err == nil || allowed {
			t.Errorf("%+v is taken", c)
		}
	}
}

// Room comes back at the even rate, and after a pause all of it, not more.
func TestAllowRefills(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	s := open(t, server.URL)
	const each = 500 * time.Millisecond // is how long it takes until there is room for one more
	began := time.Now()
	total := 0
	// use asks until it is refused. However long that and the sleeps take here: at least that much has come back, and at most this.
	use := func(least int) {
		t.Helper()
		for {
			allowed, _, _, err := s.Allow(t.Context(), "a", 4, 2*time.Second)
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
				// A crowd may take longer than the 100 ms on a busy machine. Such a call is not what is tested.
				for {
					ok, _, _, err := s.Allow(t.Context(), "a", 50, time.Hour)
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

func TestAllowWithoutAServer(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	s := open(t, server.URL)
	allow := func() (time.Duration, error) {
		began := time.Now()
		_, _, _, err := s.Allow(t.Context(), "a", 1000, time.Minute)
		return time.Since(began), err
	}
	if _, err := allow(); err != nil {
		t.Fatal(err)
	}
	server.Hang()
	if d, err := allow(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %v", d, err)
	}
	var mu sync.Mutex
	var waits []time.Duration
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				d, err := allow()
				if err == nil {
					t.Error("a server that hangs has answered")
				}
				if !errors.Is(err, redis.ErrResting) {
					mu.Lock()
					defer mu.Unlock()
					waits = append(waits, d)
				}
			})
		}
		all.Wait()
	}
	// The time-out is 100 ms, and what a busy machine adds it does not add each time.
	if n := len(waits); n < 1 || n > 2 || slices.Min(waits) > 300*time.Millisecond {
		t.Errorf("within 4 s, calls waited %v for a server that hangs", waits)
	}
	server.GoOn()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := allow(); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatalf("no recovery: %v", err)
		}
	}
	// A caller who leaves is no fault of the server.
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, _, err := s.Allow(gone, "a", 1000, time.Minute); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := allow(); err != nil {
		t.Error(err)
	}
}
