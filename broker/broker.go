package broker

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync/atomic"
	"time"

	"coze-token/coze"
)

// A Broker is a [coze.Source] that remembers. It is safe for concurrent use, and has nothing to close.
type Broker struct {
	next    coze.Source
	apps    register
	table   *table
	budget  *budget
	store   *sharing // nil if nothing is shared
	minTTL  time.Duration
	timeout time.Duration
	off     bool
	now     func() time.Time
	spawn   func(func())
	log     *slog.Logger
	hint    func(*coze.Error) string
	hush    hush
	count   counters
}

type counters struct{ exchanges, failures, overBudget, refreshes atomic.Int64 }

// New makes a broker over next, which must be safe for concurrent use and heed its context.
func New(next coze.Source, o Options) *Broker {
	b := &Broker{
		next:    next,
		minTTL:  o.MinTTL,
		timeout: o.Timeout,
		off:     o.Off,
		now:     o.Now,
		spawn:   o.Go,
		log:     o.Log,
		hint:    o.Hint,
	}
	if b.timeout <= 0 {
		b.timeout = DefaultTimeout
	}
	if b.now == nil {
		b.now = time.Now
	}
	if b.spawn == nil {
		b.spawn = func(f func()) { go f() }
	}
	if b.hint == nil {
		b.hint = func(*coze.Error) string { return "" }
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	size, perMinute := o.Size, o.Budget
	if size <= 0 {
		size = DefaultSize
	}
	if perMinute == 0 {
		perMinute = DefaultBudget
	}
	b.budget = newBudget(perMinute)
	seed := maphash.MakeSeed()
	b.table = newTable(size, seed)
	secret := o.Secret
	if o.Store != nil && secret != nil && !o.Off {
		b.store = newSharing(o.Store, o.StoreTimeout, b.now, b.log)
	}
	b.apps.newApp = func(of *coze.App) *app {
		id := identify(of)
		a := &app{id: id, hash: maphash.String(seed, id.Value())}
		if b.store != nil {
			a.box = newBox(secret(of), id.Value())
		}
		return a
	}
	return b
}

// Use says which apps there are from now on, all of them. What is known of any other is dropped, its keys too; its tokens stay, for an
// app that asks for the same. Without Use, a broker knows the apps that it was asked for, and drops them when they are over a thousand.
func (b *Broker) Use(apps ...*coze.App) { b.apps.use(apps) }

// Token is Get for callers without wishes of their own. It makes a Broker a [coze.Source].
func (b *Broker) Token(ctx context.Context, grant coze.TokenRequest) (coze.Token, error) {
	result, err := b.Get(ctx, grant, GetOptions{})
	return result.Token, err
}

// Get returns a token of the grant, remembered or new. A remembered one is returned even when ctx has ended. The error is a
// [*coze.Error]; its RetryAfter, where it is not zero, is when it is worth asking again. The result's CacheStatus then
// tells a remembered failure from a new one, and is empty when nobody was asked.
func (b *Broker) Get(ctx context.Context, grant coze.TokenRequest, want GetOptions) (Result, error) {
	k, app, err := b.key(grant)
	if err != nil {
		return Result{}, err
	}
	if int64(want.MinTTL) > int64(k.seconds)*int64(time.Second) {
		return Result{}, &coze.Error{Kind: coze.InvalidRequest, Err: ErrMinTTL}
	}
	if b.off {
		ctx, cancel := want.wait(ctx)
		defer cancel()
		return b.pass(ctx, grant)
	}
	terms := b.terms(k.seconds)
	terms.floor = max(terms.base, int64(want.MinTTL))
	terms.stale = want.Stale
	s := b.table.shard(k, app.hash)
	now := b.now().UnixNano()
	if h, ok := s.look(k, now); ok && terms.meet(h, now) && now < h.refresh {
		return Result{h.coze(), Hit}, nil // what nearly every call comes to
	}
	ctx, cancel := want.wait(ctx)
	defer cancel()
	for {
		now = b.now().UnixNano()
		h, ok := s.look(k, now)
		if ok && terms.meet(h, now) {
			if now >= h.refresh {
				b.refresh(ctx, s, app, k, grant, terms, now)
			}
			return Result{h.coze(), Hit}, nil
		}
		f, led, e := b.board(ctx, s, app, k, grant, terms, now)
		if e != nil {
			origin := Hit
			if e.Kind == coze.Timeout && ctx.Err() != nil {
				origin = ""
			}
			return Result{CacheStatus: origin}, e
		}
		if f == nil {
			continue // a flight has just landed
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return Result{}, &coze.Error{Kind: coze.Timeout, Err: context.Cause(ctx)}
		}
		got := f.outcome
		if !led && got.origin == Miss {
			got.origin = Collapsed
		}
		switch {
		case got.err != nil:
			e := *got.err // each caller's own, to do with as it likes
			return Result{CacheStatus: got.origin}, &e
		case got.origin != Shared || led || terms.meet(got.held, b.now().UnixNano()):
			// There is no better one than one that was exchanged while this caller waited.
			return Result{got.held.coze(), got.origin}, nil
		}
		// The store's token was good enough for the flight's first caller, not for this one.
	}
}

// wait bounds a wait.
func (w GetOptions) wait(ctx context.Context) (context.Context, context.CancelFunc) {
	if w.Wait <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, w.Wait)
}

// board finds the flight that a caller is to wait for, and says whether it was started for it. Without a flight there is a failure,
// or a token that was not there a moment ago.
func (b *Broker) board(
	ctx context.Context, s *shard, a *app, k key, grant coze.TokenRequest, t terms, now int64,
) (f *flight, led bool, failure *coze.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.grants[k]
	if e != nil && t.meet(e.held, now) {
		return nil, false, nil
	}
	if f := s.flights[k]; b.joinable(f) {
		return f, false, nil
	}
	if e != nil && e.failure.holds(a, now) {
		return nil, false, e.failure.answer(now)
	}
	if ctx.Err() != nil {
		return nil, false, &coze.Error{Kind: coze.Timeout, Err: context.Cause(ctx)}
	}
	if refusal := a.rests(now); refusal != nil {
		return nil, false, refusal
	}
	f = &flight{app: a, key: k, grant: grant, terms: t}
	if e != nil {
		f.newer = e.held.expiry
	}
	return b.launch(ctx, s, f), true, nil
}

// refresh starts a flight in the background for a token that is good but has lived most of its life.
func (b *Broker) refresh(ctx context.Context, s *shard, a *app, k key, grant coze.TokenRequest, t terms, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.grants[k]
	if e == nil || now < e.held.refresh {
		return // another caller was first
	}
	e.held.refresh = now + t.young // should nothing come of it, the next try is not before this
	if f := s.flights[k]; b.joinable(f) {
		return
	}
	if e.failure.holds(a, now) || a.rests(now) != nil {
		return
	}
	b.count.refreshes.Add(1)
	b.launch(ctx, s, &flight{app: a, key: k, grant: grant, terms: t, newer: e.held.expiry, early: true})
}

// pass is Get where nothing is remembered.
func (b *Broker) pass(ctx context.Context, grant coze.TokenRequest) (Result, error) {
	token, err := b.exchange(ctx, grant)
	if err != nil {
		return Result{CacheStatus: Miss}, asError(err)
	}
	return Result{token, Miss}, nil
}

// Stats are a broker's counts since it was made, for metrics.
type Stats struct {
	Grants      int   // remembered now, tokens and failures
	Flights     int   // under way now
	Evicted     int64 // forgotten for want of room, before they expired
	Exchanges   int64 // asked of the source behind
	Failures    int64 // of those, the ones that brought no token
	Refreshes   int64 // flights begun in the background
	OverBudget  int64 // exchanges not made because the budget was spent
	StoreFaults int64 // operations that the shared store failed or was too slow for, and values that did not open
}

// Stats counts. It takes each shard's lock in turn, so it is for every few seconds, not for every request.
func (b *Broker) Stats() Stats {
	st := Stats{
		Exchanges:  b.count.exchanges.Load(),
		Failures:   b.count.failures.Load(),
		Refreshes:  b.count.refreshes.Load(),
		OverBudget: b.count.overBudget.Load(),
	}
	if b.store != nil {
		st.StoreFaults = b.store.faults.Load()
	}
	for i := range b.table.shards {
		s := &b.table.shards[i]
		s.mu.RLock()
		st.Grants += len(s.grants)
		st.Flights += len(s.flights)
		st.Evicted += s.evicted
		s.mu.RUnlock()
	}
	return st
}
