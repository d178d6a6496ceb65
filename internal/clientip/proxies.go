package clientip

import (
	"net/netip"
	"strings"
	"unicode"

	"coze-token/internal/fault"
	"coze-token/internal/quote"
)

// Proxies are the reverse proxies that are trusted to name the client's address, and the header in
// which they do. Nil and the zero value trust nobody.
type Proxies struct {
	trusted []netip.Prefix // mapped IPv4 ranges stand here as IPv4
	sockets bool           // whoever connects to a Unix socket is trusted
	rfc7239 bool           // the header is Forwarded
}

// The headers that proxies write addresses into, in Go's canonical form. The header must be
// configured. A proxy sets one of the two and passes the other on as the client sent it, so a guess
// would let clients choose their address.
const (
	xForwardedFor = "X-Forwarded-For"
	forwarded     = "Forwarded"
)

// maxProxies bounds the list, because each request is compared with all entries. Large CDNs have
// about twenty ranges.
const maxProxies = 256

// private is what the word "private" stands for: this machine and the networks that are not routed
// on the internet (RFC 1918, RFC 4193). It is for a proxy in a container, whose address is not
// known beforehand.
var private = []string{"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}

const (
	proxiesRemedy = "use addresses and CIDR ranges with commas between, " +
		"such as 10.0.0.5, 192.168.0.0/16; or the words private and unix"
	everybody = "which would trust everybody, so that anybody could choose the address they are counted by"
)

// ParseProxies reads a list of addresses and CIDR ranges, with commas or white space between. The
// word "private" stands for this machine and all private networks, "unix" for whoever may connect to
// the Unix socket that the service listens on. rfc7239 says that they set Forwarded, and not
// X-Forwarded-For. The error is a [fault.List] of all that is wrong, and then
// the result is nil.
func ParseProxies(list string, rfc7239 bool) (*Proxies, error) {
	p := &Proxies{rfc7239: rfc7239}
	var faults fault.List
	entries := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	if len(entries) > maxProxies {
		faults.Add("has %d entries, more than %d",
			"use ranges that hold several of them", len(entries), maxProxies)
		entries = nil
	}
	for _, entry := range entries {
		if strings.EqualFold(entry, "private") {
			for _, text := range private {
				p.trusted = append(p.trusted, netip.MustParsePrefix(text))
			}
			continue
		}
		if strings.EqualFold(entry, "unix") {
			p.sockets = true
			continue
		}
		prefix, err := parsePrefix(entry)
		if err != nil {
			f := fault.Of(err)[0]
			faults.Add("has %s, %s", "%s", quote.Text(entry), f.Problem, f.Remedy)
		}
		p.trusted = append(p.trusted, prefix)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return p, nil
}

// parsePrefix reads one entry. The error is a [fault.Fault].
func parsePrefix(text string) (netip.Prefix, error) {
	var prefix netip.Prefix
	address, _, ranged := strings.Cut(text, "/")
	a, err := netip.ParseAddr(address)
	_, errWithPort := netip.ParseAddrPort(text)
	switch {
	case text == "*" || strings.EqualFold(text, "all"):
		return prefix, fault.New(everybody, proxiesRemedy)
	case err != nil && errWithPort == nil:
		return prefix, fault.New("an address with a port", "leave the port out: proxies connect from any")
	case err != nil && strings.ContainsFunc(address, unicode.IsLetter) && !strings.Contains(address, ":"):
		return prefix, fault.New("which is a name",
			proxiesRemedy+"; names are not looked up, because whoever answers for them would be trusted")
	case err != nil:
		return prefix, fault.New("which is neither an address nor a range", proxiesRemedy)
	case a.Zone() != "":
		return prefix, fault.New("an address with a zone", "leave out %% and what follows")
	case !ranged:
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	prefix, err = netip.ParsePrefix(text)
	if err != nil {
		return prefix, fault.New("whose length of the range is wrong",
			"use a number from 1 to %d after the slash", a.BitLen())
	}
	if a.Is4In6() {
		if prefix.Bits() < 96 {
			return prefix, fault.New("a range of mapped addresses that holds more than IPv4",
				"write it as IPv4, such as 10.0.0.0/8")
		}
		prefix = netip.PrefixFrom(a.Unmap(), prefix.Bits()-96)
	}
	switch masked := prefix.Masked(); {
	case prefix.Bits() == 0:
		return prefix, fault.New(everybody, proxiesRemedy)
	case masked != prefix:
		return prefix, fault.New("which has an address within the range, not its first",
			"use %s for the range, or %s for the address alone", masked, prefix.Addr())
	}
	return prefix, nil
}

// Trusts reports whether a canonical address is one of the proxies'.
func (p *Proxies) Trusts(a netip.Addr) bool {
	if p == nil {
		return false
	}
	for _, prefix := range p.trusted {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}
