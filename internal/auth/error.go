package auth

import (
	"net/http"
	"time"

	"coze-token/internal/message"
)

// A Code is the word for a refusal in the answer to the client: docs/openapi.yaml has them.
type Code string

// The codes.
const (
	InvalidRequest  Code = "invalid_request" // 400: which credential is meant cannot be told
	Unauthenticated Code = "unauthenticated" // 401: there is no credential, or it is wrong
	APIKeyEnded     Code = "api_key_ended"   // 401: the API key was good until a day that is over
	// 401: a new code of wx.login() is needed.
	WeChatCodeRequired Code = "wechat_code_required"
	RateLimited        Code = "rate_limited"     // 429: somebody else counts this user's requests
	Misconfigured      Code = "misconfigured"    // 500: settings are wrong
	Forbidden          Code = "forbidden"        // 403: the credential is good, and not for this
	Unavailable        Code = "auth_unavailable" // 503: whether it is good could not be found out
)

// A Reason is the word for a refusal in the audit record. It says more than the client is told.
type Reason string

// The reasons.
const (
	NoCredential       Reason = "no_credential"
	Ambiguous          Reason = "ambiguous_credential"
	Malformed          Reason = "malformed_credential"
	TooLarge           Reason = "credential_too_large"
	UnknownKey         Reason = "unknown_api_key"
	KeyEnded           Reason = "api_key_ended"
	BadToken           Reason = "bad_token"        // not a JWT that any provider would make
	UnknownIssuer      Reason = "unknown_issuer"   // of no login that is configured here
	BadAlgorithm       Reason = "bad_algorithm"    // none, HS256, or another that the login does not allow
	ForbiddenHeader    Reason = "forbidden_header" // jku, x5u, jwk, crit: the token says how to verify it
	UnknownSigningKey  Reason = "unknown_signing_key"
	BadSignature       Reason = "bad_signature"
	TokenExpired       Reason = "token_expired"
	TokenNotYetValid   Reason = "token_not_yet_valid"
	WrongAudience      Reason = "wrong_audience"
	BadClaims          Reason = "bad_claims"
	NoSessionClaim     Reason = "no_session_claim"
	UnverifiedEmail    Reason = "unverified_email"
	ReservedSession    Reason = "reserved_session"
	OtherSession       Reason = "other_session"
	NotEntitled        Reason = "not_entitled_to_name_users"
	OtherApp           Reason = "other_app"
	OtherOrigin        Reason = "other_origin"
	BadVisitor         Reason = "bad_visitor_credential"
	TurnstileMissing   Reason = "turnstile_missing"
	TurnstileFailed    Reason = "turnstile_failed"
	TurnstileDown      Reason = "turnstile_unavailable"
	TurnstileSecretBad Reason = "turnstile_secret_refused" // ours: somebody has to mend TURNSTILE_SECRET
	WeChatTicketWrong  Reason = "wechat_ticket_wrong"
	WeChatTicketEnded  Reason = "wechat_ticket_ended"
	WeChatCodeWrong    Reason = "wechat_code_wrong"
	WeChatCodeUsed     Reason = "wechat_code_used"
	WeChatRate         Reason = "wechat_rate"
	WeChatBlocked      Reason = "wechat_blocked"
	WeChatRefused      Reason = "wechat_refused" // ours: somebody has to mend the settings
	WeChatDown         Reason = "wechat_unavailable"
	ProviderDown       Reason = "login_provider_unavailable"
)

// An Error is why a caller is refused. All of it but Err may be shown to the client.
type Error struct {
	Status  int
	Code    Code
	Problem message.Text // what is wrong, for a person
	Hint    message.Text // what to do about it
	// Challenges are the WWW-Authenticate fields of the answer, one header each. Every 401 has one
	// (RFC 9110, section 15.5.2).
	Challenges []string
	// Cookie, where it is not nil, is to be set with the refusal. It deletes a visitor cookie that is
	// wrong, which no script can do, so that the next request starts anew.
	Cookie *http.Cookie
	// RetryAfter is when to come again. Zero: unknown.
	RetryAfter time.Duration

	Reason Reason
	// Err is the cause, for the log alone: it may name the hosts behind this service. Never a
	// credential.
	Err error
}

// Error holds nothing that is secret.
func (e *Error) Error() string {
	s := string(e.Reason) + ": " + e.Problem.String()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// refuse makes a refusal. The arguments are those of the problem and then those of the hint.
func refuse(status int, code Code, reason Reason, problem, hint message.Format, args ...any) *Error {
	e := &Error{Status: status, Code: code, Reason: reason}
	e.Problem, e.Hint = message.Pair(problem, hint, args...)
	return e
}

func ambiguous(problem, hint message.Format, args ...any) *Error {
	return refuse(http.StatusBadRequest, InvalidRequest, Ambiguous, problem, hint, args...)
}

func unauthenticated(reason Reason, problem, hint message.Format, args ...any) *Error {
	return refuse(http.StatusUnauthorized, Unauthenticated, reason, problem, hint, args...)
}

func forbidden(reason Reason, problem, hint message.Format, args ...any) *Error {
	return refuse(http.StatusForbidden, Forbidden, reason, problem, hint, args...)
}

// unavailablePause is the Retry-After of a 503: that of a page that asks again by itself.
const unavailablePause = 5 * time.Second

func unavailable(reason Reason, cause error, problem, hint message.Format) *Error {
	e := refuse(http.StatusServiceUnavailable, Unavailable, reason, problem, hint)
	e.RetryAfter, e.Err = unavailablePause, cause
	return e
}
