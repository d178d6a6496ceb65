package coze

import (
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A Clock tells the time at Coze: the machine's time, corrected by the Date header of Coze's
// answers. A token expires by Coze's clock. With a wrong clock, a machine would throw good tokens
// away, hand out dead ones, and sign assertions that are not valid yet.
//
// The [Client] shows it Coze's answers. Whatever compares tokens with the time uses its Now:
//
//	clock := &coze.Clock{}
//	client := &coze.Client{Transport: transport, Clock: clock}
//	tokens := broker.New(client, broker.Options{Now: clock.Now})
//
// The zero value has seen no answer yet, and a nil Clock never will: both tell the machine's time.
// A Clock is safe for concurrent use.
type Clock struct {
	// Base is the machine's clock. Optional: time.Now.
	Base func() time.Time
	// Log receives one warning if the machine's clock is wrong by 30 seconds or more. Optional.
	Log *slog.Logger

	inForce atomic.Pointer[correction] // nil: nothing is known
	mu      sync.Mutex
	doubt   *correction // what the last answer showed, if it contradicts inForce
	logged  sync.Once
}

const (
	// tolerated is how wrong the machine's clock may be. No token is used to its last seconds.
	tolerated = 2 * time.Second
	// skewed is from where on the operator is told.
	skewed = 30 * time.Second
)

// A correction holds until somebody sets the machine's clock, which is right then, most likely.
type correction struct {
	by   time.Duration
	at   time.Time // when it was found, by the machine's monotonic clock if it has one
	wall time.Time // the same by its wall clock
}

func (k *correction) holds(now time.Time) bool {
	// Sub uses the monotonic readings. Round(0) strips them.
	step := now.Round(0).Sub(k.wall) - now.Sub(k.at)
	return step.Abs() <= tolerated
}

// Now is the time at Coze as far as it is known.
func (c *Clock) Now() time.Time {
	now := c.base()
	if c == nil {
		return now
	}
	if k := c.inForce.Load(); k != nil && k.holds(now) {
		return now.Add(k.by)
	}
	return now
}

func (c *Clock) base() time.Time {
	if c != nil && c.Base != nil {
		return c.Base()
	}
	return time.Now()
}

// read takes the Date of an answer into account if the answer is Coze's own. Proxies and firewalls
// answer in Coze's place too, and their clocks prove nothing.
func (c *Clock) read(header http.Header, sent time.Time) {
	if c == nil || header.Get("X-Tt-Logid") == "" {
		return
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		c.observe(sent, c.base(), date)
	}
}

// observe takes into account that Coze's clock showed date between sent and received. A Date has
// whole seconds, so Coze's clock is ahead by something between least and most.
//
// The first answer is believed: without it, a machine whose clock is wrong would get no token.
// Later on, two answers in a row must agree: a single server of Coze's may be wrong.
func (c *Clock) observe(sent, received, date time.Time) {
	least := date.Sub(received.Round(0))
	most := date.Add(time.Second).Sub(sent.Round(0))
	fits := func(by time.Duration) bool { return least-tolerated <= by && by <= most+tolerated }
	found := &correction{(least + most) / 2, received, received.Round(0)}
	if fits(0) {
		found.by = 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	doubt := c.doubt
	c.doubt = nil
	if k := c.inForce.Load(); k != nil && k.holds(received) {
		if fits(k.by) {
			return
		}
		if doubt == nil || !doubt.holds(received) || !fits(doubt.by) {
			c.doubt = found
			return
		}
	}
	c.inForce.Store(found)
	if found.by.Abs() >= skewed && c.Log != nil {
		state := " slow"
		if found.by < 0 {
			state = " fast"
		}
		c.logged.Do(func() {
			c.Log.Warn("this machine's clock differs from Coze's; Coze's is used, but set this one",
				slog.String("clock", found.by.Abs().Round(time.Second).String()+state))
		})
	}
}
