package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"coze-token/coze"
)

// A flight is one exchange under way for a grant, and all who wait for it. singleflight is not used because the flight
// and the table must change under one lock (a caller that saw no token, and then no flight, would start a second one), and because
// the host, not the go statement, starts it.
type flight struct {
	ctx      context.Context // its values are the first caller's; its end is not the flight's
	app      *app
	key      key
	grant    coze.TokenRequest
	terms    terms         // the first caller's
	newer    int64         // a token from the store must expire after this: the remembered one, which is being replaced, may have been replaced before
	early    bool          // the remembered token is still good
	patience time.Duration // how long it waits for another broker's exchange
	claim    *claim        // nil if none was tried
	began    time.Time     // by the machine's own clock: the other one may be corrected meanwhile, by this very flight
	done     chan struct{}
	outcome  outcome // to be read once done is closed
}

// An outcome is what a flight brings back: a token or a failure.
type outcome struct {
	held   held
	origin CacheStatus
	err    *coze.Error
}

// overdueAfter is added to a flight's own timeout.
const overdueAfter = time.Second

// joinable says whether a flight is worth waiting for. One that is overdue must have lost its goroutine with its host's request.
func (b *Broker) joinable(f *flight) bool {
	return f != nil && time.Since(f.began) < b.timeout+overdueAfter
}

// launch starts a flight. The shard's lock is held for writing.
func (b *Broker) launch(ctx context.Context, s *shard, f *flight) *flight {
	f.ctx = context.WithoutCancel(ctx)
	f.grant.Duration = time.Duration(f.key.seconds) * time.Second
	f.patience = b.timeout / 2
	if deadline, ok := ctx.Deadline(); ok { // by when the caller must have had an exchange of its own, should the other come to nothing
		f.patience = min(f.patience, time.Until(deadline)/2)
	}
	f.began = time.Now()
	f.done = make(chan struct{})
	s.flights[f.key] = f
	b.spawn(func() { b.fly(s, f) })
	return f
}

// fly makes the exchange. However it ends, those who wait are told.
func (b *Broker) fly(s *shard, f *flight) {
	got := outcome{err: &coze.Error{Kind: coze.Unavailable, Err: errors.New("the exchange was abandoned")}}
	ctx, cancel := context.WithTimeout(f.ctx, b.timeout)
	defer cancel()
	func() {
		defer func() {
			if p := recover(); p != nil {
				b.log.Error("the exchange panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				got = outcome{err: &coze.Error{Kind: coze.Unavailable, Err: errors.New("the exchange panicked")}}
			}
			b.land(s, f, got)
			if b.store != nil {
				b.store.finish(f, got) // no caller of this broker's waits any more
			}
		}()
		got = b.obtain(ctx, f)
	}()
}

// obtain finds a token in the store, or exchanges one.
func (b *Broker) obtain(ctx context.Context, f *flight) outcome {
	if b.store != nil {
		if h, ok := b.store.find(ctx, f); ok {
			h.refresh = f.terms.refreshAt(h)
			return outcome{held: h, origin: Shared}
		}
	}
	token, err := b.exchange(ctx, f.grant)
	now := b.now()
	if err != nil {
		e := asError(err)
		if errors.Is(e, ErrBudget) {
			return outcome{err: e}
		}
		f.app.failed(e, now.UnixNano())
		return outcome{origin: Miss, err: e}
	}
	f.app.succeeded()
	h := held{token: token.AccessToken, kind: token.Type, expiry: token.Expiry.UnixNano(), minted: now.UnixNano()}
	h.refresh = f.terms.refreshAt(h)
	return outcome{held: h, origin: Miss}
}

// exchange asks the source behind, within the budget.
func (b *Broker) exchange(ctx context.Context, grant coze.TokenRequest) (coze.Token, error) {
	if e := b.budget.spend(b.now()); e != nil {
		b.count.overBudget.Add(1)
		return coze.Token{}, e
	}
	b.count.exchanges.Add(1)
	before, began := b.now(), time.Now()
	token, err := b.next.Token(ctx, grant)
	if err != nil && asError(err).Kind == coze.Rejected {
		// The refusal may be about an assertion from the future, and have corrected the clock.
		moved := b.now().Round(0).Sub(before.Round(0)) - time.Since(began)
		if moved.Abs() > tolerated {
			b.count.exchanges.Add(1)
			token, err = b.next.Token(ctx, grant)
		}
	}
	if err == nil && (token.AccessToken == "" || !token.Expiry.After(b.now())) {
		err = &coze.Error{Kind: coze.Unavailable, Message: "the token is empty or had expired when it came"}
	}
	if err != nil {
		b.count.failures.Add(1)
	}
	return token, err
}

// land remembers what the flight brought back and tells those who wait.
func (b *Broker) land(s *shard, f *flight, got outcome) {
	now := b.now().UnixNano()
	s.mu.Lock()
	inTime := s.flights[f.key] == f // or it was overdue, and another took its place
	if inTime {
		delete(s.flights, f.key)
	}
	switch {
	case got.err == nil:
		e := s.entry(f.key, now)
		if inTime || got.held.expiry > e.held.expiry {
			e.held = got.held
		}
		e.failure = nil
		s.settle(e, f.terms.end(e.held)-f.terms.base, now)
	case memorable(got.err):
		e := s.entry(f.key, now)
		e.failure = e.failure.after(f.app, got.err, now)
		s.settle(e, max(f.terms.end(e.held)-f.terms.base, e.failure.until+int64(keepStreak)), now)
		got.err = e.failure.answer(now)
		got.err.Attempts = e.failure.err.Attempts
	}
	s.mu.Unlock()
	f.outcome = got
	close(f.done)
	if f.early && got.err != nil {
		b.refreshFailed(got.err)
	}
}

// refreshFailed tells the operator, who would otherwise learn of it only when tokens run short.
func (b *Broker) refreshFailed(err *coze.Error) {
	if more, ok := b.hush.speak(b.now()); ok {
		b.log.Warn("a token in use could not be exchanged anew; it stays in use while it lasts",
			slog.String("error", err.Error()), slog.String("hint", b.hint(err)), slog.Int64("more_since_the_last_line", more))
	}
}
