package cors

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// DefaultMaxAge is how long a browser may remember a preflight's answer. Safari remembers none longer; after it a
// changed list is in force everywhere.
const DefaultMaxAge = 10 * time.Minute

// RequestHeaders are the headers that a policy reads, for hosts that carry no others.
var RequestHeaders = []string{"Origin", requestMethod, requestHeaders}

const (
	requestMethod  = "Access-Control-Request-Method"
	requestHeaders = "Access-Control-Request-Headers"
	// maxRequestHeaders is up to which length in bytes the header names of a preflight are looked at.
	maxRequestHeaders = 2048
)

// Options are what pages of the listed origins may do.
type Options struct {
	// Origins are the listed ones.
	Origins *Set
	// Methods that pages may use.
	Methods []string
	// Headers that pages may send. Content-Type and Authorization too have to be listed.
	Headers []string
	// Expose are the headers of answers that pages may read. Optional.
	Expose []string
	// Credentials says that pages of exactly listed origins may ask with cookies. Those that a wildcard lists never
	// may: with a label in somebody else's hands, that page would ask in the name of whoever looks at it. Optional.
	Credentials bool
	// MaxAge is how long a browser may remember a preflight's answer. Optional: DefaultMaxAge.
	MaxAge time.Duration
}

// A Policy judges requests by their origin and writes the headers. A nil one is for services without listed origins:
// it does not look at Origin, and writes nothing.
type Policy struct {
	origins     *Set
	headers     []string
	methods     string
	expose      string
	maxAge      string
	credentials bool
}

// NewPolicy makes a policy, which is nil if no origins are listed.
func NewPolicy(o Options) *Policy {
	if o.Origins.Empty() {
		return nil
	}
	if o.MaxAge <= 0 {
		o.MaxAge = DefaultMaxAge
	}
	return &Policy{
		origins:     o.Origins,
		headers:     o.Headers,
		methods:     strings.Join(o.Methods, ", "),
		expose:      strings.Join(o.Expose, ", "),
		maxAge:      strconv.FormatInt(int64(o.MaxAge/time.Second), 10),
		credentials: o.Credentials,
	}
}

// A Verdict is what a request's origin is to the service.
type Verdict int

const (
	// NoOrigin has a request without Origin header, or any if no origins are listed.
	NoOrigin Verdict = iota
	// Unlisted origins are refused. Two origins, an empty one and null are unlisted.
	Unlisted
	// ByWildcard is an origin that a wildcard lists. Cookies of such a request must not be heeded.
	ByWildcard
	// Exactly is an origin that is listed as it is.
	Exactly
)

// Apply judges a request and writes the headers that belong to its answer, whatever that will be; those of a
// preflight if it is one. It is called before anything else is decided, so that pages can read errors as well.
//
// The answer depends on Origin even where there is none, so Vary says so always. An unlisted origin gets nothing
// else.
func (p *Policy) Apply(h http.Header, r *http.Request) Verdict {
	if p == nil {
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
	verdict := Unlisted
	if len(lines) == 1 {
		verdict = p.origins.judge(lines[0])
	}
	if verdict == Unlisted {
		return Unlisted
	}
	h.Set("Access-Control-Allow-Origin", lines[0])
	if p.credentials && verdict == Exactly {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	switch {
	case preflight:
		h.Set("Access-Control-Allow-Methods", p.methods)
		if allowed := p.allowed(r.Header[requestHeaders]); allowed != "" {
			h.Set("Access-Control-Allow-Headers", allowed)
		}
		h.Set("Access-Control-Max-Age", p.maxAge)
	case p.expose != "":
		h.Set("Access-Control-Expose-Headers", p.expose)
	}
	return verdict
}

// IsPreflight says whether a request is a preflight: a browser's question before the real request. It has no
// credentials, so it is answered before anybody is asked who they are. Without listed origins nothing is a preflight.
func (p *Policy) IsPreflight(r *http.Request) bool {
	return p != nil && r.Method == http.MethodOptions && len(r.Header["Origin"]) > 0 && len(r.Header[requestMethod]) > 0
}

// allowed are those of the requested headers that pages may send. A browser that asks for others finds them missing,
// and says so in its console. It sends one line without spaces; proxies make other things of it.
func (p *Policy) allowed(lines []string) string {
	length := 0
	for _, line := range lines {
		length += len(line)
	}
	if length > maxRequestHeaders {
		return ""
	}
	var b strings.Builder
	for _, header := range p.headers {
		if requested(lines, header) {
			if b.Len() > 0 {
				b.WriteString(", ")
			}
			b.WriteString(header)
		}
	}
	return b.String()
}

func requested(lines []string, header string) bool {
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(name, " \t"), header) {
				return true
			}
		}
	}
	return false
}
