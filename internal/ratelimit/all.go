package ratelimit

import "context"

// An Ask is one limit that a request has to pass.
type Ask struct {
	Limiter *Limiter
	Key     string
	Rate    Rate
}

// All asks several limits about one request, in their order, and returns the tightest: the one that refused it, or
// else the one with the fewest requests left. Asks without a limiter or with a rate that is off are passed over.
//
// A refusal takes nothing from the limits before it, which get back what they counted, nor from those after it, which
// are not asked. So one session that asks too often does not use up the quota of its app. A shared counter that
// cannot take back keeps what it counted: ask first what refuses most often, which is what has the fewest askers.
func All(ctx context.Context, asks ...Ask) Decision {
	tightest := Decision{OK: true, Remaining: Unknown}
	for i, ask := range asks {
		if ask.Limiter == nil || ask.Rate.Off() {
			continue
		}
		d := ask.Limiter.Allow(ctx, ask.Key, ask.Rate)
		if !d.OK {
			for _, before := range asks[:i] {
				if before.Limiter != nil {
					before.Limiter.Return(ctx, before.Key, before.Rate)
				}
			}
			return d
		}
		if d.Tighter(tightest) {
			tightest = d
		}
	}
	return tightest
}

// Tighter says whether a client should hear of d rather than of e: a refusal before all, then what has fewer requests
// left. An off rate is the least tight, and next comes one of which the rest is not known.
func (d Decision) Tighter(e Decision) bool {
	switch {
	case d.OK != e.OK:
		return !d.OK
	case d.Rate.Off() || e.Rate.Off():
		return !d.Rate.Off()
	case !d.OK:
		return d.RetryAfter > e.RetryAfter
	case d.Remaining == Unknown || e.Remaining == Unknown:
		return d.Remaining != Unknown
	default:
		return d.Remaining < e.Remaining
	}
}
