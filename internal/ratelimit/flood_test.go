package ratelimit_test

import (
	"strconv"
	"testing"
	"time"
)

// TestFlood lets an attacker use up a key, and then many other keys, each once. However many they are, the key stays
// used up; only time gives it its quota back. Memory does not grow (see BenchmarkNewKeys), and the keys that are new
// are counted as far as there is room. (Security checks 22 and 23.)
func TestFlood(t *testing.T) {
	l, c := newLimiter(1000)
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
	if l.Evicted() < 45_000 {
		t.Errorf("only %d evicted: is memory bounded?", l.Evicted())
	}
	if d := l.Allow(ctx, "attacker", perMinute); d.OK {
		t.Errorf("the flood gave the attacker a new quota: %+v", d)
	}
	for key, n := range used {
		if d := l.Allow(ctx, key, perMinute); d.Remaining != 300-n-1 {
			t.Errorf("%s had used %d and now has %d", key, n, d.Remaining)
		}
	}
	c.advance(time.Second)
	if d := l.Allow(ctx, "attacker", perMinute); !d.OK || d.Remaining != 4 {
		t.Errorf("a second later: %+v", d)
	}
}

// Keys that have their quota back make room without anybody's loss.
func TestIdleKeysMakeRoom(t *testing.T) {
	l, c := newLimiter(16 * 4)
	for i := range 10_000 {
		l.Allow(t.Context(), strconv.Itoa(i), perMinute)
		c.advance(200 * time.Millisecond)
	}
	if l.Evicted() != 0 {
		t.Errorf("%d evicted though all were idle", l.Evicted())
	}
}

// Half full, a table forgets hardly anybody.
func TestEvenSpread(t *testing.T) {
	l, _ := newLimiter(50_000)
	for i := range 25_000 {
		l.Allow(t.Context(), "192.0.2."+strconv.Itoa(i), perMinute)
	}
	if n := l.Evicted(); n > 250 {
		t.Errorf("%d of 25,000 evicted", n)
	}
}
