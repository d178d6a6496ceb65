package ratelimit

import (
	"net/http"
	"net/netip"
	"strings"
)

const (
	// maxHops is how many hops of a forwarding header are looked at. Real chains have two or three.
	maxHops = 16
	// maxHop is how long one may be, in bytes. With a zone, quotes and the other parameters of Forwarded, real ones
	// have under 200.
	maxHop = 512
)

// Client is the address that a request comes from: the other end of its connection, or, if that is a trusted proxy,
// the one for whom it forwards.
//
// The header is walked from its right end to the left. Each proxy appends whom it received the request from, so what
// stands right is what the nearest one says; what stands left of an address that is not trusted was written by
// somebody who is not, and is never looked at. The first address that is not a trusted proxy's is the client. If all
// of them are proxies', it is the leftmost: a proxy's own request.
//
// It fails closed. A hop that cannot be read (garbage, empty, "unknown", an obfuscated name of RFC 7239 section 6.3,
// over 512 bytes), or one that comes after 16 others, ends the walk at the last trusted hop before it, which is whose
// request it then is. Everybody whom a proxy will not name counts as that proxy: together, and never as somebody they
// chose. The same is true of a proxy that is trusted and forwards no header at all, which is the usual mistake: all
// clients are then one address. An empty hop is such an end, too, though RFC 9110 section 5.6.1 would skip it: a
// proxy that knows no address (a Unix socket's other end) may append an empty one, and what is left of it is the
// client's invention.
//
// The result is invalid only if the connection itself has no address; Key has one key for all such.
//
// These headers are not read, whoever sends them: X-Real-IP, True-Client-IP, X-Client-IP, CF-Connecting-IP and their
// like have one address that proxies overwrite or do not, depending on the product and its settings. On Workers the
// host takes CF-Connecting-IP, which the platform sets, for the connection's address.
//
// Security check 21; the tests are in address_test.go and forwarded_test.go.
func (p *Proxies) Client(r *http.Request) netip.Addr {
	client := peer(r.RemoteAddr)
	if !client.IsValid() || !p.Trusts(client) {
		return client
	}
	name, read := XForwardedFor, forwardedFor
	if p.rfc7239 {
		name, read = Forwarded, forwarded
	}
	// Header lines of one name are one list (RFC 9110, section 5.3): a client that sends a line of its own adds to
	// the left.
	lines := r.Header[name]
	hops := 0
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; hops++ {
			var hop string
			hop, rest, more = lastHop(rest)
			if hops == maxHops || len(hop) > maxHop {
				return client
			}
			a, ok := read(strings.Trim(hop, " \t"))
			if !ok {
				return client
			}
			if client = a; !p.Trusts(client) {
				return client
			}
		}
	}
	return client
}

// lastHop splits a list at its last comma.
func lastHop(list string) (hop, rest string, more bool) {
	if i := strings.LastIndexByte(list, ','); i >= 0 {
		return list[i+1:], list[:i], true
	}
	return list, "", false
}

// peer reads Request.RemoteAddr: an address and a port, as net/http has it; or an address alone, as middleware may
// leave it.
func peer(remote string) netip.Addr {
	if ap, err := netip.ParseAddrPort(remote); err == nil {
		return plain(ap.Addr())
	}
	a, _ := netip.ParseAddr(remote)
	return plain(a)
}

// forwardedFor reads a hop of X-Forwarded-For, which no standard describes: an address; with a port, as Azure's
// gateways write it; an IPv6 one in brackets or without.
func forwardedFor(hop string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(hop); err == nil {
		return plain(a), true
	}
	return node(hop, isPort)
}

// node reads IPv4, IPv4:port, [IPv6] or [IPv6]:port.
func node(text string, isPort func(string) bool) (netip.Addr, bool) {
	address, port := text, ""
	six := strings.HasPrefix(text, "[")
	if six {
		i := strings.IndexByte(text, ']')
		if i < 0 {
			return netip.Addr{}, false
		}
		address, port = text[1:i], text[i+1:]
	} else if i := strings.IndexByte(text, ':'); i >= 0 {
		address, port = text[:i], text[i:]
	}
	a, err := netip.ParseAddr(address)
	if err != nil || six != a.Is6() || port != "" && (port[0] != ':' || !isPort(port[1:])) {
		return netip.Addr{}, false
	}
	return plain(a), true
}

// isPort says whether a text is a port: one to five digits (RFC 7239, section 6).
func isPort(text string) bool {
	_, ok := digits(text, 5)
	return ok
}

// Key is what an address is counted as: an IPv4 address whole, an IPv6 one by its first 64 bits, which are what a
// single customer or host gets at least and may choose freely in (RFC 6177, RFC 8981). Requests without an address
// share one key.
func Key(a netip.Addr) string {
	a = plain(a)
	switch {
	case !a.IsValid():
		return "unknown"
	case a.Is4():
		var space [len("255.255.255.255")]byte
		return string(a.AppendTo(space[:0]))
	default:
		prefix, _ := a.Prefix(64)
		var space [len("ffff:ffff:ffff:ffff::/64")]byte
		return string(prefix.AppendTo(space[:0]))
	}
}
