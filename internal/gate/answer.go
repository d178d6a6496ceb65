package gate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"coze-token/broker"
	"coze-token/coze"
	"coze-token/internal/auth"
	"coze-token/internal/message"
	"coze-token/internal/plainjson"
	"coze-token/internal/ratelimit"
)

// An answer is the answer to a request, and what the record says about it.
type answer struct {
	status     int
	body       any           // a tokenBody or a quickstart's, a failure or healthy's; nil after a preflight
	allow      string        // the header Allow of a 405
	retryAfter time.Duration // zero: no Retry-After
	limit      string        // the kind of limit that refused the request, for metrics
	reason     string        // of a refusal, for the record. Empty: the failure's code
	err        error         // the cause, for the log. It may say more than the caller should know
}

// tokenBody is the answer with a token. The first three members are the original's.
type tokenBody struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int64  `json:"expires_in"` // absolute Unix time, in seconds, as Coze sent it
	TokenType   string `json:"token_type"`
	Token       string `json:"token"` // the same token; samples of Coze's Web SDK read this name
	TTL         int64  `json:"ttl"`   // in seconds, for clients whose clock is wrong
}

// A failure is the answer without a token. docs/openapi.yaml has the codes.
type failure struct {
	Error     message.Text `json:"error"`
	Code      string       `json:"code"`
	Hint      message.Text `json:"hint"`
	RequestID string       `json:"request_id"`
	Upstream  *upstream    `json:"upstream,omitempty"`
}

// upstream is what Coze said.
type upstream struct {
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Message string `json:"message"`
	LogID   string `json:"logid"`
}

// Answers share header values, which net/http only reads, and buffers. This saves a cache hit a
// tenth of its time (BenchmarkHit).
var (
	noStore    = []string{"no-store"}
	noSniff    = []string{"nosniff"}
	noReferrer = []string{"no-referrer"}
	isJSON     = []string{"application/json; charset=utf-8"}
	buffers    = sync.Pool{New: func() any { return new(bytes.Buffer) }}
)

// write sends the answer to r with the headers that every answer has.
func (a answer) write(w http.ResponseWriter, r *http.Request, rec *record) {
	h := w.Header()
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	h["Referrer-Policy"] = noReferrer
	rec.header[0] = rec.id
	h["X-Request-Id"] = rec.header[0:1:1]
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	if a.allow != "" {
		h.Set("Allow", a.allow)
	}
	if a.retryAfter > 0 { // whole seconds, rounded up
		h.Set("Retry-After", strconv.FormatInt(int64((a.retryAfter+time.Second-1)/time.Second), 10))
	}
	if f, ok := a.body.(failure); ok {
		f.RequestID = rec.id
		f.translate(h, r)
		a.body = f
	}
	body := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(body)
	body.Reset()
	if t, ok := a.body.(tokenBody); !ok || !t.write(body) {
		body.Reset()
		encoder := json.NewEncoder(body)
		encoder.SetEscapeHTML(false) // the answer is never a page: nosniff and the content type say so
		if err := encoder.Encode(a.body); err != nil {
			panic(err) // impossible: the bodies are plain structs
		}
	}
	h["Content-Type"] = isJSON
	rec.header[1] = strconv.Itoa(body.Len())
	h["Content-Length"] = rec.header[1:2:2]
	w.WriteHeader(a.status)
	w.Write(body.Bytes())
}

// write writes the same JSON as package json, without its reflection. It reports false if a text
// would have to be escaped.
func (t tokenBody) write(to *bytes.Buffer) bool {
	p, ok1 := plainjson.Append(append(to.AvailableBuffer(), `{"access_token":`...), t.AccessToken)
	p = strconv.AppendInt(append(p, `,"expires_in":`...), t.ExpiresIn, 10)
	p, ok2 := plainjson.Append(append(p, `,"token_type":`...), t.TokenType)
	p, ok3 := plainjson.Append(append(p, `,"token":`...), t.Token)
	p = strconv.AppendInt(append(p, `,"ttl":`...), t.TTL, 10)
	to.Write(append(p, "}\n"...))
	return ok1 && ok2 && ok3
}

// fail is a refusal. The arguments are those of the problem and then those of the hint.
func fail(status int, code string, problem, hint message.Format, args ...any) answer {
	f := failure{Code: code}
	f.Error, f.Hint = message.Pair(problem, hint, args...)
	return answer{status: status, body: f}
}

var (
	healthy  = answer{status: http.StatusOK, body: map[string]string{"status": "ok"}}
	notFound = fail(http.StatusNotFound, "not_found", "there is nothing at this path",
		"ask for a token with POST / or, for one of several apps, POST /NAME")
	draining = fail(http.StatusServiceUnavailable, "draining", "this replica is about to stop",
		"send new requests to another replica")
	misdirected = fail(http.StatusMisdirectedRequest, "misdirected",
		"this service is open, serves this machine only, and does not know the name in Host",
		"call it as http://localhost or http://127.0.0.1; if a proxy passes a public name on, the operator sets "+
			"TRUSTED_PROXIES, API_KEYS or ALLOWED_ORIGINS")
	bodyTooLarge = fail(http.StatusRequestEntityTooLarge, "body_too_large", "the body is larger than 16 KiB",
		`send no body, or {"stale_token": "…"} alone`)
	internalError = fail(http.StatusInternalServerError, "internal_error", "something went wrong in the token service",
		"try again; if it goes on, look for the request id in the service's log")
)

func methodNotAllowed(allow string) answer {
	a := fail(http.StatusMethodNotAllowed, "method_not_allowed", "this path does not take this method", "use %s", allow)
	a.allow = allow
	return a
}

func otherOrigin() answer {
	a := fail(http.StatusForbidden, "forbidden", "pages of this origin may not ask here",
		"the operator can add the origin to ALLOWED_ORIGINS")
	a.reason = string(auth.OtherOrigin)
	return a
}

func invalidBody(problem message.Format) answer {
	return fail(http.StatusBadRequest, "invalid_body", problem,
		`send no body, or {"stale_token": "…"} with the token that Coze no longer takes`)
}

func invalidSession(err error) answer {
	const hint = "send the id of your end user once, as 1 to 256 bytes of UTF-8 without control characters or \", \"; " +
		"in a browser, encodeURIComponent(id) makes any id fit"
	if errors.Is(err, errNoSession) {
		return fail(http.StatusBadRequest, "invalid_session",
			"X-User-ID is missing, and this service gives no token without one", hint)
	}
	return fail(http.StatusBadRequest, "invalid_session", "X-User-ID is not a session name: %v", hint, err)
}

// limits are the kinds of limits in words.
var limits = map[string]message.Format{"address": "address", "session": "session", "caller": "caller", "app": "app"}

func rateLimited(d ratelimit.Decision) answer {
	a := fail(http.StatusTooManyRequests, "rate_limited", "there are too many requests of this %s",
		"wait as long as Retry-After says, and keep a token until it runs out", limits[d.Name])
	a.retryAfter, a.reason, a.limit = d.RetryAfter, d.Name+"_rate", d.Name
	return a
}

func tooManySessions(d ratelimit.Decision) answer {
	a := fail(http.StatusTooManyRequests, "rate_limited", "this address asks for new tokens too often",
		"wait as long as Retry-After says, keep a token until it runs out, and ask for a user again under the same name")
	a.retryAfter, a.reason, a.limit = d.RetryAfter, "exchange_rate", d.Name
	return a
}

// failed is the answer to a request that err ended. h is the header of the answer.
func failed(h http.Header, err error) answer {
	a := internalError
	if e, ok := errors.AsType[*coze.Error](err); ok {
		a = upstreamFailure(e)
	} else if e, ok := errors.AsType[*auth.Error](err); ok {
		a = answer{status: e.Status, body: failure{Code: string(e.Code), Error: e.Problem, Hint: e.Hint}}
		a.retryAfter, a.reason = e.RetryAfter, string(e.Reason)
		for _, challenge := range e.Challenges {
			h.Add("WWW-Authenticate", challenge)
		}
		if e.Cookie != nil {
			h.Add("Set-Cookie", e.Cookie.String())
		}
	}
	a.err = err
	return a
}

// busyPause is the Retry-After of upstream_busy if Coze sent none.
const busyPause = 5 * time.Second

// upstreamFailure has Coze's own words, if Coze answered, and nothing about the network behind this
// service. It is never a 401, because Coze's Chat SDK answers a 401 by asking again at once.
func upstreamFailure(e *coze.Error) answer {
	code, problem, hint := "upstream_unavailable", message.Format("Coze could not be reached"), Hint(e)
	status, pause := http.StatusBadGateway, e.RetryAfter
	switch {
	case errors.Is(e, broker.ErrBudget):
		status, code = http.StatusServiceUnavailable, "over_budget"
		problem = "this service has exchanged as many tokens as it may for now"
		hint = "wait, and ask less often; the operator can raise MINT_BUDGET"
	case errors.Is(e, broker.ErrExchanges):
		status, code = http.StatusServiceUnavailable, "upstream_busy"
		problem = "this service waits for Coze for as many tokens as it may at once"
		hint = "try again in a second; Coze is slow, or the operator can raise MAX_EXCHANGES"
	case e.Kind == coze.Rejected:
		code, problem = "upstream_rejected", "Coze refused to issue a token"
	case e.Kind == coze.Busy:
		status, code = http.StatusServiceUnavailable, "upstream_busy"
		problem = "Coze is asked for tokens too often"
		pause = cmp.Or(pause, busyPause)
	case e.Kind == coze.Timeout:
		status, code, problem = http.StatusGatewayTimeout, "upstream_timeout", "Coze did not answer in time"
	case e.Kind == coze.InvalidRequest:
		status, code = http.StatusInternalServerError, "misconfigured"
		problem = "the request to Coze could not be signed"
	case e.Status != 0:
		problem = "Coze's answer held no token"
	}
	f := failure{Code: code, Error: message.New(problem), Hint: message.New(hint)}
	if e.Status != 0 {
		f.Upstream = &upstream{e.Status, e.Code, e.Message, e.LogID}
	}
	return answer{status: status, body: f, retryAfter: pause}
}
