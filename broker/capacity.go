package broker

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"coze-token/coze"
)

// Exchanges are limited twice: how many are made a minute (the budget), and how many are under way
// at once. Half of each belongs to the apps, in equal parts, so that one app cannot take everything
// from the others. All share the other half.

// queueTime is how long an exchange waits for others to end. Coze's Chat SDK gives up after 3 s.
const queueTime = time.Second

// A capacity is what one app has for itself, or what all share.
type capacity struct {
	budget *rate.Limiter // nil: no limit
	slots  chan struct{} // has an element for each exchange under way
}

func newCapacity(budget, slots int) *capacity {
	c := &capacity{slots: make(chan struct{}, slots)}
	if budget >= 0 {
		c.budget = rate.NewLimiter(rate.Limit(float64(budget)/60), budget)
	}
	return c
}

// divide gives each of the apps its part. An app that had the same part keeps what it has used of
// it.
func (b *Broker) divide(apps map[identity][]*app) {
	budget, slots, n := b.o.Budget, b.o.MaxExchanges, len(apps)
	part := newPart(budget, slots, n)
	owned := map[identity]*capacity{}
	for id, same := range apps {
		c := b.owned[id]
		if c == nil || part != b.part {
			c = newCapacity(part.budget, part.slots)
		}
		owned[id] = c
		for _, a := range same {
			a.own.Store(c)
		}
	}
	if part != b.part {
		if budget > 0 {
			budget -= n * part.budget
		}
		b.common.Store(newCapacity(budget, slots-n*part.slots))
	}
	b.owned, b.part = owned, part
}

// A part is an app's own. A single app has none: what all share is its.
type part struct{ budget, slots, apps int }

func newPart(budget, slots, n int) part {
	if n < 2 {
		return part{min(budget, 0), 0, n}
	}
	if budget > 0 {
		budget /= 2 * n
	}
	return part{budget, slots / 2 / n, n}
}

// spend takes one exchange from the budget, of the app or of all. Callers who have proved nothing
// leave half of each to the others, if there are others.
func (b *Broker) spend(a *app, anonymous bool) *coze.Error {
	now := b.o.Now()
	common := b.common.Load()
	if common.budget == nil || a.own.Load().spend(now, anonymous) || common.spend(now, anonymous) {
		return nil
	}
	b.count.overBudget.Add(1)
	wait := (1 - common.budget.TokensAt(now)) / max(float64(common.budget.Limit()), 1e-9) * float64(time.Second)
	return &coze.Error{
		Kind: coze.Busy, RetryAfter: min(max(time.Duration(wait), time.Millisecond), time.Minute), Err: ErrBudget,
	}
}

func (c *capacity) spend(now time.Time, anonymous bool) bool {
	if c == nil || anonymous && c.budget.TokensAt(now)-1 < float64(c.budget.Burst()/2) {
		return false
	}
	return c.budget.AllowN(now, 1)
}

// acquire waits until the exchange may be under way, for a second at most. release says that it
// has ended.
func (b *Broker) acquire(ctx context.Context, a *app) (release func(), e *coze.Error) {
	common := b.common.Load().slots
	var own chan struct{} // nil, which has never room: it has none
	if c := a.own.Load(); c != nil {
		own = c.slots
	}
	for _, slots := range []chan struct{}{own, common} { // usual: there is room, and no timer
		select {
		case slots <- struct{}{}:
			return func() { <-slots }, nil
		default:
		}
	}
	timer := time.NewTimer(queueTime)
	defer timer.Stop()
	select {
	case own <- struct{}{}:
		return func() { <-own }, nil
	case common <- struct{}{}:
		return func() { <-common }, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, &coze.Error{Kind: coze.Busy, RetryAfter: time.Second, Err: ErrExchanges}
}

// budgetLeft is how many exchanges could be made at once now.
func (b *Broker) budgetLeft() float64 {
	now := b.o.Now()
	left := b.common.Load().budget.TokensAt(now)
	b.dividing.Lock()
	defer b.dividing.Unlock()
	for _, c := range b.owned {
		left += c.budget.TokensAt(now)
	}
	return max(0, left)
}
