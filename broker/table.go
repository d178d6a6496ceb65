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
	// minShard is how many entries a shard has room for at least. Keys spread unevenly, so one shard
	// may be full and others not. With this many, the difference is a few percent.
	minShard = 512
	// touchEvery is how exact the order of use is. An entry that is hit all the time takes the lock
	// for writing once in this time. All other hits only read.
	touchEvery = int64(time.Second)
	// sweep is how many expired entries a new one removes at most, so that no caller pays for a
	// whole table.
	sweep = 16
)

// A table has the entries, in shards.
type table struct {
	seed   maphash.Seed
	shards []shard // a power of two of them
}

// A shard is one part of the table, with its own lock.
type shard struct {
	mu       sync.RWMutex
	entries  map[key]*entry
	calls    map[key]*exchangeCall // callers without a token take no room from entries
	lru      entry                 // head of a ring: newer is the least recently used entry, older the most recent
	byExpiry expiryHeap
	limit    int
	evicted  int64
	_        [64]byte // keeps one shard's lock out of the next one's cache line
}

// An entry is a cache entry: a token, a failure or both. Its shard's lock guards it.
type entry struct {
	key          key
	held         held
	failure      *failure
	expires      int64 // from when on it is useless
	used         int64
	older, newer *entry
	index        int // in byExpiry
}

func newTable(size int) *table {
	n := 1
	for n < maxShards && size/(n*2) >= minShard {
		n *= 2
	}
	t := &table{seed: maphash.MakeSeed(), shards: make([]shard, n)}
	for i := range t.shards {
		s := &t.shards[i]
		s.entries = make(map[key]*entry)
		s.calls = make(map[key]*exchangeCall)
		s.lru.older, s.lru.newer = &s.lru, &s.lru
		s.limit = size / n
		if i < size%n {
			s.limit++
		}
	}
	return t
}

// shard is the shard of a key. app is the hash of its app. The hash only spreads keys: the shard's
// map compares them whole.
func (t *table) shard(k key, app uint64) *shard {
	h := maphash.String(t.seed, k.session) ^ app ^ uint64(k.seconds)*0x9e3779b97f4a7c15
	if k.quota != "" {
		h ^= maphash.String(t.seed, k.quota) * 0x9e3779b97f4a7c15
	}
	h ^= h >> 32
	return &t.shards[h&uint64(len(t.shards)-1)]
}

// get is the remembered token. It counts as a use.
func (s *shard) get(k key, now int64) (h held, ok bool) {
	s.mu.RLock()
	e := s.entries[k]
	if e == nil {
		s.mu.RUnlock()
		return h, false
	}
	h = e.held
	idle := now-e.used >= touchEvery || e.used-now >= touchEvery // the clock may have been set back
	s.mu.RUnlock()
	if idle {
		s.mu.Lock()
		if e := s.entries[k]; e != nil {
			s.touch(e, now)
		}
		s.mu.Unlock()
	}
	return h, true
}

// The methods below are called with the lock held for writing.

// entry is a key's entry, a new one if there is none. The caller fills it in and calls update.
func (s *shard) entry(k key, now int64) *entry {
	if e := s.entries[k]; e != nil {
		return e
	}
	for range sweep {
		if len(s.byExpiry) == 0 || s.byExpiry[0].expires > now {
			break
		}
		s.remove(s.byExpiry[0])
	}
	if len(s.entries) >= s.limit {
		s.evicted++
		s.remove(s.lru.newer)
	}
	k.session = strings.Clone(k.session) // it may be a piece of a whole request
	e := &entry{key: k}
	s.entries[k] = e
	e.older, e.newer = e, e
	heap.Push(&s.byExpiry, e)
	return e
}

// update moves an entry to its place after it was changed.
func (s *shard) update(e *entry, expires, now int64) {
	e.expires = expires
	heap.Fix(&s.byExpiry, e.index)
	s.touch(e, now)
}

// touch makes e the most recently used entry.
func (s *shard) touch(e *entry, now int64) {
	e.used = now
	e.unlink()
	e.older, e.newer = s.lru.older, &s.lru
	e.older.newer, e.newer.older = e, e
}

func (s *shard) remove(e *entry) {
	delete(s.entries, e.key)
	heap.Remove(&s.byExpiry, e.index)
	e.unlink()
}

func (e *entry) unlink() { e.older.newer, e.newer.older = e.newer, e.older }

// An expiryHeap has the entry that expires first at its top.
type expiryHeap []*entry

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].expires < h[j].expires }
func (h expiryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *expiryHeap) Push(e any) {
	e.(*entry).index = len(*h)
	*h = append(*h, e.(*entry))
}

func (h *expiryHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
