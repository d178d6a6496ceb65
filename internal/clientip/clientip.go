// Package clientip finds the address that a request comes from, also behind reverse proxies, and
// the key that the address is counted under. Security check 21.
package clientip

import (
	"net/http"
	"net/netip"
	"strings"
)

const (
	// maxHops is how many hops of a header are read. Real headers have two or three.
	maxHops = 16
	// maxHop is the maximum length of a hop, in bytes. Real ones have under 200.
	maxHop = 512
)

// Client returns the address that a request comes from: the other end of its connection or, if that
// is a trusted proxy, the address that the proxy forwards for. It is invalid if the connection has
// no address (a Unix socket) and nobody forwards one.
//
// The header is read from right to left, because each proxy appends the address that it received
// the request from. The first address that is not a trusted proxy's is the client. What stands to
// the left of it may be the client's invention and is not read. If all addresses are proxies', the
// leftmost is the client: the request is the proxy's own.
//
// It fails closed: a hop that cannot be read ends the walk, and the client is the last proxy before
// it. Such a hop is garbage, empty, "unknown", a hidden name (RFC 7239, section 6.3), longer than
// 512 bytes, or the 17th. So all clients that a proxy does not name are counted together. The same
// happens if a trusted proxy sends no header, which is the usual mistake. RFC 9110, section 5.6.1,
// would skip an empty hop, but a proxy that knows no address may append one.
//
// No other headers are read. X-Real-IP, True-Client-IP, CF-Connecting-IP and the like hold one
// address, and it depends on the product and its settings whether a proxy overwrites what the
// client sent.
func (p *Proxies) Client(r *http.Request) netip.Addr {
	client := peer(r.RemoteAddr)
	if !p.Sent(r) {
		return client
	}
	name, read := xForwardedFor, readXForwardedFor
	if p.rfc7239 {
		name, read = forwarded, readForwarded
	}
	// Several lines of one name are one list (RFC 9110, section 5.3).
	list := strings.Join(r.Header[name], ",")
	for range maxHops {
		i := strings.LastIndexByte(list, ',')
		hop := strings.Trim(list[i+1:], " \t")
		if len(hop) > maxHop {
			return client
		}
		a, ok := read(hop)
		if !ok {
			return client
		}
		if client = a; i < 0 || !p.Trusts(client) {
			return client
		}
		list = list[:i]
	}
	return client
}

// Sent reports whether one of the proxies sent the request, so that what it says of the client
// counts.
func (p *Proxies) Sent(r *http.Request) bool {
	if p == nil {
		return false
	}
	if a := peer(r.RemoteAddr); a.IsValid() {
		return p.Trusts(a)
	}
	return p.sockets && isSocket(r.RemoteAddr)
}

// isSocket reports whether Request.RemoteAddr is that of a Unix socket's client. It has a name only
// if it bound one.
func isSocket(remote string) bool { return remote == "" || remote[0] == '@' || remote[0] == '/' }

// peer reads Request.RemoteAddr: an address with a port, as net/http sets it, or without, as
// middleware may.
func peer(remote string) netip.Addr {
	if ap, err := netip.ParseAddrPort(remote); err == nil {
		return canonical(ap.Addr())
	}
	a, _ := netip.ParseAddr(remote)
	return canonical(a)
}

// readXForwardedFor reads a hop of X-Forwarded-For, which has no standard: an address, with a port
// or without; IPv6 in brackets or, without a port, bare.
func readXForwardedFor(hop string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(hop); err == nil {
		return canonical(a), true
	}
	return readNode(hop)
}

// readNode reads IPv4, IPv4:port, [IPv6] or [IPv6]:port. A port is one to five digits or, to hide
// it, a name with an underscore in front (RFC 7239, section 6).
func readNode(text string) (netip.Addr, bool) {
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
	return canonical(a), true
}

func isPort(text string) bool {
	if name, hidden := strings.CutPrefix(text, "_"); hidden {
		return isToken(name)
	}
	return text != "" && len(text) <= 5 && strings.Trim(text, "0123456789") == ""
}

// canonical gives an address its one form, without a zone and with mapped IPv4 as IPv4. In another
// form it would match no range, and it would be counted a second time.
func canonical(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// Key is the text that an address is counted under, at most 24 bytes: an IPv4 address as a whole,
// an IPv6 address by its first 64 bits. A single customer or host has at least a /64 and can choose
// any address in it (RFC 6177, RFC 8981). Requests without an address share the key "unknown".
func Key(a netip.Addr) string { return key(a, 32, 64) }

// NetworkKey returns the key of the network that one owner usually has: a /48 of IPv6, a /24 of IPv4.
// It is never the key of an address.
func NetworkKey(a netip.Addr) string { return "network " + key(a, 24, 48) }

func key(a netip.Addr, bits4, bits6 int) string {
	a = canonical(a)
	switch {
	case !a.IsValid():
		return "unknown"
	case a.Is4() && bits4 == 32:
		return a.String()
	case a.Is4():
		prefix, _ := a.Prefix(bits4)
		return prefix.String()
	default:
		prefix, _ := a.Prefix(bits6)
		return string(prefix.AppendTo(make([]byte, 0, 24)))
	}
}
