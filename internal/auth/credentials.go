package auth

import (
	"net/http"
	"slices"
	"strings"

	"coze-token/internal/message"
)

// The headers that are read, in Go's canonical form.
const (
	authorizationHeader = "Authorization"
	keyHeader           = "X-Api-Key"
	cookieHeader        = "Cookie"
	fetchSiteHeader     = "Sec-Fetch-Site"
	// TicketHeader carries a visitor's ticket, both ways.
	TicketHeader = "X-Visitor-Ticket"
	// TurnstileHeader carries what Cloudflare's Turnstile widget gave the page.
	TurnstileHeader = "X-Turnstile-Token"
	// AccessHeader carries the JWT that Cloudflare Access adds to a request.
	AccessHeader = "Cf-Access-Jwt-Assertion"
)

// requestHeaders are all headers that this package reads, but for those that settings name, which
// cannot be one of these.
var requestHeaders = []string{
	authorizationHeader, keyHeader, TicketHeader, TurnstileHeader, AccessHeader, cookieHeader, fetchSiteHeader,
	WeChatCodeHeader, WeChatTicketHeader,
}

// PageHeaders are those that a page on another origin has to be allowed to send
// (Access-Control-Allow-Headers).
var PageHeaders = []string{
	authorizationHeader, keyHeader, TicketHeader, TurnstileHeader, WeChatCodeHeader, WeChatTicketHeader,
}

// TicketHeaders are those of answers that a page on another origin has to be allowed to read.
var TicketHeaders = []string{TicketHeader, WeChatTicketHeader}

// maxCredential is the most that is read of a credential, in bytes. An ID token has 1 to 2 KiB, and
// one with a long list of groups up to 4.
const maxCredential = 8 << 10

// Trust says what of a request may be believed.
type Trust struct {
	// Cookies says that cookies may be read and set: not for a page that has no part in them.
	Cookies bool
	// Proxy says that a trusted proxy sent the request.
	Proxy bool
}

// Credentials are what one request carries.
type Credentials struct {
	Trust
	Header http.Header
	// Sent is the credential in Authorization: Bearer or X-API-Key. Empty: none was sent.
	Sent string

	keyHeader bool   // it was sent in X-API-Key
	err       *Error // why it is unclear what was sent
}

// sent reads the credential that the client itself put into the request.
func sent(h http.Header) (credential string, inKeyHeader bool, e *Error) {
	first, e := bearer(h)
	if e != nil {
		return "", false, e
	}
	second, present, e := single(h, keyHeader)
	switch {
	case e != nil:
		return "", false, e
	case present && !isToken(second):
		return "", false, unauthenticated(Malformed, "X-API-Key does not hold a key", "send the key alone")
	case first != "" && present && first != second:
		return "", false, ambiguous("Authorization and X-API-Key hold different credentials", "send one of the two")
	case first != "":
		return first, present, nil
	}
	return second, present, nil
}

// single is the value of a header that must not come twice. A comma is refused too: proxies and
// Workers' runtime join a header that was sent twice (RFC 9110 section 5.2), and no credential here
// has a comma in it.
func single(h http.Header, name string) (value string, present bool, e *Error) {
	values := h[name]
	switch {
	case len(values) == 0:
		return "", false, nil
	case len(values) > 1 || strings.Contains(values[0], ","):
		return "", true, ambiguous("%s was sent more than once", "send it once", name)
	case len(values[0]) > maxCredential:
		return "", true, unauthenticated(TooLarge, tooLarge, sendAlone, name)
	}
	return values[0], true, nil
}

const (
	tooLarge  message.Format = "%s is too large"
	sendAlone message.Format = "send the credential alone, of at most 8 KiB"
)

const bearerScheme = "Bearer"

// bearer is the credential in Authorization: Bearer (RFC 6750 section 2.1), or "". Other schemes
// are for somebody else, such as a proxy. A malformed credential of this scheme is refused: its
// sender must not become a visitor unawares.
func bearer(h http.Header) (credential string, e *Error) {
	lines := h[authorizationHeader]
	if len(lines) == 0 {
		return "", nil
	}
	const remedy = "send Authorization: Bearer, a space, and the credential alone"
	value := strings.Join(lines, ", ") // as proxies and Workers' runtime do
	parts := strings.Split(value, ",")
	switch ours := slices.ContainsFunc(parts, isBearer); {
	case !ours && !slices.ContainsFunc(lines, func(line string) bool { return !isOtherScheme(line) }):
		return "", nil
	case !ours: // nothing, or a credential without its scheme
		return "", unauthenticated(Malformed, "Authorization does not hold a scheme and a credential", remedy)
	case len(parts) > 1:
		return "", ambiguous("%s was sent more than once", "send it once", authorizationHeader)
	case len(value) > maxCredential:
		return "", forbidden(TooLarge, tooLarge, sendAlone, authorizationHeader)
	}
	credential, spaced := strings.CutPrefix(value[len(bearerScheme):], " ")
	credential = strings.Trim(credential, " ")
	if !spaced || !isToken(credential) {
		return "", unauthenticated(Malformed, "what follows Bearer is not a token", remedy)
	}
	return credential, nil
}

// isBearer reports whether a part of Authorization is of the scheme Bearer, well formed or not.
func isBearer(part string) bool {
	part = strings.TrimLeft(part, " \t")
	return len(part) >= len(bearerScheme) && strings.EqualFold(part[:len(bearerScheme)], bearerScheme)
}

// isOtherScheme reports whether a line of Authorization has a scheme and something after it.
func isOtherScheme(line string) bool {
	scheme, rest, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
	return isToken(scheme) && strings.Trim(rest, " ") != ""
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// isToken reports whether text is a token68 (RFC 9110 section 11.2), which a Bearer credential is.
// The padding may stand anywhere: nothing depends on it.
func isToken(text string) bool { return text != "" && strings.Trim(text, letters+"-._~+/=") == "" }

// isName reports whether text is a name of at most that many bytes: ASCII that needs no escape in a
// header, a path or a record.
func isName(text string, most int) bool {
	return text != "" && len(text) <= most && strings.Trim(text, letters+"._-@") == ""
}
