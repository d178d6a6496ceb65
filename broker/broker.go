package broker

import (
	"cmp"
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"coze-token/coze"
	"coze-token/internal/call"
	"coze-token/internal/guard"
)

// A Broker is a [coze.Source] that remembers. It is safe for concurrent use and has nothing to
// close.
type Broker struct {
	next     coze.Source
	o        Options
	apps     register
	table    *table
	common   atomic.Pointer[capacity]
	shared   *shared // nil: nothing is shared
	lines    guard.Throttle
	dividing sync.Mutex
	owned    map[identity]*capacity // what each app has for itself; nil: the apps are not known
	part     part                   // the size of that
	count    struct{ exchanges, failures, refreshes, overBudget atomic.Int64 }
}

// New makes a broker over next.
func New(next coze.Source, o Options) *Broker {
	o.Size = cmp.Or(max(o.Size, 0), DefaultSize)
	o.Budget = cmp.Or(o.Budget, DefaultBudget)
	o.MaxExchanges = cmp.Or(max(o.MaxExchanges, 0), DefaultMaxExchanges)
	o.Timeout = cmp.Or(max(o.Timeout, 0), DefaultTimeout)
	o.StoreTimeout = cmp.Or(max(o.StoreTimeout, 0), DefaultStoreTimeout)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Go == nil {
		o.Go = func(f func()) { go f() }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &Broker{next: next, o: o, table: newTable(o.Size)}
	b.common.Store(newCapacity(o.Budget, o.MaxExchanges))
	if o.Store != nil && o.Secret != nil && !o.Off {
		b.shared = newShared(o)
	}
	b.apps.newApp = func(of *coze.App) *app {
		id := identify(of)
		a := &app{id: id, hash: maphash.String(b.table.seed, id.Value())}
		if b.shared != nil {
			a.sealer = newSealer(o.Secret(of), id.Value())
		}
		return a
	}
	return b
}

// Use says which apps there are from now on, all of them. Any other is forgotten, its keys too. Its
// tokens stay for an app that asks for the same. Of several apps, each has a part of the budget and
// of MaxExchanges that no other can take. Without Use, a broker learns the apps from requests and
// forgets them when there are more than a thousand.
func (b *Broker) Use(apps ...*coze.App) {
	b.dividing.Lock()
	defer b.dividing.Unlock()
	b.divide(b.apps.use(apps))
}

// Token is [Broker.Get] without options. It makes a Broker a [coze.Source].
func (b *Broker) Token(ctx context.Context, request coze.TokenRequest) (coze.Token, error) {
	result, err := b.Get(ctx, request, GetOptions{})
	return result.Token, err
}

// Get returns a token, remembered or new. It returns a remembered one even after ctx has ended. The
// error is a [*coze.Error]. If its RetryAfter is not zero, nothing is gained by asking earlier.
// With an error, the result's CacheStatus tells a remembered failure from a new one. It is empty if
// there was neither.
func (b *Broker) Get(ctx context.Context, request coze.TokenRequest, o GetOptions) (Result, error) {
	k, app, err := b.key(request)
	if err != nil {
		return Result{}, err
	}
	if int64(o.MinTTL) > k.duration() {
		return Result{}, &coze.Error{Kind: coze.InvalidRequest, Err: ErrMinTTL}
	}
	if b.o.Off {
		ctx, cancel := o.wait(ctx)
		defer cancel()
		if o.Admit != nil && !o.Admit() {
			return Result{}, notAdmitted()
		}
		token, e := b.exchange(ctx, app, request, o.Anonymous)
		if e != nil {
			return Result{CacheStatus: Miss}, e
		}
		return Result{token, Miss}, nil
	}
	t := b.terms(k, o)
	s := b.table.shard(k, app.hash)
	waits := false
	for {
		now := b.now()
		h, ok := s.get(k, now)
		good := ok && t.meet(h, now)
		if good && now < h.refresh {
			return Result{h.token(), Hit}, nil // nearly every call ends here
		}
		if !waits {
			var cancel context.CancelFunc
			ctx, cancel = o.wait(ctx)
			defer cancel()
			waits = true
		}
		j := &job{app: app, key: k, request: request, terms: t, client: o.Client, anonymous: o.Anonymous}
		if good {
			b.refresh(ctx, s, j, now)
			return Result{h.token(), Hit}, nil
		}
		c, joined, e := b.join(ctx, s, j, now, o.Admit)
		switch {
		case e != nil && e.Kind == coze.Timeout && ctx.Err() != nil:
			return Result{}, e
		case e != nil:
			return Result{CacheStatus: Hit}, e
		case c == nil:
			continue // a call has just brought a token
		}
		select {
		case <-c.Done():
		case <-ctx.Done():
			return Result{}, &coze.Error{Kind: coze.Timeout, Err: context.Cause(ctx)}
		}
		got, err := c.Result()
		if joined && got.status == Miss {
			got.status = Collapsed
		}
		if err != nil {
			e := *asError(err) // each caller may change its own
			return Result{CacheStatus: got.status}, &e
		}
		if got.status != Shared || !joined || t.meet(got.held, b.now()) {
			return Result{got.held.token(), got.status}, nil
		}
		// The store's token was good enough for the first caller, but not for this one.
	}
}

// now is in Unix nanoseconds, like all times inside the package: half the size of a time.Time, and
// without a pointer for the garbage collector.
func (b *Broker) now() int64 { return b.o.Now().UnixNano() }

// join returns the call that a caller shall wait for. It starts j if there is none to join. Without
// a call there is a failure, or a token that was not there a moment ago.
func (b *Broker) join(ctx context.Context, s *shard, j *job, now int64, admit func() bool) (
	c *exchangeCall, joined bool, failure *coze.Error,
) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[j.key]
	if e != nil && j.terms.meet(e.held, now) {
		return nil, false, nil
	}
	if c := s.calls[j.key]; c.Joinable() {
		return c, true, nil
	}
	if e != nil && e.failure.holds(j.app, now) {
		return nil, false, e.failure.answer(now)
	}
	if ctx.Err() != nil {
		return nil, false, &coze.Error{Kind: coze.Timeout, Err: context.Cause(ctx)}
	}
	if failure := j.app.check(j.client, now); failure != nil {
		return nil, false, failure
	}
	if admit != nil && !admit() {
		return nil, false, notAdmitted()
	}
	if e != nil {
		j.newer = e.held.expiry
	}
	return b.start(ctx, s, j), false, nil
}

func notAdmitted() *coze.Error { return &coze.Error{Kind: coze.Busy, Err: ErrNotAdmitted} }

// refresh starts j in the background for a token that is good but has lived most of its life.
func (b *Broker) refresh(ctx context.Context, s *shard, j *job, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[j.key]
	if e == nil || now < e.held.refresh {
		return // another caller was first
	}
	e.held.refresh = now + j.terms.young // the next try, if this one brings nothing
	if s.calls[j.key].Joinable() || e.failure.holds(j.app, now) || j.app.check(j.client, now) != nil {
		return
	}
	b.count.refreshes.Add(1)
	j.newer, j.early = e.held.expiry, true
	b.start(ctx, s, j)
}

// Stats are a broker's counts since it was made, for metrics.
type Stats struct {
	Entries     int     // tokens and failures that are remembered now
	Calls       int     // calls that go on now
	Evicted     int64   // entries forgotten for want of room before they expired
	Exchanges   int64   // exchanges asked of the source behind
	Failures    int64   // of those, the ones that brought no token
	Refreshes   int64   // calls started in the background
	OverBudget  int64   // exchanges not made because the budget was spent
	BudgetLimit int     // exchanges a minute that the budget allows. 0: there is no budget
	BudgetLeft  float64 // exchanges that could be made at once
	StoreFaults int64   // operations of the shared store that failed, and values that did not open
}

// Stats counts. It takes each shard's lock in turn. Ask every few seconds, not with every request.
func (b *Broker) Stats() Stats {
	st := Stats{
		Exchanges:  b.count.exchanges.Load(),
		Failures:   b.count.failures.Load(),
		Refreshes:  b.count.refreshes.Load(),
		OverBudget: b.count.overBudget.Load(),
	}
	if b.shared != nil {
		st.StoreFaults = b.shared.guard.Faults()
	}
	if b.o.Budget > 0 {
		st.BudgetLimit, st.BudgetLeft = b.o.Budget, b.budgetLeft()
	}
	for i := range b.table.shards {
		s := &b.table.shards[i]
		s.mu.RLock()
		st.Entries += len(s.entries)
		st.Calls += len(s.calls)
		st.Evicted += s.evicted
		s.mu.RUnlock()
	}
	return st
}

// An exchangeCall brings a token to all who wait for it.
type exchangeCall = call.Call[outcome]
