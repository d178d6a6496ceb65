// Package storetest has what tests of shared stores need: a store in memory with faults on demand,
// and the checks that every [broker.Store] must pass.
package storetest

import (
	"bytes"
	"context"
	"sync"
	"time"

	"coze-token/broker"
)

// A Memory is a [broker.Claimer] in memory. Nothing bounds it: it is for tests.
type Memory struct {
	// Fault is called before each operation ("get", "put", "claim", "release"). It may wait. Its
	// error is the operation's. Optional.
	Fault func(ctx context.Context, operation string) error

	mu     sync.Mutex
	values map[string]value
	calls  map[string]int
}

type value struct {
	bytes   []byte
	owner   string // of a claim, which has no bytes
	expires time.Time
}

func (v value) live() bool { return time.Now().Before(v.expires) }

// do counts an operation, lets it fail, and does it under the lock.
func (m *Memory) do(ctx context.Context, operation string, do func()) error {
	m.mu.Lock()
	if m.values == nil {
		m.values, m.calls = map[string]value{}, map[string]int{}
	}
	m.calls[operation]++
	m.mu.Unlock()
	if m.Fault != nil {
		if err := m.Fault(ctx, operation); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	do()
	return nil
}

// Get is [broker.Store]'s.
func (m *Memory) Get(ctx context.Context, key string) (b []byte, err error) {
	err = m.do(ctx, "get", func() {
		if v := m.values[key]; v.live() {
			b = bytes.Clone(v.bytes)
		}
	})
	return b, err
}

// Put is [broker.Store]'s.
func (m *Memory) Put(ctx context.Context, key string, b []byte, ttl time.Duration) error {
	return m.do(ctx, "put", func() {
		m.values[key] = value{bytes: bytes.Clone(b), expires: time.Now().Add(ttl)}
	})
}

// Claim is [broker.Claimer]'s.
func (m *Memory) Claim(ctx context.Context, key, owner string, ttl time.Duration) (held bool, err error) {
	err = m.do(ctx, "claim", func() {
		if v := m.values[key]; !v.live() || v.owner == owner {
			m.values[key] = value{owner: owner, expires: time.Now().Add(ttl)}
			held = true
		}
	})
	return held, err
}

// Release is [broker.Claimer]'s.
func (m *Memory) Release(ctx context.Context, key, owner string) error {
	return m.do(ctx, "release", func() {
		if m.values[key].owner == owner {
			delete(m.values, key)
		}
	})
}

// Calls is how often an operation was called.
func (m *Memory) Calls(operation string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[operation]
}

// Each calls f with each value and stores what f returns. Nil removes the value. Claims are left
// out.
func (m *Memory) Each(f func(key string, value []byte, expires time.Time) []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, v := range m.values {
		if v.owner != "" {
			continue
		}
		delete(m.values, key)
		if v.bytes = f(key, v.bytes, v.expires); v.bytes != nil {
			m.values[key] = v
		}
	}
}

// A Reporter is what the checks need of a [testing.T]. Inside a Worker there is none. Fatalf does
// not return. Errorf may be called from several goroutines at once.
type Reporter interface {
	Context() context.Context
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Run checks that a store does what its interface says. There must be nothing under the prefix.
// least is the shortest ttl that the store keeps, and Run takes a little longer than that. For a
// [broker.Claimer], which must keep a claim of one second, it takes another three seconds.
func Run(t Reporter, store broker.Store, prefix string, least time.Duration) {
	ctx := t.Context()
	get := func(key string) []byte {
		t.Helper()
		b, err := store.Get(ctx, prefix+key)
		if err != nil {
			t.Fatalf("%v", err)
		}
		return b
	}
	put := func(key string, b []byte, ttl time.Duration) {
		t.Helper()
		if err := store.Put(ctx, prefix+key, b, ttl); err != nil {
			t.Fatalf("%v", err)
		}
	}
	if b := get("none"); b != nil {
		t.Errorf("%q under a key that was never put", b)
	}
	every := make([]byte, 256) // values are not text
	for i := range every {
		every[i] = byte(i)
	}
	put("a", every, time.Hour)
	put("b", []byte("old"), time.Hour)
	put("b", []byte("new"), time.Hour)
	if b := get("a"); !bytes.Equal(b, every) {
		t.Errorf("%q came back", b)
	}
	if b := get("b"); string(b) != "new" {
		t.Errorf("%q came back after it was replaced", b)
	}
	put("brief", []byte("x"), least)
	time.Sleep(least + least/10 + 50*time.Millisecond)
	if b := get("brief"); b != nil {
		t.Errorf("%q after its time", b)
	}
	if claimer, ok := store.(broker.Claimer); ok {
		runClaimer(t, claimer, prefix)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	began := time.Now()
	store.Get(ended, prefix+"a")
	if d := time.Since(began); d > time.Second {
		t.Errorf("Get took %v although its context had ended", d)
	}
}

func runClaimer(t Reporter, store broker.Claimer, prefix string) {
	key := prefix + "claim"
	won := make(chan string, 20)
	var wg sync.WaitGroup
	for i := range cap(won) {
		wg.Go(func() {
			owner := string(rune('a' + i))
			if ok, err := store.Claim(t.Context(), key, owner, time.Second); err != nil {
				t.Errorf("%v", err)
			} else if ok {
				won <- owner
			}
		})
	}
	if wg.Wait(); len(won) != 1 {
		t.Fatalf("%d winner of one claim", len(won))
	}
	winner := <-won
	claim := func(owner string, want bool, what string) {
		t.Helper()
		if ok, err := store.Claim(t.Context(), key, owner, time.Second); err != nil || ok != want {
			t.Errorf("%s: %t, %v", what, ok, err)
		}
	}
	release := func(owner string) {
		t.Helper()
		if err := store.Release(t.Context(), key, owner); err != nil {
			t.Errorf("%v", err)
		}
	}
	time.Sleep(600 * time.Millisecond)
	claim(winner, true, "the owner's own claim, again")
	time.Sleep(600 * time.Millisecond)
	claim("another", false, "a claim that was made to last longer")
	release("another")
	claim("another", false, "a claim that another released")
	release(winner)
	claim("another", true, "a claim that was released")
	release(winner)
	claim(winner, false, "a claim that was released by who had it before")
	time.Sleep(1200 * time.Millisecond)
	claim(winner, true, "a claim past its time")
}
