package cors

import (
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"

	"coze-token/internal/fault"
	"coze-token/internal/message"
	"coze-token/internal/quote"
)

// A pattern is an origin in the form in which browsers send it, or all origins with one more label
// before the host.
type pattern struct {
	scheme string
	host   string // lower case; IPv6 in brackets; a wildcard's begins with "*."
	port   string // with ":"; empty for the scheme's default
}

// String is the pattern as it should be written.
func (p pattern) String() string { return p.scheme + "://" + p.host + p.port }

const (
	example    = "https://www.example.com"
	useExample = "use origins such as " + example
	// maxPattern is the maximum length of an entry in bytes. A host has up to 253.
	maxPattern = 300

	everyPage       = "which would let every web page on earth ask"
	everyPageRemedy = "list the origins of your own pages, such as " + example
)

// parsePattern reads one entry of the list. The error is a [fault.Fault]. People paste
// addresses of pages, and an origin with a slash too many would match nothing.
func parsePattern(text string) (p pattern, err error) {
	scheme, rest, hasScheme := strings.Cut(text, "://")
	p.scheme = strings.ToLower(scheme)
	switch {
	case len(text) > maxPattern:
		return p, fault.New("longer than any origin", useExample)
	case strings.ContainsAny(text, "，、；"): // of a Chinese keyboard
		return p, fault.New("with a full-width comma in it", "put ordinary commas (,) between origins")
	case text == "*":
		return p, fault.New(everyPage, everyPageRemedy)
	case strings.EqualFold(text, "null"):
		return p, fault.New("which any page can be by way of a sandboxed frame",
			"leave it out; open local files through a web server, and list that, such as http://localhost:8080")
	case !hasScheme:
		meant := "https://" + text
		if host, _, _ := strings.Cut(text, ":"); host == "localhost" || host == "127.0.0.1" {
			meant = "http://" + text // development servers have no certificate
		}
		return p, fault.New("without a scheme", "%s", suggest(text, meant, "write the scheme and the host, such as "+example))
	case !isScheme(p.scheme):
		return p, fault.New("whose scheme is none", useExample)
	case p.scheme == "file":
		return p, fault.New("but pages from files have the origin null, as any page can",
			"open them through a web server, and list that, such as http://localhost:8080")
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		remedy := suggest(text, p.scheme+"://"+rest[:i], "leave out all that follows the host")
		if rest[i:] == "/" {
			return p, fault.New("which ends in a slash, and origins have none", "%s", remedy)
		}
		return p, fault.New("the address of a page", "%s", remedy)
	}
	if strings.Contains(rest, "@") {
		return p, fault.New("with a user's name in it", "leave out what stands before the @, and the @")
	}
	host, port, hasPort := cutPort(strings.ToLower(rest))
	if hasPort {
		switch number, err := strconv.ParseUint(port, 10, 16); {
		case port == "*":
			return p, fault.New("with a port that is any", "list an origin for each port that you use")
		case err != nil || port[0] == '0':
			return p, fault.New("with the port %s, which is none",
				"use a number from 1 to 65535, or leave the port out", quote.Text(port))
		case p.scheme == "https" && number == 443, p.scheme == "http" && number == 80: // browsers leave it out
		default:
			p.port = ":" + port
		}
	}
	p.host, err = parseHost(host)
	if err == nil && strings.HasPrefix(host, "*.") && p.scheme != "https" && p.scheme != "http" {
		err = fault.New("a wildcard with a scheme that is neither https nor http", "list each origin")
	}
	return p, err
}

// parseHost brings a host in lower case into the form that browsers send, or says why it cannot.
func parseHost(text string) (host string, err error) {
	const console = "; location.origin in the browser's console shows a page's origin"
	host, wildcard := strings.CutPrefix(text, "*.")
	last := host[strings.LastIndexByte(host, '.')+1:]
	switch {
	case host == "":
		return "", fault.New("without a host", useExample)
	case host == "*":
		return "", fault.New(everyPage, everyPageRemedy)
	case strings.Contains(host, "*"):
		return "", fault.New("where * is not the whole first label",
			"use * for the first label only, such as https://*.example.com, or list each origin")
	case strings.HasPrefix(host, "[") || strings.Contains(host, ":"):
		inner, opened := strings.CutPrefix(host, "[")
		inner, closed := strings.CutSuffix(inner, "]")
		a, err := netip.ParseAddr(inner)
		if err != nil || !opened || !closed || wildcard || !a.Is6() || a.Is4In6() || a.Zone() != "" {
			return "", fault.New("whose host is not an IPv6 address in brackets",
				"use http://[::1]:8080 for this machine"+console)
		}
		return "[" + a.String() + "]", nil
	case strings.ContainsFunc(host, func(r rune) bool { return r >= 0x80 }):
		return "", fault.New("whose host is not in ASCII", "write the form with xn--"+console)
	case strings.HasSuffix(host, "."):
		return "", fault.New("whose host ends in a dot", "leave the dot out")
	case len(host) > 253 || !isName(host):
		return "", fault.New("whose host is none", "use letters, digits, hyphens and dots, such as "+example)
	case strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x"): // browsers read it as IPv4
		if a, err := netip.ParseAddr(host); err != nil || !a.Is4() {
			return "", fault.New("whose host is not an IPv4 address", "use four numbers, such as 127.0.0.1")
		}
		if wildcard {
			return "", fault.New("a wildcard before an address", "list each origin")
		}
	case wildcard && isOpen(host):
		return "", fault.New("under which anybody can have a page",
			"list each origin of your own, or put * below your own domain, such as https://*.you.%s", host)
	}
	return text, nil
}

// isOpen reports whether strangers can have names below a host: a public suffix, such as com, co.uk
// or github.io, or a single word that is not this machine.
func isOpen(host string) bool {
	if !strings.Contains(host, ".") {
		return host != "localhost"
	}
	suffix, _ := publicsuffix.PublicSuffix(host)
	return suffix == host
}

// isLoopback reports whether the pages come from the user's own machine.
func (p pattern) isLoopback() bool {
	if p.host == "localhost" || strings.HasSuffix(p.host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(p.host, "[]"))
	return err == nil && a.IsLoopback()
}

// cutPort splits a host and its port at the last colon that is not in brackets.
func cutPort(text string) (host, port string, found bool) {
	i := strings.LastIndexByte(text, ':')
	bare := strings.Count(text, ":") > 1 && !strings.HasPrefix(text, "[") // an IPv6 address without brackets
	if i < 0 || bare || strings.LastIndexByte(text, ']') > i {
		return text, "", false
	}
	return text[:i], text[i+1:], true
}

const (
	lowerCase = "abcdefghijklmnopqrstuvwxyz"
	digits    = "0123456789"
)

// isScheme reports whether a text is a scheme in lower case (RFC 3986, section 3.1).
func isScheme(text string) bool {
	return text != "" && strings.Contains(lowerCase, text[:1]) && strings.Trim(text, lowerCase+digits+"+-.") == ""
}

// isLabel reports whether a text is a label of a host, as browsers send it. Underscores are in use,
// though not allowed.
func isLabel(text string) bool {
	return text != "" && len(text) <= 63 && strings.Trim(text, lowerCase+digits+"-_") == ""
}

func isName(host string) bool {
	for label := range strings.SplitSeq(host, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

// suggest is the remedy that shows what was probably meant. If that would not do either, it is the
// other one.
func suggest(text, meant string, other message.Format) message.Text {
	if p, err := parsePattern(meant); err == nil && !quote.Hidden(text) {
		return message.New("use %s", p.String())
	}
	return message.New(other)
}
