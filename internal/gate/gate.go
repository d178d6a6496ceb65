// Package gate is the HTTP face of the token service: an [http.Handler] that decides what a request may have, asks a
// [Source] for it, and answers with a token or with what went wrong and what to do about it.
//
// It answers POST / with a token of one app, POST /NAME with one of another, and GET /healthz and GET /readyz for those who
// watch the service. The contract, header for header, is in docs/http.md, and package contract holds every build to it.
//
// A program with a server of its own can mount a gate in it:
//
//	mux.Handle("POST /coze/{$}", http.StripPrefix("/coze", gate.New(gate.Options{
//		Source: broker.New(client, broker.Options{}),
//		Apps:   map[string]gate.App{"": {Request: coze.TokenRequest{App: app, Duration: 15 * time.Minute}}},
//	})))
package gate

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"coze-token/broker"
	"coze-token/coze"
	"coze-token/internal/auth"
	"coze-token/internal/clientip"
	"coze-token/internal/cors"
	"coze-token/internal/ratelimit"
)

// DefaultTimeout is how long a caller waits at most. Coze's Web SDK gives up after 5 s and its Chat SDK after 3 s, but
// scripts wait longer, and a token that comes late is of use to the next caller.
const DefaultTimeout = 10 * time.Second

// MaxBody is the cap on a request's body, in bytes. What callers have to say fits in a fraction of it.
const MaxBody = 16 << 10

// RequestHeaders are all the headers that a gate reads, for hosts that carry no others.
var RequestHeaders = slices.Concat([]string{SessionHeader}, auth.RequestHeaders, cors.RequestHeaders)

// A Source is what tokens come from: a [*broker.Broker].
type Source interface {
	Get(ctx context.Context, grant coze.TokenRequest, want broker.GetOptions) (broker.Result, error)
}

// Options say what a gate stands in front of.
type Options struct {
	// Source makes the tokens.
	Source Source
	// Apps are what tokens can be had for: the app "" at /, any other at /NAME.
	Apps map[string]App
	// Limits are how often may be asked. Optional: as often as anybody likes.
	Limits Limits
	// Timeout bounds the wait for the source. Optional: DefaultTimeout.
	Timeout time.Duration
	// Misconfigured, where it is not nil, is why there is no Source: every request for a token is answered with it.
	Misconfigured *Misconfigured
	// Now is the clock. Optional: time.Now.
	Now func() time.Time
	// Log takes what an operator should see. Optional: slog.Default.
	Log *slog.Logger
	// Audit takes one record for each token and each refusal (security check 28). Optional: Log.
	Audit *slog.Logger
}

// An App is what tokens can be had for, and by whom.
type App struct {
	// Request is what the source is asked for. Its Session is the one of callers that name none: usually empty.
	Request coze.TokenRequest
	// Sessions are the rules for session names. Optional.
	Sessions Sessions
	// Callers knows who asks. Optional: without it, anybody may, for any session.
	Callers *auth.Authenticator
	// Origins are the pages that may ask. Optional: without it, Origin is not looked at and no CORS header is sent.
	Origins *cors.Policy
	// CallerRate, SessionRate and Rate are how often one API key, one session, and all callers of the app together may ask.
	CallerRate, SessionRate, Rate ratelimit.Rate
}

// Limits count requests, each kind of key with a limiter of its own. Any may be nil.
type Limits struct {
	Addresses, Callers, Sessions, Apps *ratelimit.Limiter
	// AddressRate is how often one address may ask. Callers with an API key are not counted by it: a backend asks
	// for all of its users from one address.
	AddressRate ratelimit.Rate
	// Proxies are those whose word for a client's address is taken.
	Proxies *clientip.Proxies
}

// Misconfigured is what callers are told while settings are missing or wrong. It names variables, never values.
type Misconfigured struct {
	Problem string
	Remedy  string
	// Detail is what the log says with each request that fails for it.
	Detail string
}

type gate struct {
	Options
	open *auth.Authenticator
}

// New makes a gate.
func New(o Options) http.Handler {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Audit == nil {
		o.Audit = o.Log
	}
	return &gate{o, auth.New(auth.Config{}, auth.Options{})}
}

// ServeHTTP answers, and records the answer. Nothing is written before the whole answer is known, so that even a
// panic ends in a proper one.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{id: rand.Text(), began: g.Now()}
	a := g.answer(w, r, x)
	a.write(w, x.id)
	g.record(r, x, a)
}

// An exchange is one request on its way through the gate, as far as the record of it is concerned.
type exchange struct {
	id      string // 26 characters of base32: over 128 random bits
	began   time.Time
	token   bool // a token was asked for
	app     string
	address string
	caller  auth.Caller
	session string
	cache   broker.CacheStatus
	reason  string // of a refusal that is neither the source's nor the caller's
	err     error  // the source's or the caller's, which says more than the caller is told
}

// answer routes the request. The paths are exact, and no other path or header opens anything.
func (g *gate) answer(w http.ResponseWriter, r *http.Request, x *exchange) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			g.Log.Error("panic", "request_id", x.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			a = internalError()
		}
	}()
	switch path := r.URL.Path; {
	case r.URL.RawPath != "": // written in another way than the path is, as /%68ealthz
		return notFound()
	case path == "/healthz", path == "/readyz":
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			return methodNotAllowed("GET, HEAD")
		}
		if path == "/readyz" && g.Misconfigured != nil {
			return g.misconfigured(x)
		}
		return answer{status: http.StatusOK, body: health{"ok"}}
	default:
		name, ok := appName(path)
		app, served := g.Apps[name]
		if g.Misconfigured != nil { // and nobody knows what apps there are
			served = name == "" || r.Method == http.MethodPost
		}
		if !ok || !served {
			return notFound()
		}
		x.token, x.app = true, name
		return g.admit(w, r, x, &app)
	}
}

// appName is the app that a path asks for.
func appName(path string) (name string, ok bool) {
	if path == "" || path[0] != '/' {
		return "", false
	}
	return path[1:], true
}
