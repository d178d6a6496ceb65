package broker

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"coze-token/coze"
)

// A failure is remembered for a pause, which doubles each time that it comes again. After a refusal
// a person must change something, or Coze takes half a minute to know a new key. After any other
// failure, all may be well at once, and the source behind has tried several times already.
const (
	pauseRefused = 5 * time.Second
	pauseOther   = time.Second
	maxPause     = 30 * time.Second
	// maxAsked bounds the pause that Coze asks for with Retry-After.
	maxAsked = 5 * time.Minute
	// probeEvery is how often a half-open breaker lets one exchange through.
	probeEvery = 2 * time.Second
	// keepStreak is how long after its pause a failure still counts as the one before the next.
	keepStreak = time.Minute
	// several failures in a row are the app's, not those of one request.
	several = 3
)

// A failure is remembered in place of a token. It is never changed.
type failure struct {
	err          *coze.Error
	since, until int64
	streak       int
	app          *app   // with its present keys
	common       bool   // it may be the app's, so a success of any request ends it
	epoch        uint64 // successes of the app before it
}

// holds reports whether the failure is the answer for requests of a. If the clock was set back, it
// is not: a pause of seconds would become one of hours.
func (f *failure) holds(a *app, now int64) bool {
	return f != nil && f.since-int64(tolerated) <= now && now < f.until && f.ofNow(a)
}

func (f *failure) ofNow(a *app) bool {
	return f.app == a && !(f.common && f.epoch != a.successes.Load())
}

// answer is the failure for a later caller, for whom nothing was sent.
func (f *failure) answer(now int64) *coze.Error {
	e := *f.err
	e.Attempts = 0
	e.RetryAfter = time.Duration(f.until - now)
	return &e
}

// next is what is remembered when err follows f, which may be nil.
func (f *failure) next(a *app, err *coze.Error, now int64) *failure {
	n := &failure{err: err, since: now, streak: 1, app: a, common: threshold(err) > 0, epoch: a.successes.Load()}
	if f != nil && f.ofNow(a) && now < f.until+int64(keepStreak) {
		n.streak = f.streak + 1
	}
	first := pauseOther
	if err.Kind == coze.Rejected {
		first = pauseRefused
	}
	pause := int64(min(first<<min(n.streak-1, 10), maxPause))
	pause += random(pause/4) - pause/8 // replicas shall not come back together
	n.until = now + max(pause, int64(min(err.RetryAfter, maxAsked)))
	return n
}

// threshold is how many such failures in a row open a client's circuit. 0: none do. One visitor's
// odd session must not stop the service for all, so a refusal counts only if it is about the app.
func threshold(err *coze.Error) int {
	switch err.Kind {
	case coze.Busy:
		return 1 // Coze itself says that it is about all
	case coze.Unavailable, coze.Timeout:
		return several
	case coze.Rejected:
		switch err.Code {
		case "invalid_client", "access_deny", "unsupported_grant_type":
			return several
		}
	}
	return 0
}

// A breaker is an app's circuit breaker. It judges each client by itself, and the app by all of
// them, because one client's odd sessions must not stop the service for the others: the app's
// circuit opens when several clients failed since the last success, and failures are at least half
// of what came of late.
type breaker struct {
	successes atomic.Uint64
	mu        sync.Mutex
	all       circuit
	clients   map[string]*circuit // those that failed
	succeeds  float64             // exchanges of late, the older the less
	fails     float64
	counted   int64 // when they were counted
}

const (
	// maxClients bounds how many clients' circuits are kept.
	maxClients = 64
	// lately is the half-life of what a breaker counts.
	lately = 10 * time.Second
)

// A circuit that is open lets no exchange through. After the pause it is half-open: one exchange is
// made every probeEvery until one succeeds.
type circuit struct {
	open     *failure // nil: closed
	halfOpen bool
	inARow   int    // failures that may be the app's
	epoch    uint64 // successes of the app before the last of them
}

// A BreakerState is the state of an app's circuit breaker.
type BreakerState string

// The states. While an app's breaker is not closed, remembered tokens are still handed out.
const (
	BreakerClosed   BreakerState = "closed"
	BreakerOpen     BreakerState = "open"      // nothing is exchanged
	BreakerHalfOpen BreakerState = "half-open" // one exchange every two seconds tries
)

// Breaker is the state of the app's breaker, which opens when exchanges of several clients failed.
// A client's own breaker is not told of.
func (b *Broker) Breaker(of *coze.App) BreakerState {
	known, ok := b.apps.known.Load(of)
	if !ok {
		return BreakerClosed
	}
	a := known.(*app)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.all.open == nil:
		return BreakerClosed
	case a.all.open.holds(a, b.now()) && !a.all.halfOpen:
		return BreakerOpen
	}
	return BreakerHalfOpen
}

// check returns why no exchange may be made now for the client, or nil.
func (a *app) check(client string, now int64) *coze.Error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.all.check(a, now); e != nil {
		return e
	}
	if c := a.clients[client]; c != nil {
		return c.check(a, now)
	}
	return nil
}

func (c *circuit) check(a *app, now int64) *coze.Error {
	if c.open == nil {
		return nil
	}
	if c.open.holds(a, now) {
		return c.open.answer(now)
	}
	probe := *c.open
	probe.since, probe.until = now, now+int64(probeEvery)
	c.open, c.halfOpen = &probe, true
	return nil
}

func (a *app) failed(client string, err *coze.Error, now int64) {
	n := threshold(err)
	if n == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count(now)
	a.fails++
	c := a.clients[client]
	if c == nil {
		if a.clients == nil || len(a.clients) >= maxClients {
			a.clients = map[string]*circuit{}
		}
		c = &circuit{}
		a.clients[client] = c
	}
	c.epoch = a.successes.Load()
	if c.inARow++; c.inARow >= n {
		c.trip(a, err, now)
	}
	failing := 0
	for _, other := range a.clients {
		if other.epoch == c.epoch {
			failing++
		}
	}
	if failing >= several && a.fails >= a.succeeds {
		a.all.trip(a, err, now)
	}
}

// trip opens the circuit. A call that went on when it opened says nothing new, except for a longer
// Retry-After.
func (c *circuit) trip(a *app, err *coze.Error, now int64) {
	if c.open.holds(a, now) && !c.halfOpen && c.open.until >= now+int64(err.RetryAfter) {
		return
	}
	c.open, c.halfOpen = c.open.next(a, err, now), false
}

func (a *app) succeeded(client string, now int64) {
	a.successes.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count(now)
	a.succeeds++
	a.all = circuit{}
	delete(a.clients, client)
}

// count lets what was counted before weigh less.
func (a *app) count(now int64) {
	weight := math.Exp2(-float64(max(now-a.counted, 0)) / float64(lately))
	a.succeeds, a.fails, a.counted = a.succeeds*weight, a.fails*weight, now
}
