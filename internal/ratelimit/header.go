package ratelimit

import (
	"net/http"
	"strconv"
	"time"
)

// The header fields that WriteHeader sets, in Go's canonical form, for those who must name them: pages on other
// origins read only what Access-Control-Expose-Headers lists.
const (
	HeaderPolicy     = "Ratelimit-Policy"
	HeaderLimit      = "Ratelimit"
	HeaderRetryAfter = "Retry-After"
)

// WriteHeader tells the client of its limit, as draft-ietf-httpapi-ratelimit-headers-11 has it:
//
//	RateLimit-Policy: "address";q=300;w=60
//	RateLimit: "address";r=120;t=24
//
// and, if the request was refused, Retry-After. Nothing is written for a rate that is off, and no RateLimit where it
// is not known what remains.
//
// The draft's t is the span in which no more than r may be used. Here it is the time that the rate grants for r
// requests, so that r/t is always the steady rate and a client that spreads what it has over t is never refused
// (section 8.5 of the draft asks for such a cap); with r=0, the time until the next request has room. With a refusal
// it is what Retry-After says, which must not be earlier (section 6). Whole seconds, rounded up.
//
// It is the limit's name that is told and never the key, which could be somebody else's address or session.
func (d Decision) WriteHeader(h http.Header) {
	if d.Rate.Off() {
		return
	}
	space := make([]byte, 0, 64)
	b := appendItem(space, d.Name)
	b = append(b, ";q="...)
	b = strconv.AppendInt(b, int64(d.Rate.Requests), 10)
	b = append(b, ";w="...)
	b = strconv.AppendInt(b, seconds(d.Rate.Per), 10)
	h[HeaderPolicy] = []string{string(b)}
	if !d.OK {
		h[HeaderRetryAfter] = []string{strconv.FormatInt(seconds(d.RetryAfter), 10)}
	}
	if d.Remaining == Unknown {
		return
	}
	b = appendItem(space, d.Name)
	b = append(b, ";r="...)
	b = strconv.AppendInt(b, int64(d.Remaining), 10)
	b = append(b, ";t="...)
	b = strconv.AppendInt(b, seconds(d.window()), 10)
	h[HeaderLimit] = []string{string(b)}
}

// window is the draft's t.
func (d Decision) window() time.Duration {
	cost := time.Duration(d.Rate.cost())
	switch {
	case !d.OK:
		return d.RetryAfter
	case d.Remaining == 0:
		return max(1, d.Reset-time.Duration(d.Rate.quota())+cost)
	default:
		return min(d.Rate.Per, time.Duration(d.Remaining)*cost)
	}
}

// appendItem appends a name as a String of RFC 9651. Names are words from the program's code; what a String cannot
// hold is left out.
func appendItem(b []byte, name string) []byte {
	b = append(b, '"')
	for i := 0; i < len(name); i++ {
		if c := name[i]; ' ' <= c && c <= '~' && c != '"' && c != '\\' {
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// seconds rounds up, and is at least 1: a client told to wait 0 seconds comes back at once.
func seconds(d time.Duration) int64 {
	return max(1, int64((d+time.Second-1)/time.Second))
}
