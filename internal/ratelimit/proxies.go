package ratelimit

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"coze-token/internal/quote"
)

// Proxies are the reverse proxies whose word is taken for whom they forward, and the header in which they give it.
// The zero value trusts nobody, and neither does nil.
type Proxies struct {
	trusted []netip.Prefix // IPv4 ones never in their IPv6-mapped form
	rfc7239 bool
}

// The headers that proxies forward addresses in, in Go's canonical form. Which one it is must be configured and is
// not found out: a proxy sets one of them and hands on the other as the client sent it, so reading what is there, in
// whichever order, would let clients choose their address.
const (
	XForwardedFor = "X-Forwarded-For"
	Forwarded     = "Forwarded"
)

// RequestHeaders are the headers that Proxies.Client reads, for hosts that carry no others. A host that knows the
// client's address itself, as Workers do, needs none of them.
var RequestHeaders = []string{XForwardedFor, Forwarded}

// maxProxies is how many entries a list may have: the large CDNs have some twenty, and each request is held against
// all.
const maxProxies = 256

// private is what the word "private" stands for: this machine and the networks that are not routed on the internet
// (RFC 1918, RFC 4193), where a reverse proxy in a container next door has an address that nobody knows beforehand.
var private = []string{"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}

const proxiesRemedy = "use addresses and CIDR ranges with commas between, such as 10.0.0.5, 192.168.0.0/16; or the word private"

// ParseProxies reads a list of addresses and CIDR ranges, with commas or white space between. "private" stands for
// this machine and all private networks. Header is XForwardedFor or Forwarded in any case; empty is XForwardedFor.
// Every fault is returned, and Proxies are nil if there is one.
func ParseProxies(list, header string) (*Proxies, []Fault) {
	p := &Proxies{}
	var faults []Fault
	fault := func(problem, remedy string) { faults = append(faults, Fault{problem, remedy}) }
	switch {
	case header == "", strings.EqualFold(header, XForwardedFor):
	case strings.EqualFold(header, Forwarded):
		p.rfc7239 = true
	default:
		fault("names the header "+quote.Text(header), "use the one that your proxy sets, X-Forwarded-For or Forwarded; no other can be walked from proxy to proxy")
	}
	entries := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	if len(entries) > maxProxies {
		fault(fmt.Sprintf("has %d entries, more than %d", len(entries), maxProxies), "use ranges that hold several of them")
		entries = nil
	}
	for _, entry := range entries {
		if strings.EqualFold(entry, "private") {
			for _, text := range private {
				p.trusted = append(p.trusted, netip.MustParsePrefix(text))
			}
			continue
		}
		prefix, f := parsePrefix(entry)
		if f != nil {
			faults = append(faults, *f)
			continue
		}
		p.trusted = append(p.trusted, prefix)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return p, nil
}

// parsePrefix reads one entry, and says what is wrong with it as precisely as it can.
func parsePrefix(text string) (prefix netip.Prefix, f *Fault) {
	fault := func(problem, remedy string) (netip.Prefix, *Fault) {
		return prefix, &Fault{"has " + quote.Text(text) + ", " + problem, remedy}
	}
	address, _, ranged := strings.Cut(text, "/")
	a, err := netip.ParseAddr(address)
	switch {
	case text == "*" || strings.EqualFold(text, "all"):
		return fault("which would trust everybody, so that anybody could choose the address they are counted by", proxiesRemedy)
	case err != nil && parsesWithPort(text):
		return fault("an address with a port", "leave the port out: proxies connect from any")
	case err != nil && strings.ContainsFunc(address, unicode.IsLetter) && !strings.Contains(address, ":"):
		return fault("which is a name", proxiesRemedy+"; names are not looked up, because whoever answers for them would be trusted")
	case err != nil:
		return fault("which is neither an address nor a range", proxiesRemedy)
	case a.Zone() != "":
		return fault("an address with a zone", "leave out % and what follows")
	case !ranged:
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	prefix, err = netip.ParsePrefix(text)
	if err != nil {
		return fault("whose length of the range is wrong", fmt.Sprintf("use a number from 1 to %d after the slash", a.BitLen()))
	}
	if a.Is4In6() {
		if prefix.Bits() < 96 {
			return fault("a range of mapped addresses that holds more than IPv4", "write it as IPv4, such as 10.0.0.0/8")
		}
		prefix = netip.PrefixFrom(a.Unmap(), prefix.Bits()-96)
	}
	switch masked := prefix.Masked(); {
	case prefix.Bits() == 0:
		return fault("which would trust everybody, so that anybody could choose the address they are counted by", proxiesRemedy)
	case masked != prefix:
		return fault("which has an address within the range, not its first", "use "+masked.String()+" for the range, or "+prefix.Addr().String()+" for the address alone")
	}
	return prefix, nil
}

func parsesWithPort(text string) bool {
	_, err := netip.ParseAddrPort(text)
	return err == nil
}

// Trusts says whether an address is one of the proxies'.
func (p *Proxies) Trusts(a netip.Addr) bool {
	if p == nil {
		return false
	}
	a = plain(a)
	for _, prefix := range p.trusted {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// plain is the one form of an address: IPv4 that is mapped into IPv6 is IPv4, and there is no zone. In another form
// an address would be in no range, and be counted once more.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
