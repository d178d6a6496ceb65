package caller

import (
	"net/http"
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
// proxy's for instance, and no credential here.
func bearer(h http.Header) (credential string, present bool, e *Error) {
	value, present, e := only(h, authorizationHeader)
	if e != nil || !present {
		return "", present, e
	}
	scheme, credential, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false, nil
	}
	credential = strings.Trim(credential, " ")
	if !isToken(credential) {
		return "", true, unauthenticated(Malformed, "what follows Bearer is not a token", "send Authorization: Bearer, a space, and the credential alone")
	}
	return credential, true, nil
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
