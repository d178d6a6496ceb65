package gate

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"coze-token/broker"
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
	rec.address = address

	if !app.Private && rebound(r) && !g.Limits.Proxies.Sent(r) {
		return misdirected
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
	client := caller.Name
	if !known {
		client = clientip.Key(address)
		limit = g.Limits.Addresses.Allow(ctx, client, g.Limits.AddressRate)
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

	if d := g.count(ctx, rec, &app, client); d.Tighter(limit) {
		limit = d
	}
	if !limit.OK {
		return rateLimited(limit)
	}

	options.Wait, options.Client = g.Timeout, client
	switch {
	case caller.Mode == auth.ModeOpen || caller.Mode == auth.ModeVisitor:
		options.Anonymous = g.Limits.Reserve
		options.Admit = func() bool {
			rec.exchange = g.Limits.admitExchange(ctx, client, address)
			return rec.exchange.OK
		}
	case !known:
		options.Client = rec.session
	}
	result, err := g.Source.Get(ctx, request, options)
	rec.cache = result.CacheStatus
	if errors.Is(err, broker.ErrNotAdmitted) {
		return tooManySessions(rec.exchange)
	}
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

// rebound reports whether a browser may have sent the request to this machine for another site's
// page: the connection came to a loopback address, and Host is a name that anybody can point there
// (DNS rebinding, security check 54). Browsers let such a page read the answer.
func rebound(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok || !local.IP.IsLoopback() || r.Host == "" {
		return false
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	return host != "localhost" && !strings.HasSuffix(host, ".localhost")
}

// admitExchange counts an exchange of an address, whose key is client, and of its network. Without
// it, the addresses of one network could use up the budget of all (security check 52).
func (l *Limits) admitExchange(ctx context.Context, client string, address netip.Addr) ratelimit.Decision {
	one, network := l.AddressRate, l.AddressRate
	one.Requests = max(one.Requests/2, min(one.Requests, fewExchanges))
	network.Requests = 4 * one.Requests
	return ratelimit.AllowAll(ctx,
		ratelimit.Check{Limiter: l.Exchanges, Key: client, Rate: one},
		ratelimit.Check{Limiter: l.Exchanges, Key: clientip.NetworkKey(address), Rate: network},
	)
}

// fewExchanges are left to an address also with a low rate, of which half would be very few.
const fewExchanges = 30

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

// count applies all limits but that of the address, whose key is client. The limit that the fewest
// callers share comes first: if it refuses the request, the others do not count it.
func (g *gate) count(ctx context.Context, rec *record, app *App, client string) ratelimit.Decision {
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
	key := rec.app + "\x00" + rec.session
	if rec.caller.Mode == auth.ModeOpen { // anybody can name a user there, and shall not use up its rate elsewhere
		key += "\x00" + client
	}
	return ratelimit.AllowAll(ctx,
		ratelimit.Check{Limiter: g.Limits.Sessions, Key: key, Rate: session},
		ratelimit.Check{Limiter: g.Limits.Callers, Key: rec.app + "\x00" + rec.caller.Name, Rate: caller},
		ratelimit.Check{Limiter: g.Limits.Apps, Key: rec.app, Rate: app.Rate},
	)
}
