package ratelimit_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"coze-token/internal/ratelimit"
)

func newLimiter(size int) *ratelimit.Limiter {
	return ratelimit.New(ratelimit.Options{Name: "address", Size: size})
}

var perMinute = ratelimit.Rate{Requests: 300, Per: time.Minute}

// The course of one key: the quota at once, then the steady rate.
func TestAllow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(100)
		ctx := t.Context()
		for i := range 300 {
			want := ratelimit.Decision{OK: true, Name: "address", Rate: perMinute, Remaining: 299 - i}
			if i == 299 {
				want.RetryAfter = 200 * time.Millisecond
			}
			if d := l.Allow(ctx, "a", perMinute); d != want {
				t.Fatalf("request %d: %+v", i, d)
			}
		}
		for range 3 { // a refusal changes nothing
			if d := l.Allow(ctx, "a", perMinute); d.OK || d.Remaining != 0 || d.RetryAfter != 200*time.Millisecond {
				t.Fatalf("over the limit: %+v", d)
			}
		}
		if d := l.Allow(ctx, "b", perMinute); !d.OK || d.Remaining != 299 {
			t.Errorf("another key: %+v", d)
		}
		time.Sleep(200*time.Millisecond - 1)
		if d := l.Allow(ctx, "a", perMinute); d.OK || d.RetryAfter != 1 {
			t.Errorf("a nanosecond early: %+v", d)
		}
		time.Sleep(1)
		if d := l.Allow(ctx, "a", perMinute); !d.OK || d.Remaining != 0 {
			t.Errorf("when it was told to come: %+v", d)
		}
		if d := l.Allow(ctx, "a", perMinute); d.OK {
			t.Errorf("twice: %+v", d)
		}
		time.Sleep(30 * time.Second)
		if d := l.Allow(ctx, "a", perMinute); !d.OK || d.Remaining != 149 {
			t.Errorf("after half a minute: %+v", d)
		}
		time.Sleep(time.Hour)
		if d := l.Allow(ctx, "a", perMinute); !d.OK || d.Remaining != 299 {
			t.Errorf("after an hour: %+v", d)
		}
	})
}

func TestRateOff(t *testing.T) {
	l := newLimiter(1)
	for _, rate := range []ratelimit.Rate{
		{}, {Requests: 1}, {Per: time.Second}, {Requests: -1, Per: time.Second}, {Requests: 1, Per: -1},
	} {
		for range 5 {
			if d := l.Allow(t.Context(), "a", rate); !d.OK || !d.Rate.Off() {
				t.Errorf("%v: %+v", rate, d)
			}
		}
	}
	if d := (*ratelimit.Limiter)(nil).Allow(t.Context(), "a", perMinute); !d.OK || !d.Rate.Off() {
		t.Errorf("no limiter: %+v", d)
	}
}

// Where Per is no multiple of Requests, rounding lets nothing more through.
func TestRounding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(100)
		let := 0
		for range 1001 {
			if l.Allow(t.Context(), "a", ratelimit.Rate{Requests: 3, Per: 10}).OK {
				let++
			}
			time.Sleep(1)
		}
		if let > 303 || let < 250 {
			t.Errorf("%d in 1000 ns at 3 in 10", let)
		}
	})
}

// Two limiters put the same keys into different slots: the hash is not to be foreseen.
func TestSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys = 64
		kept := func() (kept string) {
			l := newLimiter(32) // two sets: which keys stay depends on which meet
			rate := ratelimit.Rate{Requests: 1, Per: time.Hour}
			for i := range keys {
				l.Allow(t.Context(), strconv.Itoa(i), rate)
			}
			for i := range keys {
				if d := l.Allow(t.Context(), strconv.Itoa(i), rate); !d.OK {
					kept += strconv.Itoa(i) + " "
				}
			}
			return kept
		}
		first := kept()
		for range 20 {
			if kept() != first {
				return
			}
		}
		t.Error("twenty limiters kept the same keys")
	})
}

// After a limit was lowered, no key is refused for longer than the new quota takes to come back.
func TestNeverRefusedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(100)
		hourly := ratelimit.Rate{Requests: 5, Per: time.Hour}
		quick := ratelimit.Rate{Requests: 5, Per: 5 * time.Second}
		for range 5 {
			l.Allow(t.Context(), "a", hourly)
		}
		if d := l.Allow(t.Context(), "a", quick); d.OK || d.RetryAfter > time.Second {
			t.Errorf("lowered: %+v", d)
		}
		time.Sleep(time.Second)
		if d := l.Allow(t.Context(), "a", quick); !d.OK {
			t.Errorf("a second later: %+v", d)
		}
	})
}

// noDeadline is a test without a Deadline method, which rapid would call and no bubble has.
type noDeadline struct{ rapid.TB }

// TestAnyWindow: a few keys send requests at random times. In no span of length Per does a key get
// more than twice its requests, and in total no more than its requests and the steady rate. What a
// decision says about the next one is true.
func TestAnyWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(noDeadline{t}, func(t *rapid.T) {
			rate := ratelimit.Rate{
				Requests: rapid.SampledFrom([]int{1, 2, 3, 7, 60, 300, 999_983}).Draw(t, "requests"),
				Per: rapid.SampledFrom([]time.Duration{
					1, time.Millisecond, time.Second, 7 * time.Second, time.Minute, ratelimit.MaxPer,
				}).Draw(t, "per"),
			}
			l := newLimiter(1000)
			let := map[string][]time.Duration{}
			var at time.Duration
			promise := map[string]ratelimit.Decision{}
			promised := map[string]time.Duration{}
			for range 400 {
				// In parts of Per, so that every rate meets its own edges.
				step := rapid.SampledFrom([]time.Duration{
					0, 0, 0, 0, 1, rate.Per / 1000, rate.Per / time.Duration(rate.Requests), rate.Per / 3, rate.Per,
				}).Draw(t, "step")
				time.Sleep(step)
				at += step
				key := rapid.SampledFrom([]string{"a", "a", "b"}).Draw(t, "key")
				d := l.Allow(context.Background(), key, rate)
				if p, ok := promise[key]; ok {
					waited := at - promised[key]
					if p.OK && p.Remaining > 0 && !d.OK {
						t.Fatalf("%d remained, then %+v", p.Remaining, d)
					}
					if !p.OK && (waited >= p.RetryAfter) != d.OK {
						t.Fatalf("was to wait %v, waited %v, then %+v", p.RetryAfter, waited, d)
					}
					if p.OK && p.Remaining == 0 && (waited >= p.RetryAfter) != d.OK {
						t.Fatalf("room was to come in %v, waited %v, then %+v", p.RetryAfter, waited, d)
					}
					if full := rate.Per + time.Duration(rate.Requests); waited >= full && d.Remaining != rate.Requests-1 {
						t.Fatalf("waited %v, and the quota is not back: %+v", waited, d)
					}
				}
				promise[key], promised[key] = d, at
				if d.Remaining < 0 || d.Remaining >= rate.Requests || (d.RetryAfter > 0) != (d.Remaining == 0) {
					t.Fatalf("%+v", d)
				}
				if d.OK {
					let[key] = append(let[key], at)
				}
			}
			for key, times := range let {
				first := 0
				for i, at := range times {
					for at-times[first] >= rate.Per {
						first++
					}
					if n := i - first + 1; n > 2*rate.Requests {
						t.Fatalf("%s: %d within %v at %v", key, n, rate.Per, rate)
					}
					steady := float64(at-times[0]) / float64(rate.Per) * float64(rate.Requests)
					if float64(i+1) > float64(rate.Requests)+steady+1e-6*steady+1e-3 {
						t.Fatalf("%s: %d after %v at %v", key, i+1, at-times[0], rate)
					}
				}
			}
		})
	})
}

// A key of any length and content is its own.
func TestKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(10_000)
		once := ratelimit.Rate{Requests: 1, Per: time.Hour}
		long := fmt.Sprintf("%0500d", 0)
		for _, key := range []string{"", "\x00", "a", "a\x00", long, long + "0", long[:448], long[:447]} {
			if d := l.Allow(t.Context(), key, once); !d.OK {
				t.Errorf("key of %d bytes is another's", len(key))
			}
			if d := l.Allow(t.Context(), key, once); d.OK {
				t.Errorf("key of %d bytes is not remembered", len(key))
			}
		}
	})
}

func TestConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(64)
		var let atomic.Int64
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 500 {
					if l.Allow(t.Context(), "a", perMinute).OK {
						let.Add(1)
					}
					l.Allow(t.Context(), strconv.Itoa(g*i), ratelimit.Rate{Requests: 1_000_000, Per: time.Minute})
				}
			})
		}
		wg.Wait()
		if let.Load() != 300 {
			t.Errorf("%d let through", let.Load())
		}
	})
}

func TestAllowAllocatesNothing(t *testing.T) {
	l := newLimiter(100)
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { l.Allow(ctx, "2001:db8:1234:5678::/64", perMinute) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	a := ratelimit.Check{Limiter: l, Key: "a", Rate: perMinute}
	b := ratelimit.Check{Limiter: l, Key: "b", Rate: perMinute}
	if n := testing.AllocsPerRun(100, func() { ratelimit.AllowAll(ctx, a, b) }); n != 0 {
		t.Errorf("%v allocations in AllowAll", n)
	}
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = strconv.Itoa(i)
	}
	n := testing.AllocsPerRun(len(keys)-1, func() {
		l.Allow(ctx, keys[0], perMinute)
		keys = keys[1:]
	})
	if n != 0 {
		t.Errorf("%v allocations with new keys: memory is not bounded", n)
	}
}
