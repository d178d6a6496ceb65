package ratelimit

import (
	"net/netip"
	"strings"
)

// forwarded reads a hop of Forwarded (RFC 7239, section 4): the address in its "for" parameter.
//
//	for=192.0.2.43;proto=https
//	For="[2001:db8:cafe::17]:4711"
//
// The grammar is held to strictly, but for spaces around semicolons. Hops are found by splitting at commas from the
// right, and a comma can also stand in a quoted string: a proxy's host="…" may hold text of the client's choice. What
// is right of such a comma has an odd number of quotes that no backslash escapes, and a well-formed hop has an even
// one, so it is refused and the walk ends.
func forwarded(hop string) (a netip.Addr, ok bool) {
	for hop != "" {
		if hop[0] == ';' { // pairs may be empty
			hop = strings.TrimLeft(hop[1:], " \t")
			continue
		}
		name, rest, _ := strings.Cut(hop, "=")
		if !isToken(name) {
			return a, false
		}
		var value string
		if value, hop, ok = cutValue(rest); !ok {
			return a, false
		}
		if hop = strings.TrimLeft(hop, " \t"); hop != "" && hop[0] != ';' {
			return a, false
		}
		if strings.EqualFold(name, "for") {
			if a.IsValid() {
				return a, false // each parameter may be there once only
			}
			if a, ok = node(value, isForwardedPort); !ok {
				return a, false // "unknown" and "_hidden" among others: nothing to count by
			}
		}
	}
	return a, a.IsValid()
}

// cutValue cuts a token or a quoted string off a text. A string keeps its backslashes: no address has any.
func cutValue(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		i := strings.IndexAny(text, "; \t")
		if i < 0 {
			i = len(text)
		}
		return text[:i], text[i:], isToken(text[:i])
	}
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return text[1:i], text[i+1:], true
		case c == '\\':
			i++
		case c < ' ' && c != '\t' || c == 0x7f:
			return "", "", false
		}
	}
	return "", "", false
}

// isToken says whether a text is a token (RFC 9110, section 5.6.2).
func isToken(text string) bool {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return text != ""
}

// isForwardedPort says whether a text is a node's port: digits, or a name that begins with an underscore (RFC 7239,
// section 6).
func isForwardedPort(text string) bool {
	if strings.HasPrefix(text, "_") {
		return len(text) > 1 && isToken(text)
	}
	return isPort(text)
}
