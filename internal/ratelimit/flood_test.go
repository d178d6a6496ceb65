package ratelimit_test

import (
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"coze-token/internal/ratelimit"
)

// TestFlood: an attacker uses up a key and then sends many other keys, each once. The key stays
// used up; only time gives it its quota back. (Security checks 22 and 23.)
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1000)
		ctx := t.Context()
		for range 300 {
			l.Allow(ctx, "attacker", perMinute)
		}
		used := map[string]int{}
		for i := range 20 {
			key := "user " + strconv.Itoa(i)
			used[key] = 2 + i
			for range used[key] {
				l.Allow(ctx, key, perMinute)
			}
		}
		for i := range 50_000 {
			if d := l.Allow(ctx, "new "+strconv.Itoa(i), perMinute); !d.OK {
				t.Fatalf("a new key was refused: %+v", d)
			}
		}
		if d := l.Allow(ctx, "attacker", perMinute); d.OK {
			t.Errorf("the flood gave the attacker a new quota: %+v", d)
		}
		for key, n := range used {
			if d := l.Allow(ctx, key, perMinute); d.Remaining != 300-n-1 {
				t.Errorf("%s had used %d and now has %d", key, n, d.Remaining)
			}
		}
		time.Sleep(time.Second)
		if d := l.Allow(ctx, "attacker", perMinute); !d.OK || d.Remaining != 4 {
			t.Errorf("a second later: %+v", d)
		}
	})
}

// Keys that have their quota back make room without anybody's loss.
func TestIdleKeysMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(16)
		for i := range 2000 {
			keys := make([]string, 16)
			for j := range keys {
				keys[j] = fmt.Sprint(i, j)
				l.Allow(t.Context(), keys[j], perMinute)
			}
			time.Sleep(100 * time.Millisecond)
			for _, key := range keys {
				if d := l.Allow(t.Context(), key, perMinute); d.Remaining != 298 {
					t.Fatalf("a key was forgotten for idle ones: %+v", d)
				}
			}
			time.Sleep(300 * time.Millisecond)
		}
	})
}

// Half full, a table forgets hardly anybody.
func TestEvenSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(50_000)
		once := ratelimit.Rate{Requests: 1, Per: time.Hour}
		forgotten := -25_000
		for range 2 {
			for i := range 25_000 {
				if l.Allow(t.Context(), "192.0.2."+strconv.Itoa(i), once).OK {
					forgotten++
				}
			}
		}
		if forgotten > 250 {
			t.Errorf("%d of 25,000 were forgotten", forgotten)
		}
	})
}
