package cors

import (
	"strings"
	"unicode"

	"coze-token/internal/quote"
)

// MaxOrigin is the length in bytes from which on an Origin header is not looked at. A host of 253 bytes with a port
// that long is not in use.
const MaxOrigin = 256

// A Set is a list of origins. Nil and the zero value have none.
type Set struct {
	exact map[string]struct{}
	below map[below]struct{}
}

// Below is all origins with one label before a host.
type below struct {
	scheme string // with "://"
	host   string // and port
}

// Parse reads a list of origins with commas or white space between. An entry is an origin as browsers send it, or has
// * for the first label of the host.
//
// The * stands for exactly one label, as it does in a certificate (RFC 9525, section 6.3): https://*.example.com is
// https://a.example.com and neither https://example.com nor https://a.b.example.com. Every label it could stand for
// beyond that is one more place in which a stranger may have a page. It cannot stand right below a public suffix,
// such as *.co.uk or *.github.io, where all are strangers.
//
// Case and default ports do not matter in the list. http is taken for pages on the user's own machine, and with a
// warning for others. Schemes of apps (capacitor://localhost) are taken as they are.
//
// Every fault is returned, and the set is nil if there is one. Warnings come in either case.
func Parse(list string) (set *Set, warnings, faults []Fault) {
	set = &Set{exact: map[string]struct{}{}, below: map[below]struct{}{}}
	for text := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		p, fault := parsePattern(text)
		if fault != nil {
			faults = append(faults, *fault)
			continue
		}
		if p.scheme == "http://" && !p.loopback() {
			warnings = append(warnings, Fault{"has " + quote.Text(p.String()) + ", whose pages can be changed by whoever is on the way to them, tokens and all", "serve them over https, and list that"})
		}
		if p.wildcard {
			set.below[below{p.scheme, p.host + p.port}] = struct{}{}
		} else {
			set.exact[p.String()] = struct{}{}
		}
	}
	if len(faults) > 0 {
		return nil, warnings, faults
	}
	return set, warnings, nil
}

// Empty says that no origin is listed.
func (s *Set) Empty() bool { return s == nil || len(s.exact) == 0 && len(s.below) == 0 }

// Match says whether an Origin header is listed. It is compared byte for byte, because browsers send one form only
// (RFC 6454, section 6.2; Fetch, "serializing a request origin") and nobody else's needs to be understood. null is
// never listed.
func (s *Set) Match(origin string) bool {
	v := s.judge(origin)
	return v == Exactly || v == ByWildcard
}

func (s *Set) judge(origin string) Verdict {
	if s == nil || len(origin) > MaxOrigin {
		return Unlisted
	}
	if _, ok := s.exact[origin]; ok {
		return Exactly
	}
	i := strings.Index(origin, "://")
	if i < 0 {
		return Unlisted
	}
	label, host, _ := strings.Cut(origin[i+3:], ".")
	if _, ok := s.below[below{origin[:i+3], host}]; ok && isLabel(label) {
		return ByWildcard
	}
	return Unlisted
}
