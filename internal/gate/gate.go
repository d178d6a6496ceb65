// Package gate is the HTTP interface of the token service: an [http.Handler] that decides what a
// request may have, gets it from a [Source], and answers with a token or with what went wrong.
//
// POST / asks for a token of one app and POST /NAME for a token of another. GET /healthz and GET
// /readyz are for monitoring, and GET /client.js is the client for pages. POST /get_jwt_token and
// GET /callback are POST / for the pages of Coze's quickstarts, where that is wanted. docs/openapi.yaml
// is the contract, and package contract tests every build against it.
package gate

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"coze-token/broker"
	"coze-token/coze"
	"coze-token/internal/auth"
	"coze-token/internal/clientip"
	"coze-token/internal/cors"
	"coze-token/internal/fault"
	"coze-token/internal/guard"
	"coze-token/internal/message"
	"coze-token/internal/ratelimit"
)

// MaxBody is the largest request body, in bytes.
const MaxBody = 16 << 10

// RequestHeaders are all headers that a gate reads, for hosts that pass on no others, but for those
// by which callers are known: see [auth.Config.Headers].
var RequestHeaders = slices.Concat(
	[]string{SessionHeader, DeviceHeader, ConsumerHeader, clientHeader, ScriptHeader, languageHeader},
	cors.RequestHeaders,
)

// A Source provides tokens: a [*broker.Broker]. It is safe for concurrent use. A failure at Coze is
// a [*coze.Error].
type Source interface {
	Get(ctx context.Context, request coze.TokenRequest, o broker.GetOptions) (broker.Result, error)
}

// Options are what a gate needs.
type Options struct {
	// Source provides the tokens. Required.
	Source Source
	// Apps are the apps that the gate serves: "" at /, any other at /NAME. Required.
	Apps map[string]App
	// Limits are the rate limits. Optional: there are none.
	Limits Limits
	// Timeout bounds the wait for the source. Zero: a caller waits as long as its connection lasts.
	Timeout time.Duration
	// Draining reports whether the host is about to stop. /readyz says so then, and everything else
	// is answered as before. Optional: it never is.
	Draining func() bool
	// Client says that GET /client.js answers with the client module.
	Client bool
	// Quickstart says that the pages of Coze's quickstarts are answered.
	Quickstart bool
	// Now is the clock. Optional: time.Now.
	Now func() time.Time
	// Log takes what an operator should see. Required.
	Log *slog.Logger
	// Observe is called after each request for a token, for metrics. Optional.
	Observe func(Observation)
	// Audit takes one record for each token and each refusal (security check 28). Optional: Log.
	Audit *slog.Logger
}

// An App is one app of the service: which tokens there are, and who may have them.
type App struct {
	// Request is what the gate asks the source for. Its Session is for callers who name none.
	Request coze.TokenRequest
	// Sessions are the rules for session names.
	Sessions Sessions
	// DeviceID and CustomConsumer are whom quota and billing are put down to, where the session says
	// it. A Fixed one stands in Request's app.
	DeviceID, CustomConsumer QuotaID
	// Private says that a page on another site cannot get a token: callers prove who they are, or
	// the pages are listed. Any other app is refused to names that a site could have pointed at this
	// machine (DNS rebinding).
	Private bool
	// Callers knows who sends a request. Required.
	Callers *auth.Authenticator
	// Origins are the pages that may ask. Nil: Origin is not read, and no CORS header is sent.
	Origins *cors.Policy
	// CallerRate, SessionRate and Rate limit one API key, one session, and all callers together.
	CallerRate, SessionRate, Rate ratelimit.Rate
}

// Limits count requests. Each kind of key has its own limiter. A nil one limits nothing.
type Limits struct {
	Addresses, Callers, Sessions, Apps *ratelimit.Limiter
	// AddressRate limits one address. It does not count callers with an API key: a backend asks for
	// all of its users from one address.
	AddressRate ratelimit.Rate
	// Exchanges counts the exchanges that addresses and their networks begin, which are bounded by a
	// part of AddressRate. It does not count callers who prove who they are.
	Exchanges *ratelimit.Limiter
	// Reserve keeps half of the budget for callers who prove who they are.
	Reserve bool
	// Proxies are the proxies that are believed which address a client has.
	Proxies *clientip.Proxies
}

// A gate chooses by the path, turns a panic into an answer, and writes the answer and its record.
type gate struct {
	Options
	ready answer // of /readyz
	// token answers a request for a path that is not a health check's.
	token func(w http.ResponseWriter, r *http.Request, rec *record) answer

	origins, preflights guard.Throttle     // lines about pages that were refused
	samples             map[string]*sample // :: reason of a refusal before all limits → which of them are recorded
}

// New makes a gate.
func New(o Options) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Audit = cmp.Or(o.Audit, o.Log)
	g := &gate{Options: o, ready: healthy, samples: newSamples()}
	g.token = g.admit
	return g
}

// Misconfigured is what hosts serve that cannot refuse to start while settings are wrong. Callers
// are told which settings are at fault, and remedy: how settings are changed on this host. What is
// wrong with each setting goes to the log with each request.
func Misconfigured(faults fault.List, remedy message.Format, log *slog.Logger) http.Handler {
	a := fail(http.StatusInternalServerError, "misconfigured",
		"settings are missing or wrong: %s", remedy, strings.Join(faults.Settings(), ", "))
	a.err = faults
	token := func(_ http.ResponseWriter, r *http.Request, rec *record) answer {
		switch {
		case r.Method == http.MethodPost: // at every path, because it is not known which apps there are
			rec.token = true
			return a
		case rec.app == "":
			rec.token = true
			return methodNotAllowed("POST")
		}
		return notFound
	}
	return &gate{Options: Options{Log: log, Audit: log, Now: time.Now}, ready: a, token: token}
}

// ServeHTTP writes nothing before the whole answer is known, so a panic also ends in a good answer.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := &record{id: rand.Text(), began: time.Now(), takes: http.MethodPost}
	if g.isClient(r) && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		g.record(r, rec, answer{status: serveClient(w, r, rec.id)})
		return
	}
	a := g.answer(w, r, rec)
	a.write(w, r, rec)
	g.record(r, rec, a)
}

func (g *gate) answer(w http.ResponseWriter, r *http.Request, rec *record) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			g.Log.Error("panic", "request_id", rec.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			a = internalError
		}
	}()
	name, ok := strings.CutPrefix(r.URL.Path, "/")
	if !ok || r.URL.RawPath != "" { // RawPath: an escaped form such as /%68ealthz
		return notFound
	}
	if name != "healthz" && name != "readyz" && !g.isClient(r) {
		if q, ok := quickstarts[name]; ok && g.Quickstart {
			return g.quickstart(w, r, rec, q)
		}
		rec.app = name
		return g.token(w, r, rec)
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return methodNotAllowed("GET, HEAD")
	}
	switch {
	case name == "healthz":
		return healthy
	case g.Draining != nil && g.Draining():
		return draining
	default:
		return g.ready
	}
}
