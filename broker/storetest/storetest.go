// Package storetest holds what tests of shared stores need: a store in memory with faults on demand, and the checks that every
// [broker.Store] must pass.
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
	// Now is its clock. Optional: time.Now.
	Now func() time.Time
	// Fault is called before each operation ("get", "put", "claim", "release"). It may wait, and its error is the operation's. Optional.
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

func (m *Memory) begin(ctx context.Context, operation string) error {
	m.mu.Lock()
	if m.values == nil {
		m.values, m.calls = map[string]value{}, map[string]int{}
	}
	m.calls[operation]++
	m.mu.Unlock()
	if m.Fault != nil {
		return m.Fault(ctx, operation)
	}
	return nil
}

func (m *Memory) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}

// Get is [broker.Store]'s.
func (m *Memory) Get(ctx context.Context, name string) ([]byte, error) {
	if err := m.begin(ctx, "get"); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[name]
	if !ok || !m.now().Before(v.expires) {
		return nil, nil
	}
	return bytes.Clone(v.bytes), nil
}

// Put is [broker.Store]'s.
func (m *Memory) Put(ctx context.Context, name string, b []byte, ttl time.Duration) error {
	if err := m.begin(ctx, "put"); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[name] = value{bytes: bytes.Clone(b), expires: m.now().Add(ttl)}
	return nil
}

// Claim is [broker.Claimer]'s.
func (m *Memory) Claim(ctx context.Context, name, owner string, ttl time.Duration) (bool, error) {
	if err := m.begin(ctx, "claim"); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.values[name]; ok && v.owner != owner && m.now().Before(v.expires) {
		return false, nil
	}
	m.values[name] = value{owner: owner, expires: m.now().Add(ttl)}
	return true, nil
}

// Release is [broker.Claimer]'s.
func (m *Memory) Release(ctx context.Context, name, owner string) error {
	if err := m.begin(ctx, "release"); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values[name].owner == owner {
		delete(m.values, name)
	}
	return nil
}

// Calls is how often an operation was called.
func (m *Memory) Calls(operation string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[operation]
}

// Each calls f with what is stored, claims left out, and stores what f returns. Nil removes it.
func (m *Memory) Each(f func(name string, value []byte, expires time.Time) []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, v := range m.values {
		if v.bytes == nil {
			continue
		}
		if v.bytes = f(name, v.bytes, v.expires); v.bytes == nil {
			delete(m.values, name)
			continue
		}
		m.values[name] = v
	}
}

// A Reporter is what the checks need of a [testing.T], so that they run where there is none: inside a Worker. Fatalf does not
// return. Errorf may be called from several goroutines at once.
type Reporter interface {
	Context() context.Context
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Run checks that a store, with nothing in it under the prefix, does what brokers count on. If it is a [broker.Claimer], that too.
// It waits a little over least, the shortest ttl that the store keeps; a Claimer must keep one second.
func Run(t Reporter, store broker.Store, prefix string, least time.Duration) {
	ctx := t.Context()
	get := func(name string) []byte {
		t.Helper()
		b, err := store.Get(ctx, prefix+name)
		if err != nil {
			t.Fatalf("%v", err)
		}
		return b
	}
	put := func(name string, b []byte, ttl time.Duration) {
		t.Helper()
		if err := store.Put(ctx, prefix+name, b, ttl); err != nil {
			t.Fatalf("%v", err)
		}
	}
	if b := get("none"); b != nil {
		t.Errorf("%q under a name that was never put", b)
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
	name := prefix + "claim"
	won := make(chan string, 20)
	for i := range cap(won) {
		go func() {
			owner := string(rune('a' + i))
			ok, err := store.Claim(t.Context(), name, owner, time.Second)
			if err != nil {
				t.Errorf("%v", err)
			}
			if !ok {
				owner = ""
			}
			won <- owner
		}()
	}
	var winners string
	for range cap(won) {
		winners += <-won
	}
	if len(winners) != 1 {
		t.Fatalf("%d winners of one claim", len(winners))
	}
	claim := func(owner string, want bool, what string) {
		t.Helper()
		if ok, err := store.Claim(t.Context(), name, owner, time.Second); err != nil || ok != want {
			t.Errorf("%s: %t, %v", what, ok, err)
		}
	}
	release := func(owner string) {
		t.Helper()
		if err := store.Release(t.Context(), name, owner); err != nil {
			t.Errorf("%v", err)
		}
	}
	time.Sleep(600 * time.Millisecond)
	claim(winners, true, "the owner's own claim, again")
	time.Sleep(600 * time.Millisecond)
	claim("another", false, "a claim that was made to last longer")
	release("another")
	claim("another", false, "a claim that another released")
	release(winners)
	claim("another", true, "a claim that was released")
	release(winners)
	claim(winners, false, "a claim that was released by who had it before")
	time.Sleep(1200 * time.Millisecond)
	claim(winners, true, "a claim past its time")
}
