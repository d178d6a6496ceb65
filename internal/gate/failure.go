package gate

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"coze-token/broker"
	"coze-token/coze"
	"coze-token/internal/auth"
	"coze-token/internal/fault"
	"coze-token/internal/ratelimit"
)

// Each failure has a status and a word of its own, which docs/http.md lists. A refusal by Coze is never a 401 here:
// Coze's Chat SDK answers a 401 by asking again, at once.

func fail(status int, code, problem, hint string) answer {
	return answer{status: status, body: failure{Error: problem, Code: code, Hint: hint}}
}

func methodNotAllowed(allow string) answer {
	a := fail(http.StatusMethodNotAllowed, "method_not_allowed", "this path does not take this method", "use "+allow)
	a.allow = allow
	return a
}

func notFound() answer {
	return fail(http.StatusNotFound, "not_found", "there is nothing at this path", "ask for a token with POST / or, for one of several apps, POST /NAME")
}

func bodyTooLarge() answer {
	return fail(http.StatusRequestEntityTooLarge, "body_too_large", "the body is larger than 16 KiB", "send no body, or {\"stale_token\": \"…\"} alone")
}

func badBody(problem string) answer {
	return fail(http.StatusBadRequest, "invalid_body", problem, "send no body, or {\"stale_token\": \"…\"} with the token that Coze no longer takes")
}

func invalidMinTTL(err error) answer {
	return fail(http.StatusBadRequest, "invalid_min_ttl", "min_ttl is not a life that a token here can have", err.Error())
}

func invalidSession(err error) answer {
	problem := "X-User-ID is not a session name: " + err.Error()
	if errors.Is(err, errNoSession) {
		problem = "X-User-ID is missing, and this service gives no token without one"
	}
	return fail(http.StatusBadRequest, "invalid_session", problem,
		"send the id of your end user once, as 1 to 256 bytes of UTF-8 without control characters or \", \"; in a browser, encodeURIComponent(id) makes any id fit")
}

func otherOrigin() answer {
	return fail(http.StatusForbidden, "forbidden", "pages of this origin may not ask here", "the operator can add the origin to ALLOWED_ORIGINS")
}

func rateLimited(x *exchange, d ratelimit.Decision) answer {
	x.reason = d.Name + "_rate"
	a := fail(http.StatusTooManyRequests, "rate_limited", "there are too many requests of this "+d.Name, "wait as long as Retry-After says, and keep a token until it runs out")
	a.retryAfter = d.RetryAfter
	return a
}

// refuse tells a caller why it gets nothing.
func (g *gate) refuse(h http.Header, x *exchange, err error) answer {
	x.err = err
	var e *auth.Error
	if !errors.As(err, &e) {
		return internalError()
	}
	for _, challenge := range e.Challenges {
		h.Add("WWW-Authenticate", challenge)
	}
	if e.Cookie != nil {
		h.Add("Set-Cookie", e.Cookie.String())
	}
	a := fail(e.Status, string(e.Code), e.Problem, e.Hint)
	a.retryAfter = e.RetryAfter
	return a
}

// MisconfiguredHandler answers every request for a token with what is wrong with the settings.
func MisconfiguredHandler(faults fault.List, remedy string, log *slog.Logger) http.Handler {
	return New(Options{
		Misconfigured: &Misconfigured{
			Problem: "settings are missing or wrong: " + strings.Join(faults.Settings(), ", "),
			Remedy:  remedy,
			Detail:  faults.Error(),
		},
		Log: log,
	})
}

// Hint says what a failure at Coze means for a person.
func Hint(e *coze.Error) string { return e.Hint() }

func (g *gate) misconfigured(x *exchange) answer {
	x.err = errors.New(g.Misconfigured.Detail)
	return fail(http.StatusInternalServerError, "misconfigured", g.Misconfigured.Problem, g.Misconfigured.Remedy)
}

func internalError() answer {
	return fail(http.StatusInternalServerError, "internal_error", "something went wrong in the token service",
		"try again; if it goes on, look for the request id in the service's log")
}

// defaultPause is the Retry-After of a busy answer where Coze gave none.
const defaultPause = 5 * time.Second

// upstreamFailure tells the caller why the source gave no token: Coze's own words where Coze spoke, and nothing about
// the network behind this service.
func upstreamFailure(err error) answer {
	var e *coze.Error
	if !errors.As(err, &e) {
		return internalError()
	}
	var a answer
	if errors.Is(err, broker.ErrBudget) {
		a = fail(http.StatusServiceUnavailable, "over_budget", "this service has exchanged as many tokens as it may for now",
			"wait, and ask less often; the operator can raise MINT_BUDGET")
		a.retryAfter = e.RetryAfter
		return a
	}
	switch e.Kind {
	case coze.Rejected:
		a = fail(http.StatusBadGateway, "upstream_rejected", "Coze refused to issue a token", e.Hint())
	case coze.Busy:
		a = fail(http.StatusServiceUnavailable, "upstream_busy", "Coze is asked for tokens too often", e.Hint())
		a.retryAfter = defaultPause
	case coze.Timeout:
		a = fail(http.StatusGatewayTimeout, "upstream_timeout", "Coze did not answer in time", e.Hint())
	case coze.InvalidRequest:
		a = fail(http.StatusInternalServerError, "misconfigured", "the request to Coze could not be signed", e.Hint())
	default:
		problem := "Coze could not be reached"
		if e.Status != 0 {
			problem = "Coze's answer held no token"
		}
		a = fail(http.StatusBadGateway, "upstream_unavailable", problem, e.Hint())
	}
	if e.RetryAfter > 0 {
		a.retryAfter = e.RetryAfter
	}
	if e.Status != 0 {
		f := a.body.(failure)
		f.Upstream = &upstream{e.Status, e.Code, e.Message, e.LogID}
		a.body = f
	}
	return a
}
