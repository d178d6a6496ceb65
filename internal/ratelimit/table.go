package ratelimit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"
)

const (
	// ways is how many slots a key can be in: enough that hardly any sixteen are taken while the table is half empty
	// (one newcomer in 250), and few enough to look through.
	ways = 16
	// maxStripes is how many locks a table has at most.
	maxStripes = 64
	// shortKey is up to which length a key is hashed without allocating, in bytes.
	shortKey = 480
)

// A table keeps the moment of each key. Moments are nanoseconds since the limiter's first request.
type table struct {
	once    sync.Once
	secret  [16]byte
	sets    []set
	stripes []stripe
	evicted atomic.Int64 // keys that were forgotten before their quota was back
}

// A set is the slots of the keys that meet in it.
type set [ways]slot

// A slot is one key's. An empty one has print 0, and a moment that is past.
type slot struct {
	print  uint64
	moment int64 // when the key's whole quota is back
}

// A stripe guards every so-manyth set.
type stripe struct {
	sync.Mutex
	_ [56]byte // keeps one lock out of the next one's cache line
}

func newTable(size int) *table {
	sets := max(1, (size+ways-1)/ways)
	return &table{sets: make([]set, sets), stripes: make([]stripe, min(sets, maxStripes))}
}

// place is the number of the key's set, and its fingerprint there. The two are 128 bits of a hash with a secret of
// the table's own, so that nobody outside can find keys that meet: maphash would do, but on Workers its seed is the
// same in every isolate, and known. The secret is drawn at the first request, because Workers have no randomness
// before.
func (t *table) place(key string) (number, print uint64) {
	t.once.Do(func() { rand.Read(t.secret[:]) })
	var space [len(t.secret) + shortKey]byte
	text := append(append(space[:0], t.secret[:]...), key...)
	sum := sha256.Sum256(text)
	number, _ = bits.Mul64(binary.LittleEndian.Uint64(sum[:]), uint64(len(t.sets)))
	return number, binary.LittleEndian.Uint64(sum[8:]) | 1 // never 0, which is an empty slot's
}

// take counts a request, if the key's quota has room for it. wait is for how long it has not. left is how far the
// key's moment is ahead of now.
func (t *table) take(key string, r Rate, now int64) (left, wait int64) {
	number, print := t.place(key)
	lock := &t.stripes[number%uint64(len(t.stripes))]
	lock.Lock()
	defer lock.Unlock()
	s := t.sets[number].slot(print)
	if s.print != print {
		if s.moment > now {
			t.evicted.Add(1)
		}
		*s = slot{print, now}
	}
	cost, quota := r.cost(), r.quota()
	left = max(0, s.moment-now)
	// It can be further ahead where the rate is not what it was, or the clock was set back: a key is never refused
	// for longer than its quota takes to come back.
	left = min(left, quota)
	if wait = left + cost - quota; wait > 0 {
		s.moment = now + left
		return left, wait
	}
	left += cost
	s.moment = now + left
	return left, 0
}

// giveBack takes one counted request back. Where the key was forgotten since, there is nothing to take back.
func (t *table) giveBack(key string, r Rate) {
	number, print := t.place(key)
	lock := &t.stripes[number%uint64(len(t.stripes))]
	lock.Lock()
	defer lock.Unlock()
	if s := t.sets[number].slot(print); s.print == print {
		s.moment -= r.cost()
	}
}

// slot is the key's, or else the one whose loss costs least: empty, idle, or the one whose quota is back first.
func (s *set) slot(print uint64) *slot {
	least := &s[0]
	for i := range s {
		if s[i].print == print {
			return &s[i]
		}
		if s[i].moment < least.moment {
			least = &s[i]
		}
	}
	return least
}
