// Package cozetoken is the Coze (扣子) dynamic token service as one [http.Handler].
//
// A page, an app or a script that calls Coze needs a short-lived access token. To get one takes the
// private key of a Coze OAuth app, which must never reach a browser. The service keeps the key. It
// signs a one-time JWT, exchanges it at Coze for a token, remembers the token while it is good, and
// hands it to callers who may have it:
//
//	POST /           a token; the header X-User-ID names the end user whose conversations it may see
//	POST /NAME       a token of a further app
//	GET  /healthz    whether the process lives
//	GET  /readyz     whether it has what it needs
//	GET  /client.js  the client for pages without a bundler
//
// With COMPAT=quickstart, the pages of Coze's quickstarts get their tokens too.
//
// The programs in cmd run this package, and any Go server can mount it beside other routes:
//
//	service, err := cozetoken.New(env, cozetoken.Options{Transport: http.DefaultTransport})
//	if err != nil { … }
//	mux.Handle("/token/", http.StripPrefix("/token", service))
//
// env has the settings that docs/settings.md lists, by their names. A program that calls Coze
// itself needs no HTTP request for its token: see [Service.Auth].
package cozetoken

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"coze-token/broker"
	"coze-token/coze"
	"coze-token/internal/auth"
	"coze-token/internal/clientip"
	"coze-token/internal/fault"
	"coze-token/internal/gate"
	"coze-token/internal/message"
	"coze-token/internal/ratelimit"
)

// Options say what the host of a service provides and what it can do. All but Transport are
// optional.
type Options struct {
	// Transport sends requests to Coze and to the providers of logins. Required. It is called
	// directly, so no redirect is followed and no http.Client is linked.
	Transport http.RoundTripper
	// Go starts a goroutine that outlives the request which began it. Without it the go statement
	// does.
	Go func(func())
	// Store is where replicas share tokens. Without it they share none.
	Store broker.Store
	// Counter is where replicas share their counts of requests of a kind, "address" for instance.
	// It is nil for a kind that they do not share.
	Counter func(kind string) ratelimit.Counter
	// LimitSize is how many keys of each kind are counted, 16 bytes each. Zero:
	// [ratelimit.DefaultSize].
	LimitSize int
	// Log takes the records. Without it nothing is logged.
	Log *slog.Logger
	// Audit takes the records of tokens and refusals. Without it Log does.
	Audit *slog.Logger

	// Observe is told what happens, for metrics.
	Observe Observer

	// ReadFile reads a file that a setting names. Without it such a setting is a fault.
	ReadFile func(name string) ([]byte, error)
	// Exposed reports whether every user of this machine can read a file. With it, [Read] warns of
	// files with secrets that they can.
	Exposed func(name string) bool
	// YAML turns the YAML of APPS into JSON. Without it only JSON is read.
	YAML func(text []byte) ([]byte, error)
	// File is read where the environment says nothing.
	File File
	// Partial says that a file could not be read that may have had required settings. They are not
	// missed then.
	Partial bool
	// Check finds what only the host can find wrong with settings. Its faults bear the names of
	// settings. A setting that is at fault already has its zero value.
	Check func(*Settings) fault.List
	// Workers says that the host is Cloudflare Workers, which has neither a listener nor files.
	Workers bool
	// NotText is the text that stands for a variable that the host cannot hand over as a text. Such
	// a setting is a fault: without it, a service could be open that was to be closed.
	NotText string
}

// A Service is the handler and what outlives a change of its settings: tokens, counts, and the keys
// of logins. It is safe for concurrent use.
type Service struct {
	options Options
	clock   *coze.Clock
	tokens  *broker.Broker
	limits  gate.Limits
	keySets *auth.KeySets
	drains  atomic.Bool
	current atomic.Pointer[state]
}

// A state is what a change of settings replaces.
type state struct {
	handler http.Handler
	apps    map[string]gate.App
	proxies *clientip.Proxies
	open    map[string]bool // app, also one of before → whether anybody is let in
}

// OpenAccess is the warning for an operator whose service lets anybody in, at every start (security
// check 8).
const OpenAccess = "access is open: whoever reaches this address gets a token, for any X-User-ID or, beside logins, " +
	"for none; set API_KEYS, a login or VISITOR_SECRET, and no OPEN_ACCESS, to close it (docs/access.md), " +
	"or let only your own backend reach it"

const (
	// joinMargin is how much longer than its first caller an exchange may go on, for those who
	// joined it later.
	joinMargin = 5 * time.Second
	// maxRetryAfter is how long an exchange waits when Coze asks for a pause. Callers have little
	// time (Coze's Chat SDK 3 s). The broker makes no more exchanges of the app during a longer
	// pause.
	maxRetryAfter = time.Second
)

// New builds a service from the settings in env, by their names in docs/settings.md. Warnings are
// logged. The error is every fault of the settings, one on each line: each says which variable is
// wrong, what is wrong with it and what to do.
func New(env map[string]string, o Options) (*Service, error) {
	s, warnings, err := Read(env, o)
	if o.Log != nil {
		for _, w := range warnings {
			o.Log.Warn("settings: " + w.Error())
		}
	}
	if err != nil {
		return nil, err
	}
	return Build(s, o), nil
}

// Build builds a service from settings that [Read] has checked.
func Build(s *Settings, o Options) *Service {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	v := &Service{options: o, clock: &coze.Clock{Log: o.Log}}
	v.keySets = &auth.KeySets{Transport: o.Observe.keyFetches(o.Transport), Go: o.Go, Log: o.Log}
	b := s.broker
	b.Timeout = s.Timeout + joinMargin
	b.Store, b.Go, b.Log, b.Now = o.Store, o.Go, o.Log, v.clock.Now
	b.Hint = func(e *coze.Error) string { return string(gate.Hint(e)) }
	b.Secret = func(app *coze.App) []byte { return broker.KeySecret(app.Keys[0].Signer) }
	client := &coze.Client{Transport: o.Transport, Clock: v.clock, MaxRetryAfter: maxRetryAfter}
	v.tokens = broker.New(v.observed(client), b)
	var secret []byte // of the first app's key, until a restart: a reload changes no names
	for _, a := range s.Apps() {
		secret = broker.KeySecret(a.OAuth.Keys[0].Signer)
		break
	}
	v.limits = gate.Limits{
		Addresses: v.limiter("address", secret),
		Callers:   v.limiter("caller", secret),
		Sessions:  v.limiter("session", secret),
		Apps:      v.limiter("app", secret),
		Exchanges: ratelimit.New(ratelimit.Options{Name: "exchange", Size: o.LimitSize, Log: o.Log}),
	}
	v.current.Store(v.state(s))
	return v
}

// limiter makes a limiter. What replicas share of it is named under the secret.
func (v *Service) limiter(kind string, secret []byte) *ratelimit.Limiter {
	o := ratelimit.Options{Name: kind, Size: v.options.LimitSize, Log: v.options.Log, Secret: secret}
	if v.options.Counter != nil {
		o.Shared = v.options.Counter(kind)
	}
	return ratelimit.New(o)
}

// ServeHTTP answers by the settings in force.
func (v *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.current.Load().handler.ServeHTTP(w, r)
}

// TrustsProxy reports whether the address is one of TRUSTED_PROXIES now. Many users share the
// connections of such an address, so a host does not bound them as it does one user's.
func (v *Service) TrustsProxy(address netip.Addr) bool {
	return v.current.Load().proxies.Trusts(address)
}

// Reload puts the settings in env into force, as New reads them. After an error the old ones stay.
// An app that was closed is opened only if its settings say so (OPEN_ACCESS). Requests under way end
// by the old ones. What the service was built with stays: the size of its cache, its budget, its
// store.
func (v *Service) Reload(env map[string]string) error {
	s, _, err := Read(env, v.options)
	if err != nil {
		return err
	}
	return v.Use(s)
}

// Use is Reload for settings that [Read] has checked. It is not for concurrent use. The error says
// that an app which had to be closed would be open, and its settings do not say so: a file that was
// cut off must not let anybody in.
func (v *Service) Use(s *Settings) error {
	var faults fault.List
	before := v.current.Load().open
	for name, a := range s.Apps() {
		if wasOpen, known := before[name]; known && !wasOpen && a.Callers.IsOpen() && !a.Callers.Open {
			faults = append(faults, fault.New("would let anybody in from now on, and did not before",
				"set OPEN_ACCESS to on (open_access: on) if that is meant, or say again who may ask").Of("/"+name))
		}
	}
	if err := faults.Err(); err != nil {
		return err
	}
	next := v.state(s)
	for name, wasOpen := range before { // an app may be missing once, and come back cut off
		if _, known := next.open[name]; !known {
			next.open[name] = wasOpen
		}
	}
	v.current.Store(next)
	return nil
}

// state builds what the settings say.
func (v *Service) state(s *Settings) *state {
	next := &state{apps: map[string]gate.App{}, proxies: s.proxies, open: map[string]bool{}}
	limits := v.limits
	limits.AddressRate, limits.Proxies = s.addressRate, s.proxies
	var oauth []*coze.App
	v.keySets.Reload(func() {
		for name, a := range s.Apps() {
			app := v.app(name, a, s.quickstart)
			next.apps[name] = app
			next.open[name] = a.Callers.IsOpen()
			limits.Reserve = limits.Reserve || a.Callers.ProvesCallers()
			oauth = append(oauth, app.Request.App)
		}
	})
	next.handler = gate.New(gate.Options{
		Source:     v.tokens,
		Apps:       next.apps,
		Limits:     limits,
		Timeout:    s.Timeout,
		Client:     s.client,
		Quickstart: s.quickstart,
		Draining:   v.drains.Load,
		Now:        v.clock.Now,
		Log:        v.options.Log,
		Audit:      v.options.Audit,
		Observe:    v.options.Observe.Request,
	})
	v.tokens.Use(oauth...)
	return next
}

// Drain makes /readyz answer 503 from now on, so that a load balancer sends no more requests here.
// Those that come are served as before. A host calls it some time before it stops to listen.
func (v *Service) Drain() { v.drains.Store(true) }

// app builds one app of the gate. quickstart lets pages send what those of the quickstarts do.
func (v *Service) app(name string, a App, quickstart bool) gate.App {
	app := a.gate()
	app.Callers = auth.New(a.Callers, auth.Options{
		App: name, Transport: v.options.Transport, KeySets: v.keySets, Log: v.options.Log,
	})
	app.CallerRate, app.SessionRate, app.Rate = a.Rates.Caller, a.Rates.Session, a.Rates.App
	pages := a.Pages
	app.Private = !a.Callers.IsOpen() || pages.Origins != nil
	pages.Methods = []string{"POST"}
	pages.Headers = slices.Concat(
		[]string{gate.SessionHeader, gate.DeviceHeader, gate.ConsumerHeader, "Content-Type"},
		auth.PageHeaders, pages.Headers,
	)
	if quickstart {
		pages.Headers = append(pages.Headers, gate.ScriptHeader)
	}
	pages.Expose = slices.Concat(
		[]string{"X-Request-Id", "Www-Authenticate"}, auth.TicketHeaders, ratelimit.ResponseHeaders,
	)
	pages.Credentials = a.Callers.ReadsCookies()
	app.Origins = &pages
	return app
}

// gate is the part of the app that says which tokens it asks for.
func (a App) gate() gate.App {
	return gate.App{
		Request:  coze.TokenRequest{App: a.OAuth, Session: a.Session, Duration: a.Duration},
		Sessions: a.Sessions,
		DeviceID: a.DeviceID, CustomConsumer: a.CustomConsumer,
	}
}

// RequestFor is what the gate asks for on behalf of a user, or of nobody in particular if user is
// empty. A token that is made by it opens the same conversations. The error says why the user
// cannot have a session.
func (a App) RequestFor(user string) (coze.TokenRequest, error) {
	app := a.gate()
	return app.RequestFor(user)
}

// RequestHeaders are all headers that a service with these settings reads, for hosts that carry no
// others. Each costs time on Workers, where it is read from the platform one by one.
func (s *Settings) RequestHeaders() []string {
	headers := slices.Clone(gate.RequestHeaders)
	for _, a := range s.Apps() {
		headers = append(headers, a.Callers.Headers()...)
	}
	return headers
}

// Auth is an access token of one user for a program that calls Coze itself. It is an Auth of Coze's
// official Go SDK:
//
//	auth, err := service.Auth("", "user-1")
//	api := coze.NewCozeAPI(auth)
//
// app is a name of APPS, or empty for the app at /. user may be empty for a token of no user in
// particular. The tokens are those that callers over HTTP get, remembered and refreshed like
// theirs. Limits and credentials of callers do not apply. The error says that there is no such app,
// or why the user cannot have a session.
func (v *Service) Auth(app, user string) (coze.Auth, error) {
	a, ok := v.current.Load().apps[app]
	if !ok {
		return coze.Auth{}, fmt.Errorf("there is no app %q", app)
	}
	request, err := a.RequestFor(user)
	if err != nil {
		return coze.Auth{}, err
	}
	return coze.Auth{Source: v.tokens, Request: request}, nil
}

// Misconfigured is what hosts serve that cannot refuse to start while settings are wrong. Callers
// are told which variables are at fault, and remedy: how settings are changed on this host. What is
// wrong with each goes to the log, with each request.
func Misconfigured(err error, remedy string, log *slog.Logger) http.Handler {
	return gate.Misconfigured(fault.Of(err), message.Format(remedy), log)
}

var _ interface {
	Token(context.Context) (string, error)
} = coze.Auth{}
