package cozetoken

import (
	"context"
	"errors"
	"net/http"
	"time"

	"coze-token/broker"
	"coze-token/coze"
	"coze-token/internal/gate"
	"coze-token/internal/ratelimit"
)

// An Observer is told what a service does, for metrics. Each function is optional, is called from
// many goroutines, and must not wait.
type Observer struct {
	// Request is called after each request for a token.
	Request func(gate.Observation)
	// Exchange is called after each exchange, retries included, with the name of its app. The outcome
	// is "ok" or a [coze.Kind].
	Exchange func(app, outcome string, took time.Duration)
	// KeyFetch is called after each request for the keys of a login, and says whether it brought an
	// answer with status 200, and how long that took.
	KeyFetch func(ok bool, took time.Duration)
}

// Stats are what a service has counted since it was made.
type Stats struct {
	broker.Stats
	// CounterFaults is how many operations of each shared counter failed.
	CounterFaults map[string]int64 // :: kind of limit → faults
	// Breakers are the circuit breakers of the apps in force.
	Breakers map[string]broker.BreakerState // :: app → state
}

// Stats counts. Ask every few seconds, not with every request.
func (v *Service) Stats() Stats {
	s := Stats{Stats: v.tokens.Stats(), CounterFaults: map[string]int64{}, Breakers: map[string]broker.BreakerState{}}
	for kind, l := range map[string]*ratelimit.Limiter{
		"address": v.limits.Addresses, "caller": v.limits.Callers, "session": v.limits.Sessions, "app": v.limits.Apps,
	} {
		s.CounterFaults[kind] = l.Faults()
	}
	for name, app := range v.current.Load().apps {
		s.Breakers[name] = v.tokens.Breaker(app.Request.App)
	}
	return s
}

// observed is the source that tells the observer of each exchange.
func (v *Service) observed(next coze.Source) coze.Source {
	if v.options.Observe.Exchange == nil {
		return next
	}
	return observedSource{next, v}
}

type observedSource struct {
	next    coze.Source
	service *Service
}

func (o observedSource) Token(ctx context.Context, request coze.TokenRequest) (coze.Token, error) {
	began := time.Now()
	token, err := o.next.Token(ctx, request)
	outcome := "ok"
	if e, failed := errors.AsType[*coze.Error](err); failed {
		outcome = string(e.Kind)
	} else if err != nil {
		outcome = string(coze.Unavailable)
	}
	o.service.options.Observe.Exchange(o.service.nameOf(request.App), outcome, time.Since(began))
	return token, err
}

// nameOf is the name of an app in force. Of an app that was replaced meanwhile, it is the name of
// one with the same id, or empty.
func (v *Service) nameOf(app *coze.App) (name string) {
	for n, a := range v.current.Load().apps {
		if a.Request.App == app {
			return n
		}
		if a.Request.App.ClientID == app.ClientID {
			name = n
		}
	}
	return name
}

// keyFetches is the transport for the keys of logins that tells the observer of each request.
func (o Observer) keyFetches(next http.RoundTripper) http.RoundTripper {
	if o.KeyFetch == nil {
		return next
	}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		began := time.Now()
		response, err := next.RoundTrip(r)
		o.KeyFetch(err == nil && response.StatusCode == http.StatusOK, time.Since(began))
		return response, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
