package gate

import (
	"context"
	"net/http"

	"coze-token/internal/auth"
	"coze-token/internal/clientip"
	"coze-token/internal/cors"
	"coze-token/internal/ratelimit"
)

// admit decides whether the request gets to ask for a token: by its origin, its method, its address and its caller. What is
// cheap comes first, and CORS headers before all, so that pages can read every refusal.
func (g *gate) admit(w http.ResponseWriter, r *http.Request, x *exchange, app *App) answer {
	h := w.Header()
	address := g.Limits.Proxies.Client(r)
	if address.IsValid() {
		x.address = address.String()
	}
	verdict := app.Origins.Apply(h, r)
	switch {
	case verdict == cors.Unlisted:
		x.reason = string(auth.OtherOrigin)
		return otherOrigin()
	case app.Origins.IsPreflight(r):
		x.token = false
		return answer{status: http.StatusNoContent}
	case r.Method != http.MethodPost:
		return methodNotAllowed("POST")
	case g.Misconfigured != nil:
		return g.misconfigured(x)
	}

	callers := app.Callers
	if callers == nil {
		callers = g.open
	}
	// A page below a wildcard has no part in the visitor's cookie: it is neither read nor set.
	credentials := callers.Credentials(r.Header, verdict != cors.ByWildcard)
	// Who has an API key is not counted by address, nor kept out by what others at that address did.
	who, known := callers.Key(credentials)
	tightest := ratelimit.Decision{OK: true}
	if !known && g.Limits.Addresses != nil {
		tightest = g.Limits.Addresses.Allow(r.Context(), clientip.Key(address), g.Limits.AddressRate)
		if !tightest.OK {
			tightest.WriteHeader(h)
			return rateLimited(x, tightest)
		}
	}
	var err error
	if !known {
		who, err = callers.Authenticate(r.Context(), credentials)
	}
	if err == nil {
		x.caller = who
		introduce(h, who)
		err = who.MayUse(x.app, r.Header.Get("Origin"))
	}
	if err != nil {
		tightest.WriteHeader(h)
		return g.refuse(h, x, err)
	}
	return g.token(w, r, x, app, tightest)
}

// introduce gives a visitor what it is known by. It goes with every answer: what proved the visitor a person works but once.
func introduce(h http.Header, who auth.Caller) {
	if who.Cookie != nil {
		h.Add("Set-Cookie", who.Cookie.String())
	}
	if who.Ticket != "" {
		h.Set(auth.TicketHeader, who.Ticket)
	}
}

// token is the way of a request that was admitted: from who asks and what it sent to a grant, and on to the source.
func (g *gate) token(w http.ResponseWriter, r *http.Request, x *exchange, app *App, tightest ratelimit.Decision) answer {
	h := w.Header()
	want, a, ok := wishes(w, r, app.Request.Duration)
	if !ok {
		return a
	}
	user, named, err := sessionOf(r.Header)
	if err != nil {
		return invalidSession(err)
	}
	session, err := x.caller.SessionFor(user, named)
	if err != nil {
		return g.refuse(h, x, err)
	}
	grant, err := app.RequestFor(session)
	if err != nil {
		return invalidSession(err)
	}
	x.session = grant.Session

	if d := g.count(r.Context(), x, app); d.Tighter(tightest) {
		tightest = d
	}
	tightest.WriteHeader(h)
	if !tightest.OK {
		return rateLimited(x, tightest)
	}

	want.Wait = g.Timeout
	result, err := g.Source.Get(r.Context(), grant, want)
	x.cache = result.CacheStatus
	if err != nil {
		x.err = err
		return upstreamFailure(err)
	}
	return success(result.Token, g.Now())
}

// count holds the request against the limits that are not of its address. What has the fewest askers comes first, because a
// refusal takes nothing from the limits after it.
func (g *gate) count(ctx context.Context, x *exchange, app *App) ratelimit.Decision {
	if app.SessionRate.Off() && app.CallerRate.Off() && app.Rate.Off() {
		return ratelimit.Decision{OK: true}
	}
	var sessions, callers ratelimit.Rate
	if x.session != "" {
		sessions = app.SessionRate
	}
	if x.caller.Mode == auth.ModeKey {
		callers = app.CallerRate
	}
	return ratelimit.AllowAll(ctx,
		ratelimit.Check{Limiter: g.Limits.Sessions, Key: x.app + "\x00" + x.session, Rate: sessions},
		ratelimit.Check{Limiter: g.Limits.Callers, Key: x.app + "\x00" + x.caller.Name, Rate: callers},
		ratelimit.Check{Limiter: g.Limits.Apps, Key: x.app, Rate: app.Rate},
	)
}
