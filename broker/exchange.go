package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"coze-token/coze"
	"coze-token/internal/call"
)

// A job is what a call does. Its terms are those of the caller who started it.
type job struct {
	app     *app
	key     key
	request coze.TokenRequest
	terms   terms
	// client and anonymous are the caller's, as in [GetOptions].
	client    string
	anonymous bool
	// newer is the expiry of the remembered token. One from the store must expire later: the
	// remembered one may be dead, and the store may show its predecessor.
	newer    int64
	early    bool          // the remembered token is still good
	patience time.Duration // how long it waits for another broker's exchange
	claim    *claim        // nil: no store, or one without claims
	fresh    held          // the token that it exchanged
}

// An outcome is a token and where it came from. With an error there is no token.
type outcome struct {
	held   held
	status CacheStatus
}

// start starts a call. The shard's lock is held for writing.
func (b *Broker) start(ctx context.Context, s *shard, j *job) *exchangeCall {
	j.request.Duration = time.Duration(j.key.duration())
	j.patience = b.o.Timeout / 2
	if deadline, ok := ctx.Deadline(); ok { // the caller may need time for an exchange of its own
		j.patience = min(j.patience, time.Until(deadline)/2)
	}
	spawn := b.o.Go
	if b.shared != nil {
		spawn = func(run func()) {
			b.o.Go(func() {
				defer b.shared.finish(context.WithoutCancel(ctx), j) // nobody waits for it
				run()
			})
		}
	}
	c := call.Start(ctx, spawn, b.o.Timeout,
		func(ctx context.Context) (outcome, error) { return b.obtain(ctx, j) },
		func(c *exchangeCall, got outcome, err error) (outcome, error) { return b.settle(s, j, c, got, err) })
	s.calls[j.key] = c
	return c
}

// obtain finds a token in the store, or exchanges one.
func (b *Broker) obtain(ctx context.Context, j *job) (outcome, error) {
	if b.shared != nil {
		if h, ok := b.shared.find(ctx, j); ok {
			h.refresh = j.terms.refreshAt(h)
			return outcome{h, Shared}, nil
		}
	}
	token, e := b.exchange(ctx, j.app, j.request, j.anonymous)
	now := b.now()
	switch {
	case e != nil && notSent(e):
		return outcome{}, e
	case e != nil:
		j.app.failed(j.client, e, now)
		return outcome{status: Miss}, e
	}
	j.app.succeeded(j.client, now)
	h := held{access: token.AccessToken, kind: token.Type, expiry: token.Expiry.UnixNano(), issued: now}
	h.refresh = j.terms.refreshAt(h)
	j.fresh = h
	return outcome{h, Miss}, nil
}

// exchange asks the source behind, within the budget and with not too many others.
func (b *Broker) exchange(
	ctx context.Context, a *app, request coze.TokenRequest, anonymous bool,
) (coze.Token, *coze.Error) {
	release, e := b.acquire(ctx, a)
	if e != nil {
		return coze.Token{}, e
	}
	defer release()
	if e := b.spend(a, anonymous); e != nil {
		return coze.Token{}, e
	}
	b.count.exchanges.Add(1)
	token, err := b.next.Token(ctx, request)
	if err == nil && (token.AccessToken == "" || !token.Expiry.After(b.o.Now())) {
		err = &coze.Error{Kind: coze.Unavailable, Message: "the token is empty or had expired when it came"}
	}
	if err != nil {
		b.count.failures.Add(1)
		return coze.Token{}, asError(err)
	}
	return token, nil
}

// notSent reports whether the broker itself refused, so that the failure says nothing about Coze.
func notSent(e *coze.Error) bool { return errors.Is(e, ErrBudget) || errors.Is(e, ErrExchanges) }

// settle remembers what a call brought, before those who wait see it.
func (b *Broker) settle(s *shard, j *job, c *exchangeCall, got outcome, err error) (outcome, error) {
	if p, ok := errors.AsType[*call.PanicError](err); ok {
		b.o.Log.Error("the exchange panicked", "panic", fmt.Sprint(p.Value), "stack", string(p.Stack))
		err = errors.New("the exchange panicked")
	}
	if err == nil {
		s.remember(j, c, got.held, nil, b.now())
		return got, nil
	}
	failure := s.remember(j, c, held{}, asError(err), b.now())
	if j.early { // otherwise an operator would learn of it only when tokens run short
		b.warn(failure)
	}
	return got, failure
}

func (b *Broker) warn(failure *coze.Error) {
	more, ok := b.lines.Allow(b.o.Now())
	if !ok {
		return
	}
	hint := ""
	if b.o.Hint != nil {
		hint = b.o.Hint(failure)
	}
	b.o.Log.Warn("a token in use could not be exchanged anew; it stays in use while it lasts",
		slog.String("error", failure.Error()), slog.String("hint", hint), slog.Int64("more_since_the_last_line", more))
}

// remember puts a token or a failure into the table and takes the call out of it. It returns the
// failure as callers shall see it.
func (s *shard) remember(j *job, c *exchangeCall, h held, failure *coze.Error, now int64) *coze.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	inTime := s.calls[j.key] == c // if not, it was thought lost, and another took its place
	if inTime {
		delete(s.calls, j.key)
	}
	if failure != nil && (failure.Kind == coze.InvalidRequest || notSent(failure)) {
		return failure // nothing was sent
	}
	e := s.entry(j.key, now)
	if failure == nil {
		if inTime || h.expiry > e.held.expiry {
			e.held = h
		}
		e.failure = nil
		s.update(e, j.terms.useful(e.held), now)
		return nil
	}
	e.failure = e.failure.next(j.app, failure, now)
	s.update(e, max(j.terms.useful(e.held), e.failure.until+int64(keepStreak)), now)
	answer := e.failure.answer(now)
	answer.Attempts = failure.Attempts
	return answer
}

// asError finds the *coze.Error in err. It makes one of any other error.
func asError(err error) *coze.Error {
	var e *coze.Error
	switch {
	case errors.As(err, &e) && e != nil:
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return &coze.Error{Kind: coze.Timeout, Err: err}
	}
	return &coze.Error{Kind: coze.Unavailable, Err: err}
}
