package ratelimit

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"time"
)

// A Decision is whether a request may go on, and what the client should know about its limit.
type Decision struct {
	OK        bool   // the request may go on
	Name      string // the limiter's
	Rate      Rate   // the limit that was applied; if it is off, only OK has a meaning
	Remaining int    // how many more requests could follow at once, or Unknown
	// RetryAfter is the time until the next request has room. It is above 0 with every refusal.
	// Otherwise, 0 means now or unknown.
	RetryAfter time.Duration
}

// Unknown is the Remaining of a [Counter] that answers only yes or no.
const Unknown = -1

// Tighter reports whether the client should be told about d rather than about e: a refusal first,
// the longest before the others; then the limit with the fewest requests left; then one where that
// is not known; and at last no limit.
func (d Decision) Tighter(e Decision) bool { return d.slack() < e.slack() }

func (d Decision) slack() int64 {
	switch {
	case !d.OK:
		return -int64(d.RetryAfter)
	case d.Rate.Off():
		return math.MaxInt64
	case d.Remaining == Unknown:
		return math.MaxInt64 - 1
	default:
		return int64(d.Remaining)
	}
}

// A Check is one limit that a request has to pass.
type Check struct {
	Limiter *Limiter // nil: no limit
	Key     string
	Rate    Rate
}

// AllowAll applies several limits to one request, in their order, and returns the tightest
// decision. If one refuses, the others do not count the request: a session that asks too often does
// not use up its app's quota. Only a shared counter that was asked before cannot take it back, so
// put the limit that the fewest clients share first.
func AllowAll(ctx context.Context, checks ...Check) Decision {
	tightest := Decision{OK: true}
	for i, c := range checks {
		d := c.Limiter.Allow(ctx, c.Key, c.Rate)
		if !d.OK {
			for _, before := range checks[:i] {
				before.Limiter.undo(before.Key, before.Rate)
			}
			return d
		}
		if d.Tighter(tightest) {
			tightest = d
		}
	}
	return tightest
}

// ResponseHeaders are the fields that [Decision.WriteHeader] sets, in Go's canonical form.
var ResponseHeaders = []string{"Ratelimit-Policy", "Ratelimit", "Retry-After"}

// WriteHeader tells the client about its limit, as draft-ietf-httpapi-ratelimit-headers-11 defines
// it:
//
//	RateLimit-Policy: "address";q=300;w=60
//	RateLimit: "address";r=120;t=24
//
// and, if the request was refused, in Retry-After. It writes nothing if the rate is off, and no
// RateLimit if Remaining is unknown. The client learns the name of the limit but never the key,
// which could be somebody else's.
//
// In the draft, t is the span in which the client may use r. Here it is the time that the steady
// rate takes for r requests: a client that spreads r over t is never refused (section 8.5). If r is
// 0, it is the time until the next request has room; after a refusal it equals Retry-After (section
// 6). Times are whole seconds, rounded up.
func (d Decision) WriteHeader(h http.Header) {
	if d.Rate.Off() {
		return
	}
	values := []string{d.field(";q=", d.Rate.Requests, ";w=", d.Rate.Per), ""}
	h["Ratelimit-Policy"] = values[0:1:1]
	if !d.OK {
		h["Retry-After"] = []string{strconv.FormatInt(seconds(d.RetryAfter), 10)}
	}
	if d.Remaining == Unknown {
		return
	}
	t := d.RetryAfter
	if d.OK && d.Remaining > 0 {
		t = min(d.Rate.Per, time.Duration(d.Remaining)*time.Duration(d.Rate.interval()))
	}
	values[1] = d.field(";r=", d.Remaining, ";t=", t)
	h["Ratelimit"] = values[1:2:2]
}

// field is a field's value: the name, a count and a time. It is made with one allocation.
func (d Decision) field(count string, n int, span string, t time.Duration) string {
	var space [64]byte
	p := append(append(append(space[:0], '"'), d.Name...), '"')
	p = strconv.AppendInt(append(p, count...), int64(n), 10)
	return string(strconv.AppendInt(append(p, span...), seconds(t), 10))
}

// seconds rounds up. It is at least 1, because a client that is told to wait 0 seconds comes back
// at once.
func seconds(d time.Duration) int64 { return max(1, int64((d+time.Second-1)/time.Second)) }
