package ratelimit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"sync"
)

const (
	// ways is how many slots a key can be in. In a table that is half full, one new key in 250
	// finds all of them in use.
	ways = 16
	// shortKey is the maximum length of a key that is hashed without allocating, in bytes.
	shortKey = 480
)

// A table keeps the TAT of each key, in nanoseconds since the limiter was made.
type table struct {
	once   sync.Once
	secret [16]byte
	sets   []set
}

// A set is the slots of the keys that share them.
type set struct {
	mu    sync.Mutex
	slots [ways]slot
}

// A slot is one key's. An empty one has the fingerprint 0 and a TAT that has passed.
type slot struct {
	fingerprint uint64
	tat         int64
}

func newTable(size int) *table { return &table{sets: make([]set, max(1, (size+ways-1)/ways))} }

// find returns the key's set and its fingerprint there. Both are bits of a hash with a secret of
// the table, so that nobody outside can find keys that share a set. hash/maphash would not do: on
// Workers its seed is the same in every instance. The secret is drawn with the first request,
// because before that Workers have no randomness.
func (t *table) find(key string) (s *set, fingerprint uint64) {
	t.once.Do(func() { rand.Read(t.secret[:]) })
	var space [len(t.secret) + shortKey]byte
	text := append(append(space[:0], t.secret[:]...), key...)
	sum := sha256.Sum256(text)
	i, _ := bits.Mul64(binary.LittleEndian.Uint64(sum[:]), uint64(len(t.sets)))
	return &t.sets[i], binary.LittleEndian.Uint64(sum[8:]) | 1 // 0 is an empty slot's
}

// allow counts a request if the key has room for it. Then its TAT is so far ahead of now.
func (t *table) allow(key string, r Rate, now int64) (ok bool, ahead int64) {
	set, fingerprint := t.find(key)
	set.mu.Lock()
	defer set.mu.Unlock()
	s := set.slot(fingerprint)
	if s.fingerprint != fingerprint {
		*s = slot{fingerprint, now}
	}
	// The TAT can be farther ahead than the tolerance if the rate was changed. No key is refused
	// for longer than its quota takes to come back.
	ahead = min(max(0, s.tat-now), r.tolerance())
	if ok = ahead+r.interval() <= r.tolerance(); ok {
		ahead += r.interval()
	}
	s.tat = now + ahead
	return ok, ahead
}

// undo takes one counted request back, unless the key was replaced since.
func (t *table) undo(key string, r Rate) {
	set, fingerprint := t.find(key)
	set.mu.Lock()
	defer set.mu.Unlock()
	if s := set.slot(fingerprint); s.fingerprint == fingerprint {
		s.tat -= r.interval()
	}
}

// slot returns the key's slot or, if it has none, the one with the earliest TAT: empty, idle, or
// the one that has used least.
func (s *set) slot(fingerprint uint64) *slot {
	earliest := &s.slots[0]
	for i := range s.slots {
		slot := &s.slots[i]
		if slot.fingerprint == fingerprint {
			return slot
		}
		if slot.tat < earliest.tat {
			earliest = slot
		}
	}
	return earliest
}
