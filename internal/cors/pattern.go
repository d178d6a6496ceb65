package cors

import (
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"

	"coze-token/internal/quote"
)

// A Fault is what is wrong with one of the listed origins, or a warning of what works and is probably not meant; and
// what to do about it.
type Fault struct {
	Problem string
	Remedy  string
}

// Error is the fault on one line.
func (f Fault) Error() string { return f.Problem + "; " + f.Remedy }

// A pattern is an origin, in the form in which browsers send it, or all origins with one more label before the host.
type pattern struct {
	scheme   string // with "://"
	host     string // in lower case; IPv6 in brackets; without "*." of a wildcard
	port     string // with ":"; "" for the scheme's own
	wildcard bool
}

// String is the pattern as it should be written.
func (p pattern) String() string {
	if p.wildcard {
		return p.scheme + "*." + p.host + p.port
	}
	return p.scheme + p.host + p.port
}

const (
	example = "https://www.example.com"
	// maxPattern is the length in bytes from which on nothing is an origin: a host has up to 253.
	maxPattern = 300
)

// parsePattern reads one entry of the list, and says what is wrong with it as precisely as it can: people paste
// addresses of pages, and an origin that is a slash too long would match nothing, silently.
func parsePattern(text string) (p pattern, fault *Fault) {
	bad := func(problem, remedy string) (pattern, *Fault) {
		return pattern{}, &Fault{"has " + quote.Text(text) + ", " + problem, remedy}
	}
	if len(text) > maxPattern {
		return bad("longer than any origin", "use origins such as "+example)
	}
	if text == "*" {
		return bad("which would let every web page on earth ask", "list the origins of your own pages, such as "+example)
	}
	if strings.EqualFold(text, "null") {
		return bad("which any page can be by way of a sandboxed frame", "leave it out; open local files through a web server, and list that, such as http://localhost:8080")
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return bad("without a scheme", suggest(text, "https://"+text, "write the scheme and the host, such as "+example))
	}
	scheme = strings.ToLower(scheme)
	if !isScheme(scheme) {
		return bad("whose scheme is none", "use origins such as "+example)
	}
	if scheme == "file" {
		return bad("but pages from files have the origin null, as any page can", "open them through a web server, and list that, such as http://localhost:8080")
	}
	p.scheme = scheme + "://"
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		remedy := suggest(text, p.scheme+rest[:i], "leave out all that follows the host")
		if rest[i:] == "/" {
			return bad("which ends in a slash, and origins have none", remedy)
		}
		return bad("the address of a page", remedy)
	}
	if strings.Contains(rest, "@") {
		return bad("with a user's name in it", "leave out what stands before the @, and the @")
	}
	host, port, ported := cutPort(strings.ToLower(rest))
	if ported {
		switch number, err := strconv.ParseUint(port, 10, 16); {
		case port == "*":
			return bad("with a port that is any", "list an origin for each port that you use")
		case err != nil || port[0] == '0':
			return bad("with the port "+quote.Text(port)+", which is none", "use a number from 1 to 65535, or leave the port out")
		case scheme == "https" && number == 443, scheme == "http" && number == 80: // browsers leave it out
		default:
			p.port = ":" + port
		}
	}
	web := scheme == "https" || scheme == "http"
	if host, p.wildcard = strings.CutPrefix(host, "*."); p.wildcard && !web {
		return bad("a wildcard with a scheme that is neither https nor http", "list each origin")
	}
	if problem, remedy := p.setHost(host); problem != "" {
		return bad(problem, remedy)
	}
	return p, nil
}

// setHost puts the host into the form in which browsers send it, or says why it cannot.
func (p *pattern) setHost(host string) (problem, remedy string) {
	const ask = "; location.origin in the browser's console shows a page's origin"
	last := host[strings.LastIndexByte(host, '.')+1:]
	switch {
	case host == "":
		return "without a host", "use origins such as " + example
	case host == "*":
		return "which would let every web page on earth ask", "list the origins of your own pages, such as " + example
	case strings.Contains(host, "*"):
		return "where * is not the whole first label", "use * for the first label only, such as https://*.example.com, or list each origin"
	case strings.HasPrefix(host, "[") || strings.Contains(host, ":"):
		inner, opened := strings.CutPrefix(host, "[")
		inner, closed := strings.CutSuffix(inner, "]")
		a, err := netip.ParseAddr(inner)
		if err != nil || !opened || !closed || p.wildcard || !a.Is6() || a.Is4In6() || a.Zone() != "" {
			return "whose host is not an IPv6 address in brackets", "use http://[::1]:8080 for this machine" + ask
		}
		p.host = "[" + a.String() + "]"
		return "", ""
	case strings.ContainsFunc(host, func(r rune) bool { return r >= 0x80 }):
		return "whose host is not in ASCII", "write the form with xn--" + ask
	case strings.HasSuffix(host, "."):
		return "whose host ends in a dot", "leave the dot out"
	case len(host) > 253 || !allLabels(host):
		return "whose host is none", "use letters, digits, hyphens and dots, such as " + example
	case strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x"): // browsers read it as IPv4
		if a, err := netip.ParseAddr(host); err != nil || !a.Is4() {
			return "whose host is not an IPv4 address", "use four numbers, such as 127.0.0.1"
		}
		if p.wildcard {
			return "a wildcard before an address", "list each origin"
		}
	case p.wildcard && open(host):
		return "under which anybody can have a page", "list each origin of your own, or put * below your own domain, such as https://*.you." + host
	}
	p.host = host
	return "", ""
}

// open says whether strangers can have names below a host: a public suffix, such as com, co.uk or github.io, or a
// single word that is not this machine.
func open(host string) bool {
	if !strings.Contains(host, ".") {
		return host != "localhost"
	}
	suffix, _ := publicsuffix.PublicSuffix(host)
	return suffix == host
}

// loopback says whether pages of the origin come from the user's own machine.
func (p pattern) loopback() bool {
	if p.host == "localhost" || strings.HasSuffix(p.host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(p.host, "[]"))
	return err == nil && a.IsLoopback()
}

// cutPort splits a host and its port at the last colon that is not within brackets.
func cutPort(text string) (host, port string, found bool) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 || strings.LastIndexByte(text, ']') > i || strings.Count(text, ":") > 1 && !strings.HasPrefix(text, "[") {
		return text, "", false
	}
	return text[:i], text[i+1:], true
}

// isScheme says whether a text is a scheme in lower case (RFC 3986, section 3.1). Apps in web views have their own,
// such as capacitor://localhost.
func isScheme(text string) bool {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if !('a' <= c && c <= 'z' || i > 0 && ('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.')) {
			return false
		}
	}
	return text != ""
}

func allLabels(host string) bool {
	for label := range strings.SplitSeq(host, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

// isLabel says whether a text is one label of a host, as browsers send it: lower case. Underscores are no hostname's
// and in use.
func isLabel(text string) bool {
	for i := 0; i < len(text); i++ {
		if c := text[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return 0 < len(text) && len(text) <= 63
}

// suggest is the remedy that shows what was probably meant, or another where that would not do either.
func suggest(text, right, otherwise string) string {
	if p, fault := parsePattern(right); fault == nil && !quote.Hidden(text) {
		return "use " + p.String()
	}
	return otherwise
}
