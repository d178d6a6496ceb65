package cors

import (
	"strings"
	"unicode"

	"coze-token/internal/fault"
	"coze-token/internal/quote"
)

// maxOrigin is the maximum length of an Origin header, in bytes.
const maxOrigin = 256

// A Set is a list of origins. Nil and the zero value have none.
type Set struct {
	exact map[string]bool
	below map[[2]string]bool // the scheme, and the host and port below which one label may stand
}

// Parse reads a list of origins with commas or white space between. An entry is an origin as
// browsers send it, or one with * as the first label of its host.
//
// The * stands for exactly one label, as in a certificate (RFC 9525, section 6.3):
// https://*.example.com matches https://a.example.com, but neither https://example.com nor
// https://a.b.example.com. It cannot stand right below a public suffix, such as *.co.uk or
// *.github.io, because strangers have pages there.
//
// Case and default ports do not matter. Schemes of apps, such as capacitor://localhost, are
// accepted. So is http, with a warning unless the page is on the user's own machine.
//
// Warnings are about what works and is probably not meant. The error is a [fault.List] of all that
// is wrong, and then the set is nil.
func Parse(list string) (set *Set, warnings fault.List, err error) {
	set = &Set{map[string]bool{}, map[[2]string]bool{}}
	var faults fault.List
	for text := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		p, err := parsePattern(text)
		if err != nil {
			f := fault.Of(err)[0]
			faults.Add("has %s, %s", "%s", quote.Text(text), f.Problem, f.Remedy)
			continue
		}
		if p.scheme == "http" && !p.isLoopback() {
			warnings.Add("has %s, whose pages can be changed by whoever is on the way to them, "+
				"tokens and all", "serve them over https, and list that", quote.Text(p.String()))
		}
		if host, wildcard := strings.CutPrefix(p.host, "*."); wildcard {
			set.below[[2]string{p.scheme, host + p.port}] = true
		} else {
			set.exact[p.String()] = true
		}
	}
	if len(faults) > 0 {
		return nil, warnings, faults
	}
	return set, warnings, nil
}

// Empty reports whether no origin is listed.
func (s *Set) Empty() bool { return s == nil || len(s.exact)+len(s.below) == 0 }

// Match reports whether an Origin header is listed. It is compared byte for byte, because browsers
// send one form only (RFC 6454, section 6.2; Fetch, "serializing a request origin").
func (s *Set) Match(origin string) bool { return s.judge(origin) != Unlisted }

func (s *Set) judge(origin string) Verdict {
	if s == nil || len(origin) > maxOrigin {
		return Unlisted
	}
	if s.exact[origin] {
		return Exactly
	}
	scheme, rest, _ := strings.Cut(origin, "://")
	label, host, _ := strings.Cut(rest, ".")
	if isLabel(label) && s.below[[2]string{scheme, host}] {
		return ByWildcard
	}
	return Unlisted
}
