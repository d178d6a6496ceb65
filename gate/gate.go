// Package gate is the HTTP face of the token service: an [http.Handler] that decides what a request may have, asks a
// [Source] for it, and answers with a token or with what went wrong and what to do about it.
//
// It answers POST / with a token, and GET /healthz and GET /readyz for those who watch the service. The contract,
// header for header, is in docs/http.md, and package contract holds every build to it.
//
// A program with a server of its own can mount a gate in it:
//
//	mux.Handle("POST /coze/{$}", http.StripPrefix("/coze", gate.New(gate.Options{
//		Source: broker.New(client, broker.Options{}),
//		Grant:  coze.Grant{App: app, Duration: 15 * time.Minute},
//	})))
package gate

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"coze-token/broker"
	"coze-token/coze"
)

// DefaultTimeout is how long a caller waits at most. Coze's Web SDK gives up after 5 s and its Chat SDK after 3 s, but
// scripts wait longer, and a token that comes late is of use to the next caller.
const DefaultTimeout = 10 * time.Second

// MaxBody is the cap on a request's body, in bytes. What callers have to say fits in a fraction of it.
const MaxBody = 16 << 10

// A Source is what tokens come from: a [*broker.Broker].
type Source interface {
	Get(ctx context.Context, grant coze.Grant, want broker.Want) (broker.Result, error)
}

// Options say what a gate stands in front of.
type Options struct {
	// Source makes the tokens.
	Source Source
	// Grant is what the source is asked for. Its Session is the one of callers that name none: usually empty.
	Grant coze.Grant
	// Timeout bounds the wait for the source. Optional: DefaultTimeout.
	Timeout time.Duration
	// Misconfigured, where it is not nil, is why there is no Source: every request for a token is answered with it.
	Misconfigured *Misconfigured
	// Now is the clock. Optional: time.Now.
	Now func() time.Time
	// Log takes one record for each request. Optional: slog.Default.
	Log *slog.Logger
}

// Misconfigured is what callers are told while settings are missing or wrong. It names variables, never values.
type Misconfigured struct {
	Problem string
	Remedy  string
	// Detail is what the log says with each request that fails for it.
	Detail string
}

type gate struct{ Options }

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
	return &gate{o}
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
	session string
	origin  broker.Origin
	err     error // the source's, which says more than the caller is told
}

// answer routes the request. The paths are exact, and no other path or header opens anything.
func (g *gate) answer(w http.ResponseWriter, r *http.Request, x *exchange) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			g.Log.Error("panic", "request_id", x.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			a = internalError()
		}
	}()
	switch r.URL.Path {
	case "/":
		if r.Method != http.MethodPost {
			return methodNotAllowed("POST")
		}
		return g.token(w, r, x)
	case "/healthz", "/readyz":
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			return methodNotAllowed("GET, HEAD")
		}
		if r.URL.Path == "/readyz" && g.Misconfigured != nil {
			return misconfigured(g.Misconfigured)
		}
		return answer{status: http.StatusOK, body: health{"ok"}}
	default:
		return notFound()
	}
}

// token is the way of a request for a token: from what the caller sent to a grant, and on to the source.
func (g *gate) token(w http.ResponseWriter, r *http.Request, x *exchange) answer {
	if g.Misconfigured != nil {
		x.err = errors.New(g.Misconfigured.Detail)
		return misconfigured(g.Misconfigured)
	}
	grant := g.Grant
	want, a, ok := wishes(w, r, grant.Duration)
	if !ok {
		return a
	}
	session, named, err := sessionOf(r.Header)
	if err != nil {
		return invalidSession(err)
	}
	if named {
		grant.Session = session
	}
	x.session = grant.Session

	ctx, cancel := context.WithTimeout(r.Context(), g.Timeout)
	defer cancel()
	result, err := g.Source.Get(ctx, grant, want)
	x.origin = result.Origin
	if err != nil {
		x.err = err
		return upstreamFailure(err)
	}
	return success(result.Token, g.Now())
}
