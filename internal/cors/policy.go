// Package cors decides from which web pages requests may come.
//
// [Parse] reads a list of origins into a [Set]. A [Policy] compares requests with it and writes the
// header fields of cross-origin resource sharing (CORS, in the Fetch standard).
//
// CORS only tells a browser whether a page may read an answer. So the server also has to refuse a
// request from an unlisted origin. A request without an origin does not come from another site's
// page, and is for other checks.
//
// The service's own origin has to be listed too, if pages on it send requests: browsers send it
// with every POST. It is not taken from Host, because a page whose name was pointed at this server
// (DNS rebinding) has a Host that equals its origin. Security checks 15 and 16.
package cors

import (
	"net/http"
	"slices"
	"strings"
)

// maxAge is how many seconds a browser may remember a preflight's answer. Safari has this maximum.
const maxAge = "600"

// RequestHeaders are the headers that a policy reads, for hosts that pass on no others.
var RequestHeaders = []string{"Origin", requestMethod, requestHeaders}

const (
	requestMethod  = "Access-Control-Request-Method"
	requestHeaders = "Access-Control-Request-Headers"
	// maxRequestHeaders is how many bytes of header names in a preflight are read.
	maxRequestHeaders = 2048
)

// A Policy is what pages of the listed origins may do. If it is nil or lists no origins, it reads
// and writes nothing. It is safe for concurrent use.
type Policy struct {
	Origins *Set
	Methods []string // that pages may use
	Headers []string // that pages may send, Content-Type and Authorization included
	Expose  []string // headers of answers that pages may read
	// Credentials allows cookies for pages of exactly listed origins. Pages below a wildcard never
	// get it: if somebody else controls one label, that page would act in the name of its visitors.
	Credentials bool
}

// A Verdict is what a request's origin is to the service.
type Verdict int

const (
	// NoOrigin means that the request has no Origin header, or that no origins are listed.
	NoOrigin Verdict = iota
	// Unlisted means that the request must be refused: also for two origins, "" and null.
	Unlisted
	// ByWildcard means that a wildcard lists the origin. The request's cookies must be ignored.
	ByWildcard
	// Exactly means that the origin itself is listed.
	Exactly
)

// Apply judges a request and writes the header fields of its answer; for a preflight, those of a
// preflight. Call it before anything else is decided, so that pages can read errors too. Vary names
// Origin always, because the answer depends on it even if there is none. An unlisted origin gets
// nothing else.
func (p *Policy) Apply(h http.Header, r *http.Request) Verdict {
	if p == nil || p.Origins.Empty() {
		return NoOrigin
	}
	preflight := p.IsPreflight(r)
	if preflight {
		h.Add("Vary", "Origin, "+requestMethod+", "+requestHeaders)
	} else {
		h.Add("Vary", "Origin")
	}
	lines := r.Header["Origin"]
	if len(lines) == 0 {
		return NoOrigin
	}
	verdict := p.Origins.judge(lines[0])
	if verdict == Unlisted || len(lines) > 1 {
		return Unlisted
	}
	h.Set("Access-Control-Allow-Origin", lines[0])
	if p.Credentials && verdict == Exactly {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	switch {
	case preflight:
		h.Set("Access-Control-Allow-Methods", strings.Join(p.Methods, ", "))
		if allowed := p.allowed(r.Header[requestHeaders]); len(allowed) > 0 {
			h.Set("Access-Control-Allow-Headers", strings.Join(allowed, ", "))
		}
		h.Set("Access-Control-Max-Age", maxAge)
	case len(p.Expose) > 0:
		h.Set("Access-Control-Expose-Headers", strings.Join(p.Expose, ", "))
	}
	return verdict
}

// IsPreflight reports whether a request is a preflight, with which a browser asks before the real
// request. It has no credentials, so it must be answered before callers are authenticated.
func (p *Policy) IsPreflight(r *http.Request) bool {
	return p != nil && !p.Origins.Empty() && r.Method == http.MethodOptions &&
		len(r.Header["Origin"]) > 0 && len(r.Header[requestMethod]) > 0
}

// Refused returns the headers that a preflight asks for and that pages may not send: the browser then
// sends no request.
func (p *Policy) Refused(r *http.Request) []string {
	allowed := p.allowed(r.Header[requestHeaders])
	return slices.DeleteFunc(requested(r.Header[requestHeaders]), func(name string) bool {
		return slices.ContainsFunc(allowed, func(header string) bool { return strings.EqualFold(name, header) })
	})
}

func requested(lines []string) []string {
	return strings.FieldsFunc(strings.Join(lines, ","), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}

// allowed returns the requested headers that pages may send. A browser sends one line without
// spaces, but proxies may change that.
func (p *Policy) allowed(lines []string) (allowed []string) {
	if len(strings.Join(lines, ",")) > maxRequestHeaders {
		return nil
	}
	asked := requested(lines)
	for _, header := range p.Headers {
		if slices.ContainsFunc(asked, func(name string) bool { return strings.EqualFold(name, header) }) {
			allowed = append(allowed, header)
		}
	}
	return allowed
}
