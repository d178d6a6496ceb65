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
	token, e := b.exchange(ctx, j.request)
	now := b.now()
	switch {
	case e != nil && errors.Is(e, ErrBudget):
		return outcome{}, e
	case e != nil:
		j.app.failed(e, now)
		return outcome{status: Miss}, e
	}
	j.app.succeeded()
	h := held{access: token.AccessToken, kind: token.Type, expiry: token.Expiry.UnixNano(), issued: now}
	h.refresh = j.terms.refreshAt(h)
	j.fresh = h
	return outcome{h, Miss}, nil
}

// exchange asks the source behind, within the budget.
func (b *Broker) exchange(ctx context.Context, request coze.TokenRequest) (coze.Token, *coze.Error) {
	if now := b.o.Now(); b.budget != nil && !b.budget.AllowN(now, 1) {
		b.count.overBudget.Add(1)
		wait := (1 - b.budget.TokensAt(now)) / float64(b.budget.Limit()) * float64(time.Second)
		return coze.Token{}, &coze.Error{
			Kind: coze.Busy, RetryAfter: max(time.Duration(wait), time.Millisecond), Err: ErrBudget,
		}
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
	if failure != nil && (failure.Kind == coze.InvalidRequest || errors.Is(failure, ErrBudget)) {
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
