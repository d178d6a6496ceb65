package broker

import (
	"container/heap"
	"hash/maphash"
	"strings"
	"sync"
	"time"
)

const (
	maxShards = 64
	// minShard is how many grants a shard has room for at least. Keys spread unevenly, so a full shard may forget while others
	// have room; with this many that is a few percent.
	minShard = 512
	// touchEvery is how exact the order of use is. A grant that is hit all the time takes the lock for writing once in
	// that time, and all other hits only read.
	touchEvery = int64(time.Second)
	// sweep is how many expired grants one newcomer removes at most, so that no caller pays for a whole table.
	sweep = 16
)

// A table remembers grants, at most limit per shard.
type table struct {
	seed   maphash.Seed
	shards []shard // a power of two of them
}

// A shard is one part of the table, with its own lock.
type shard struct {
	mu      sync.RWMutex
	grants  map[key]*entry
	flights map[key]*flight // those under way; not in grants, so that callers without a token push nobody out
	byUse   entry           // the head of the ring: its newer is the least recently used one, its older the most recent
	byDeath deaths
	limit   int
	evicted int64    // grants forgotten before their time
	_       [64]byte // keeps one shard's lock out of the next one's cache line
}

// An entry is one remembered grant: a token, a failure or both. Its shard's lock guards it.
type entry struct {
	key          key
	held         held
	failure      *failure // never changed once it is here
	dies         int64    // from when on it is of no use
	used         int64
	older, newer *entry
	place        int // in byDeath
}

func newTable(size int, seed maphash.Seed) *table {
	n := 1
	for n < maxShards && size/(n*2) >= minShard {
		n *= 2
	}
	t := &table{seed: seed, shards: make([]shard, n)}
	for i := range t.shards {
		s := &t.shards[i]
		s.grants = make(map[key]*entry)
		s.flights = make(map[key]*flight)
		s.byUse.older, s.byUse.newer = &s.byUse, &s.byUse
		s.limit = size / n
		if i < size%n {
			s.limit++
		}
	}
	return t
}

// shard is the one that a key belongs to, given its app's hash. The hash only spreads; keys are told apart by the shard's map, whole.
func (t *table) shard(k key, app uint64) *shard {
	if len(t.shards) == 1 {
		return &t.shards[0]
	}
	h := maphash.String(t.seed, k.session) ^ app ^ uint64(k.seconds)*0x9e3779b97f4a7c15
	h ^= h >> 32
	return &t.shards[h&uint64(len(t.shards)-1)]
}

// look is the token remembered for a key. It counts as a use.
func (s *shard) look(k key, now int64) (h held, ok bool) {
	s.mu.RLock()
	e := s.grants[k]
	if e == nil {
		s.mu.RUnlock()
		return h, false
	}
	h = e.held
	idle := now-e.used >= touchEvery || e.used-now >= touchEvery // the clock may have been set back
	s.mu.RUnlock()
	if idle {
		s.mu.Lock()
		if e := s.grants[k]; e != nil {
			s.touch(e, now)
		}
		s.mu.Unlock()
	}
	return h, true
}

// The methods below are called with the lock held for writing.

// entry is a key's entry, a new one if there is none. The caller fills it in and settles it.
func (s *shard) entry(k key, now int64) *entry {
	if e := s.grants[k]; e != nil {
		return e
	}
	for range sweep {
		if len(s.byDeath) == 0 || s.byDeath[0].dies > now {
			break
		}
		s.remove(s.byDeath[0])
	}
	if len(s.grants) >= s.limit {
		s.evicted++
		s.remove(s.byUse.newer)
	}
	k.session = strings.Clone(k.session) // it may be a piece of a whole request
	e := &entry{key: k}
	s.grants[k] = e
	e.older, e.newer = e, e
	heap.Push(&s.byDeath, e)
	return e
}

// settle puts an entry where it belongs after it was changed.
func (s *shard) settle(e *entry, dies, now int64) {
	e.dies = dies
	heap.Fix(&s.byDeath, e.place)
	s.touch(e, now)
}

// touch makes e the most recently used one.
func (s *shard) touch(e *entry, now int64) {
	e.used = now
	e.unlink()
	e.older, e.newer = s.byUse.older, &s.byUse
	e.older.newer, e.newer.older = e, e
}

func (s *shard) remove(e *entry) {
	delete(s.grants, e.key)
	heap.Remove(&s.byDeath, e.place)
	e.unlink()
}

func (e *entry) unlink() { e.older.newer, e.newer.older = e.newer, e.older }

// Deaths are a heap: the first entry is the one that is of no use soonest.
type deaths []*entry

func (d deaths) Len() int           { return len(d) }
func (d deaths) Less(i, j int) bool { return d[i].dies < d[j].dies }
func (d deaths) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].place, d[j].place = i, j
}

func (d *deaths) Push(e any) {
	e.(*entry).place = len(*d)
	*d = append(*d, e.(*entry))
}

func (d *deaths) Pop() any {
	last := len(*d) - 1
	e := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	return e
}
