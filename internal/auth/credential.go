package auth

import (
	"net/http"
	"slices"
	"strings"
)

// The headers that are read, in Go's canonical form. Hosts that carry no others need the list.
const (
	authorizationHeader = "Authorization"
	keyHeader           = "X-Api-Key"
	// TicketHeader carries a visitor's ticket, both ways.
	TicketHeader = "X-Visitor-Ticket"
	// TurnstileHeader carries what Cloudflare's Turnstile widget gave the page (cf-turnstile-response).
	TurnstileHeader = "X-Turnstile-Token"
	// AccessHeader carries the JWT that Cloudflare Access adds to a request.
	AccessHeader   = "Cf-Access-Jwt-Assertion"
	cookieHeader   = "Cookie"
	fetchSiteField = "Sec-Fetch-Site"
)

// RequestHeaders are all the headers that this package reads.
var RequestHeaders = []string{authorizationHeader, keyHeader, TicketHeader, TurnstileHeader, AccessHeader, cookieHeader, fetchSiteField}

// PageHeaders are those of them that a page on another origin has to be allowed to send
// (Access-Control-Allow-Headers).
var PageHeaders = []string{authorizationHeader, keyHeader, TicketHeader, TurnstileHeader}

// maxCredential is the most that is read of a credential, in bytes. An ID token is 1 to 2 KiB, and one with a long list of
// groups in it up to 4.
const maxCredential = 8 << 10

// only is the one value of a header that must not come twice. A comma is refused as well, because proxies and Workers'
// runtime join a header that was sent twice (RFC 9110, section 5.2), and no credential here has one in it.
func only(h http.Header, name string) (value string, present bool, e *Error) {
	values := h[name]
	switch {
	case len(values) == 0:
		return "", false, nil
	case len(values) > 1 || strings.Contains(values[0], ","):
		return "", true, ambiguous(name+" was sent more than once", "send it once")
	case len(values[0]) > maxCredential:
		return "", true, unauthenticated(TooLarge, name+" is too large", "send the credential alone, of at most 8 KiB")
	}
	return values[0], true, nil
}

// bearer is the credential in Authorization: Bearer (RFC 6750, section 2.1). Other schemes are somebody else's, a
// proxy's for instance, and no credential here. What means to be ours and is not well formed is refused: its sender must
// not become a visitor unawares.
func bearer(h http.Header) (credential string, present bool, e *Error) {
	lines := h[authorizationHeader]
	if len(lines) == 0 {
		return "", false, nil
	}
	const remedy = "send Authorization: Bearer, a space, and the credential alone"
	value := strings.Join(lines, ", ") // as proxies and Workers' runtime do
	parts := strings.Split(value, ",")
	switch ours := slices.ContainsFunc(parts, isBearer); {
	case !ours && !slices.ContainsFunc(lines, func(line string) bool { return !isForeign(line) }):
		return "", false, nil
	case !ours: // nothing, or a credential without its scheme
		return "", true, unauthenticated(Malformed, "Authorization does not hold a scheme and a credential", remedy)
	case len(parts) > 1:
		return "", true, ambiguous("Authorization was sent more than once", "send it once")
	case len(value) > maxCredential:
		return "", true, unauthenticated(TooLarge, "Authorization is too large", "send the credential alone, of at most 8 KiB")
	}
	credential, spaced := strings.CutPrefix(value[len(bearerScheme):], " ")
	credential = strings.Trim(credential, " ")
	if !spaced || !isToken(credential) {
		return "", true, unauthenticated(Malformed, "what follows Bearer is not a token", remedy)
	}
	return credential, true, nil
}

const bearerScheme = "Bearer"

// isBearer says whether a part of Authorization means to be a credential of our scheme, well formed or not.
func isBearer(part string) bool {
	part = strings.TrimLeft(part, " \t")
	return len(part) >= len(bearerScheme) && strings.EqualFold(part[:len(bearerScheme)], bearerScheme)
}

// isForeign says whether a line of Authorization has a scheme and something after it.
func isForeign(line string) bool {
	scheme, rest, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
	return isToken(scheme) && strings.Trim(rest, " ") != ""
}

// apiKey is the credential in X-API-Key.
func apiKey(h http.Header) (credential string, present bool, e *Error) {
	credential, present, e = only(h, keyHeader)
	if e == nil && present && !isToken(credential) {
		e = unauthenticated(Malformed, "X-API-Key does not hold a key", "send the key alone")
	}
	return credential, present, e
}

// isToken says whether text is what RFC 9110, section 11.2, calls token68, which a Bearer credential is. The padding
// may stand anywhere: nothing here depends on it.
func isToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._~+/=", r))
	})
}
