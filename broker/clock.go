package broker

import (
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A Clock tells the time at Coze: the machine's own, corrected by the Date header of Coze's answers. A token's expiry is a
// moment by Coze's clock, so a machine whose clock is wrong would throw good tokens away or hand out dead ones,
// and sign assertions that are not valid yet.
//
// Give Now to the client and the broker, and let the client's requests go through Watch:
//
//	clock := &broker.Clock{}
//	client := &coze.Client{Transport: clock.Watch(transport), Now: clock.Now}
//	tokens := broker.New(client, broker.Options{Now: clock.Now})
//
// The zero value is a clock that has seen no answer yet.
type Clock struct {
	// Base is the machine's clock. Optional: time.Now.
	Base func() time.Time
	// Log is told once of a clock that is wrong by a lot. Optional.
	Log *slog.Logger

	set    atomic.Pointer[correction] // nil: nothing is known
	mu     sync.Mutex
	odd    *correction // what the last answer showed, if it contradicted set
	logged sync.Once
}

// A correction holds until the machine's clock is set. Most likely that one is right then.
type correction struct {
	by   time.Duration
	at   time.Time // when it was found, by the machine's monotonic clock, if it has one
	wall time.Time // and by its wall clock
}

func (k *correction) holds(now time.Time) bool {
	// Sub takes the monotonic readings, Round(0) strips them.
	step := now.Round(0).Sub(k.wall) - now.Sub(k.at)
	return step.Abs() <= tolerated
}

const (
	// tolerated is how far from Coze's clock the machine's may be. Tokens are never used to their last seconds.
	tolerated = 2 * time.Second
	// skewed is from where on someone should know.
	skewed = 30 * time.Second
)

// Now is the time at Coze as far as it is known.
func (c *Clock) Now() time.Time {
	now := c.base()
	k := c.set.Load()
	if k == nil || !k.holds(now) {
		return now
	}
	return now.Add(k.by)
}

func (c *Clock) base() time.Time {
	if c.Base != nil {
		return c.Base()
	}
	return time.Now()
}

// Watch is a RoundTripper that reads the Date of each answer that next brings, if it is Coze's own: proxies and firewalls answer in
// Coze's place too, and their clocks are anyone's.
func (c *Clock) Watch(next http.RoundTripper) http.RoundTripper { return watch{c, next} }

type watch struct {
	clock *Clock
	next  http.RoundTripper
}

func (w watch) RoundTrip(request *http.Request) (*http.Response, error) {
	sent := w.clock.base()
	response, err := w.next.RoundTrip(request)
	if err == nil && response.Header.Get("X-Tt-Logid") != "" {
		if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
			w.clock.observe(sent, w.clock.base(), date)
		}
	}
	return response, err
}

// off says how a clock is off that needs the correction.
func off(by time.Duration) string {
	if by < 0 {
		return (-by).Round(time.Second).String() + " fast"
	}
	return by.Round(time.Second).String() + " slow"
}

// observe takes an answer into account that was dated between sent and received. Date has whole seconds, cut off, so
// Coze's clock is ahead by something between least and most.
//
// The first answer is believed, or a machine whose clock is wrong would get no token. Once something is known, one answer
// moves nothing: a single server of Coze's may be wrong. Two in a row that agree do.
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
	odd := c.odd
	c.odd = nil
	if k := c.set.Load(); k != nil && k.holds(received) {
		if fits(k.by) {
			return // no reason to move
		}
		if odd == nil || !odd.holds(received) || !fits(odd.by) {
			c.odd = found
			return
		}
	}
	c.set.Store(found)
	if found.by.Abs() >= skewed && c.Log != nil {
		c.logged.Do(func() {
			c.Log.Warn("this machine's clock differs from Coze's; Coze's is used, but set this one",
				slog.String("clock", off(found.by)))
		})
	}
}
