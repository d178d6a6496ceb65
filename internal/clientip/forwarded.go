package clientip

import (
	"net/netip"
	"strings"
)

// readForwarded reads a hop of Forwarded (RFC 7239, section 4): the address in its "for" parameter.
//
//	for=192.0.2.43;proto=https
//	For="[2001:db8:cafe::17]:4711"
//
// The grammar is checked strictly, except that spaces may stand around semicolons. The hop may have
// been cut at a comma in a quoted string, such as host="…" with text that the client chose. Then it
// has an odd number of quotes without a backslash, so it is not well-formed and ends the walk.
func readForwarded(hop string) (a netip.Addr, ok bool) {
	for hop != "" {
		if hop[0] == ';' { // a pair may be empty
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
				return a, false // a parameter may not come twice
			}
			if a, ok = readNode(value); !ok {
				return a, false // also "unknown" and "_hidden"
			}
		}
	}
	return a, a.IsValid()
}

// cutValue cuts a token or a quoted string off a text. A string keeps its backslashes: no address
// has any.
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

const tokenBytes = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// isToken reports whether a text is a token (RFC 9110, section 5.6.2).
func isToken(text string) bool { return text != "" && strings.Trim(text, tokenBytes) == "" }
