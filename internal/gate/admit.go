package gate

import (
	"context"
	"net/http"
	"strings"
	"time"

	"coze-token/internal/auth"
	"coze-token/internal/clientip"
	"coze-token/internal/cors"
	"coze-token/internal/guard"
	"coze-token/internal/ratelimit"
)

// admit is the way of a request for a token. The order of its steps is part of the contract: CORS
// headers come first, so that pages can read every refusal, and what is cheap comes before what
// costs more.
func (g *gate) admit(w http.ResponseWriter, r *http.Request, rec *record) answer {
	app, ok := g.Apps[rec.app]
	if !ok {
		return notFound
	}
	rec.token = true
	ctx, h := r.Context(), w.Header()
	address := g.Limits.Proxies.Client(r)
	if address.IsValid() {
		rec.address = address.String()
	}

	verdict := app.Origins.Apply(h, r)
	switch {
	case verdict == cors.Unlisted:
		g.logPage(&g.origins, r, "a page of an origin that ALLOWED_ORIGINS does not list was refused", nil)
		return otherOrigin()
	case app.Origins.IsPreflight(r):
		rec.token = false
		if refused := app.Origins.Refused(r); len(refused) > 0 {
			g.logPage(&g.preflights, r, "a page may not send all its headers, so its browser sends no request; "+
				"ALLOWED_HEADERS can list them", refused)
		}
		return answer{status: http.StatusNoContent}
	case r.Method != rec.takes:
		return methodNotAllowed(rec.takes)
	}

	// The visitor's cookie is neither read nor set for a page below a wildcard.
	trust := auth.Trust{Cookies: verdict != cors.ByWildcard, Proxy: g.Limits.Proxies.Sent(r)}
	credentials := app.Callers.Credentials(r.Header, trust)
	// A caller with an API key is not counted by its address, so others there cannot keep it out.
	caller, known := app.Callers.Key(credentials)
	limit := ratelimit.Decision{OK: true} // the tightest of this request
	defer func() { limit.WriteHeader(h) }()
	if !known {
		limit = g.Limits.Addresses.Allow(ctx, clientip.Key(address), g.Limits.AddressRate)
		if !limit.OK {
			return rateLimited(limit)
		}
		var err error
		if caller, err = app.Callers.Authenticate(ctx, credentials); err != nil {
			return failed(h, err)
		}
	}
	rec.caller = caller
	// Even a refusal gives a visitor its identity: a Turnstile token is good only once.
	if caller.Cookie != nil {
		h.Add("Set-Cookie", caller.Cookie.String())
	}
	if caller.Ticket != "" {
		h.Set(caller.TicketHeader(), caller.Ticket)
	}
	if err := caller.MayUse(rec.app, r.Header.Get("Origin")); err != nil {
		return failed(h, err)
	}

	options, refusal, ok := readOptions(w, r, app.Request.Duration)
	if !ok {
		return refusal
	}
	user, named, err := readUser(r.Header)
	if err != nil {
		return invalidSession(err)
	}
	session, err := caller.SessionFor(user, named)
	if err != nil {
		return failed(h, err)
	}
	request, err := app.RequestFor(session)
	if err != nil {
		return invalidSession(err)
	}
	rec.session = request.Session
	if request.DeviceID, refusal, ok = readQuota(r.Header, DeviceHeader, &caller, request.DeviceID); !ok {
		return refusal
	}
	request.CustomConsumer, refusal, ok = readQuota(r.Header, ConsumerHeader, &caller, request.CustomConsumer)
	if !ok {
		return refusal
	}

	if d := g.count(ctx, rec, &app); d.Tighter(limit) {
		limit = d
	}
	if !limit.OK {
		return rateLimited(limit)
	}

	options.Wait = g.Timeout
	result, err := g.Source.Get(ctx, request, options)
	rec.cache = result.CacheStatus
	if err != nil {
		return failed(h, err)
	}
	token := result.Token
	return answer{status: http.StatusOK, body: tokenBody{
		AccessToken: token.AccessToken,
		ExpiresIn:   token.Expiry.Unix(),
		TokenType:   token.Type,
		Token:       token.AccessToken,
		TTL:         max(0, int64(token.Expiry.Sub(g.Now())/time.Second)),
	}}
}

// logPage logs why a page gets nothing, once a minute: its author sees no more than that CORS failed.
func (g *gate) logPage(lines *guard.Throttle, r *http.Request, message string, headers []string) {
	if _, ok := lines.Allow(g.Now()); !ok {
		return
	}
	attrs := []any{"origin", clip(strings.Join(r.Header["Origin"], ", "), 100)}
	if headers != nil {
		attrs = append(attrs, "headers", clip(strings.Join(headers, ", "), 200))
	}
	g.Log.Warn(message, attrs...)
}

// count applies all limits but that of the address. The limit that the fewest callers share comes
// first: if it refuses the request, the others do not count it.
func (g *gate) count(ctx context.Context, rec *record, app *App) ratelimit.Decision {
	if app.SessionRate.Off() && app.CallerRate.Off() && app.Rate.Off() { // usual: no keys have to be made
		return ratelimit.Decision{OK: true}
	}
	var session, caller ratelimit.Rate
	if rec.session != "" {
		session = app.SessionRate
	}
	if rec.caller.Mode == auth.ModeKey {
		caller = app.CallerRate
	}
	return ratelimit.AllowAll(ctx,
		ratelimit.Check{Limiter: g.Limits.Sessions, Key: rec.app + "\x00" + rec.session, Rate: session},
		ratelimit.Check{Limiter: g.Limits.Callers, Key: rec.app + "\x00" + rec.caller.Name, Rate: caller},
		ratelimit.Check{Limiter: g.Limits.Apps, Key: rec.app, Rate: app.Rate},
	)
}
