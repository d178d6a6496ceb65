package clientip_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"coze-token/internal/clientip"
	"coze-token/internal/fault"
)

func proxies(t testing.TB, list, header string) *clientip.Proxies {
	t.Helper()
	p, err := clientip.ParseProxies(list, strings.EqualFold(header, "Forwarded"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// trusts reports whether a proxy at the address is believed.
func trusts(p *clientip.Proxies, address netip.Addr) bool {
	const client = "203.0.113.199" // in no test
	r := request(netip.AddrPortFrom(address, 1).String(), xff+client, "Forwarded: for="+client)
	return p.Client(r).String() == client
}

// request is one from a peer, with header lines ("Name: value").
func request(peer string, lines ...string) *http.Request {
	r := &http.Request{RemoteAddr: peer, Header: http.Header{}}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

const (
	near = "10.0.0.1:443" // the proxy that connects to us
	xff  = "X-Forwarded-For: "
)

// Two proxies in 10.0.0.0/8, one in IPv6. Addresses of clients are in the documentation ranges.
func TestClient(t *testing.T) {
	p := proxies(t, "10.0.0.0/8, 2001:db8:ffff::/48", "")
	sixteen := slices.Repeat([]string{xff + "10.0.0.2"}, 16)
	for name, c := range map[string]struct {
		r    *http.Request
		want string
	}{
		// Nobody in between.
		"direct":                  {request("192.0.2.7:5555"), "192.0.2.7"},
		"direct, IPv6":            {request("[2001:db8::7]:5555"), "2001:db8::7"},
		"direct, mapped":          {request("[::ffff:192.0.2.7]:5555"), "192.0.2.7"},
		"direct, zone":            {request("[fe80::1%eth0]:5555"), "fe80::1"},
		"direct, port 0":          {request("192.0.2.7:0"), "192.0.2.7"},
		"direct, no port":         {request("192.0.2.7"), "192.0.2.7"},
		"direct, IPv6 no port":    {request("2001:db8::7"), "2001:db8::7"},
		"no address":              {request(""), "invalid IP"},
		"no address, header":      {request("", xff+"192.0.2.7"), "invalid IP"},
		"a Unix socket":           {request("@", xff+"192.0.2.7"), "invalid IP"},
		"a name":                  {request("localhost:80"), "invalid IP"},
		"untrusted peer forwards": {request("192.0.2.7:5555", xff+"198.51.100.1"), "192.0.2.7"},
		"untrusted, says proxy":   {request("192.0.2.7:5555", xff+"198.51.100.1, 10.0.0.2"), "192.0.2.7"},

		// Through proxies.
		"one proxy":              {request(near, xff+"192.0.2.7"), "192.0.2.7"},
		"one proxy, mapped peer": {request("[::ffff:10.0.0.1]:1", xff+"192.0.2.7"), "192.0.2.7"},
		"two proxies":            {request(near, xff+"192.0.2.7, 10.0.0.2"), "192.0.2.7"},
		"mapped proxy":           {request(near, xff+"192.0.2.7, ::ffff:10.0.0.2"), "192.0.2.7"},
		"zoned proxy":            {request(near, xff+"192.0.2.7, 2001:db8:ffff::2%eth0"), "192.0.2.7"},
		"IPv6 proxy":             {request("[2001:db8:ffff::1]:1", xff+"2001:db8::7"), "2001:db8::7"},
		"no spaces":              {request(near, xff+"192.0.2.7,10.0.0.2"), "192.0.2.7"},
		"more spaces":            {request(near, xff+" \t192.0.2.7 \t,\t 10.0.0.2 "), "192.0.2.7"},
		"IPv4 with port":         {request(near, xff+"192.0.2.7:61234"), "192.0.2.7"},
		"IPv6 in brackets":       {request(near, xff+"[2001:db8::7]"), "2001:db8::7"},
		"IPv6 with port":         {request(near, xff+"[2001:db8::7]:61234"), "2001:db8::7"},
		"mapped client":          {request(near, xff+"::ffff:192.0.2.7"), "192.0.2.7"},
		"zoned client":           {request(near, xff+"fe80::1%eth0"), "fe80::1"},

		// What a client adds stands left of what proxies add.
		"invented":               {request(near, xff+"198.51.100.1, 192.0.2.7"), "192.0.2.7"},
		"invented proxy":         {request(near, xff+"198.51.100.1, 10.0.0.2, 192.0.2.7"), "192.0.2.7"},
		"invented garbage":       {request(near, xff+"<script>, 192.0.2.7, 10.0.0.2"), "192.0.2.7"},
		"invented line":          {request(near, xff+"198.51.100.1", xff+"192.0.2.7"), "192.0.2.7"},
		"invented line, two":     {request(near, xff+"198.51.100.1", xff+"192.0.2.7", xff+"10.0.0.2"), "192.0.2.7"},
		"invented line of lists": {request(near, xff+"198.51.100.1, 10.9.9.9", xff+"192.0.2.7, 10.0.0.2"), "192.0.2.7"},
		"long invention":         {request(near, xff+strings.Repeat("x", 60_000)+", 192.0.2.7"), "192.0.2.7"},
		"the other header":       {request(near, "Forwarded: for=198.51.100.1"), "10.0.0.1"},
		"both headers":           {request(near, "Forwarded: for=198.51.100.1", xff+"192.0.2.7"), "192.0.2.7"},
		"X-Real-IP":              {request(near, "X-Real-Ip: 198.51.100.1"), "10.0.0.1"},
		"CF-Connecting-IP":       {request(near, "Cf-Connecting-Ip: 198.51.100.1"), "10.0.0.1"},
		"True-Client-IP":         {request(near, "True-Client-Ip: 198.51.100.1"), "10.0.0.1"},

		// Nothing but proxies.
		"proxy's own":         {request(near), "10.0.0.1"},
		"proxies only":        {request(near, xff+"10.0.0.3, 10.0.0.2"), "10.0.0.3"},
		"no lines":            {request(near, xff), "10.0.0.1"},
		"sixteen proxies":     {request(near, xff+"192.0.2.7"+strings.Repeat(", 10.0.0.2", 15)), "192.0.2.7"},
		"seventeen":           {request(near, xff+"192.0.2.7"+strings.Repeat(", 10.0.0.2", 16)), "10.0.0.2"},
		"seventeen, in lines": {request(near, append([]string{xff + "192.0.2.7"}, sixteen...)...), "10.0.0.2"},

		// It fails closed: at the last trusted hop.
		"garbage":              {request(near, xff+"198.51.100.1, nonsense"), "10.0.0.1"},
		"garbage, two proxies": {request(near, xff+"198.51.100.1, nonsense, 10.0.0.2"), "10.0.0.2"},
		"unknown":              {request(near, xff+"198.51.100.1, unknown"), "10.0.0.1"},
		"empty hop":            {request(near, xff+"198.51.100.1, "), "10.0.0.1"},
		"empty hop within":     {request(near, xff+"198.51.100.1,, 10.0.0.2"), "10.0.0.2"},
		"empty line":           {request(near, xff+"198.51.100.1", xff), "10.0.0.1"},
		"a name in the header": {request(near, xff+"198.51.100.1, client.example"), "10.0.0.1"},
		"leading zeros":        {request(near, xff+"198.51.100.1, 010.0.0.2"), "10.0.0.1"},
		"a short address":      {request(near, xff+"198.51.100.1, 10.2"), "10.0.0.1"},
		"a number":             {request(near, xff+"198.51.100.1, 167772162"), "10.0.0.1"},
		"a range":              {request(near, xff+"198.51.100.1, 10.0.0.2/32"), "10.0.0.1"},
		"bad port":             {request(near, xff+"198.51.100.1, 10.0.0.2:http"), "10.0.0.1"},
		"no port after colon":  {request(near, xff+"198.51.100.1, 10.0.0.2:"), "10.0.0.1"},
		"two ports":            {request(near, xff+"198.51.100.1, 10.0.0.2:1:2"), "10.0.0.1"},
		"six digits":           {request(near, xff+"198.51.100.1, 10.0.0.2:123456"), "10.0.0.1"},
		"IPv4 in brackets":     {request(near, xff+"198.51.100.1, [10.0.0.2]"), "10.0.0.1"},
		"open bracket":         {request(near, xff+"198.51.100.1, [2001:db8:ffff::2"), "10.0.0.1"},
		"after the bracket":    {request(near, xff+"198.51.100.1, [2001:db8:ffff::2]x"), "10.0.0.1"},
		"after the bracket, 2": {request(near, xff+"198.51.100.1, [2001:db8:ffff::2]x1"), "10.0.0.1"},
		"quotes":               {request(near, xff+"198.51.100.1, \"10.0.0.2\""), "10.0.0.1"},
		"a long zone":          {request(near, xff+"198.51.100.1, 2001:db8:ffff::2%"+strings.Repeat("z", 500)), "10.0.0.1"},
		"semicolon":            {request(near, xff+"198.51.100.1; 10.0.0.2"), "10.0.0.1"},
		"newline":              {request(near, xff+"198.51.100.1, 10.0.0.2\n"), "10.0.0.1"},
		"fullwidth":            {request(near, xff+"198.51.100.1, １０.0.0.2"), "10.0.0.1"},
		"RFC 7239 in XFF":      {request(near, xff+"for=198.51.100.1"), "10.0.0.1"},
	} {
		if got := p.Client(c.r); got.String() != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

// Without configured proxies no header is read.
func TestNobodyTrusted(t *testing.T) {
	for name, p := range map[string]*clientip.Proxies{
		"nil": nil, "zero": {}, "empty": proxies(t, "", ""), "commas": proxies(t, " , ,", "Forwarded"),
	} {
		for _, peer := range []string{"127.0.0.1:1", "[::1]:1", "10.0.0.1:1", "192.0.2.7:1"} {
			r := request(peer, xff+"198.51.100.1", "Forwarded: for=198.51.100.1")
			if got := p.Client(r); got != netip.MustParseAddrPort(peer).Addr() {
				t.Errorf("%s, %s: %v", name, peer, got)
			}
		}
	}
}

// Whoever connects to a Unix socket has no address, and is believed only if the word "unix" says so.
func TestUnixSocket(t *testing.T) {
	p := proxies(t, "unix, 10.0.0.0/8", "")
	for name, c := range map[string]struct {
		r    *http.Request
		want string
	}{
		"unnamed":           {request("@", xff+"192.0.2.7"), "192.0.2.7"},
		"unnamed, macOS":    {request("", xff+"192.0.2.7"), "192.0.2.7"},
		"bound":             {request("/run/proxy.sock", xff+"192.0.2.7, 10.0.0.1"), "192.0.2.7"},
		"says nothing":      {request("@"), "invalid IP"},
		"garbage":           {request("@", xff+"192.0.2.7, unix:"), "invalid IP"},
		"an address":        {request("192.0.2.9:1", xff+"192.0.2.7"), "192.0.2.9"},
		"not an address":    {request("localhost:80", xff+"192.0.2.7"), "invalid IP"},
		"invented, by unix": {request("@", xff+"198.51.100.1, 192.0.2.7"), "192.0.2.7"},
	} {
		if got := p.Client(c.r); got.String() != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
	private := proxies(t, "private", "")
	if got := private.Client(request("@", xff+"192.0.2.7")); got.IsValid() || private.Sent(request("@")) {
		t.Errorf("private networks have no sockets, and %v was believed", got)
	}
}

func TestParseProxies(t *testing.T) {
	p := proxies(t, "10.0.0.5 , 192.168.0.0/16,2001:db8::1\n2001:db8:1::/48 "+
		"::ffff:172.16.0.0/108,::ffff:203.0.113.9,", "x-forwarded-for")
	for address, want := range map[string]bool{
		"10.0.0.5": true, "10.0.0.6": false, "192.168.255.255": true, "192.169.0.0": false,
		"2001:db8::1": true, "2001:db8::2": false, "2001:db8:1:f::": true,
		"172.16.0.1": true, "172.31.0.1": true, "172.32.0.1": false, "203.0.113.9": true,
		"::ffff:10.0.0.5": true, "2001:db8::1%eth0": true, "::ffff:10.0.0.6": false,
	} {
		if trusts(p, netip.MustParseAddr(address)) != want {
			t.Errorf("%s: not %v", address, want)
		}
	}
	p = proxies(t, "Private", "FORWARDED")
	for address, want := range map[string]bool{
		"127.0.0.1": true, "::1": true, "10.1.2.3": true, "172.20.0.3": true, "192.168.1.1": true, "fd00::1": true,
		"172.15.0.1": false, "172.32.0.1": false, "100.64.0.1": false, "169.254.0.1": false,
		"fe80::1": false, "8.8.8.8": false, "::": false, "0.0.0.0": false,
	} {
		if trusts(p, netip.MustParseAddr(address)) != want {
			t.Errorf("private, %s: not %v", address, want)
		}
	}
	if trusts(p, netip.Addr{}) {
		t.Error("no address is trusted")
	}
}

func TestParseProxiesFaults(t *testing.T) {
	for list, c := range map[string]struct{ problem, remedy string }{
		"10.0.0.0/33":                   {"length of the range", "1 to 32"},
		"10.0.0.0/":                     {"length of the range", "1 to 32"},
		"10.0.0.0/-1":                   {"length of the range", "1 to 32"},
		"2001:db8::/129":                {"length of the range", "1 to 128"},
		"10.0.0.5/8":                    {"not its first", "10.0.0.0/8 for the range, or 10.0.0.5"},
		"2001:db8::1/32":                {"not its first", "2001:db8::/32"},
		"0.0.0.0/0":                     {"everybody", "10.0.0.5"},
		"::/0":                          {"everybody", "private"},
		"::ffff:0:0/96":                 {"everybody", "private"},
		"*":                             {"everybody", "private"},
		"::ffff:10.0.0.0/8":             {"mapped", "10.0.0.0/8"},
		"proxy.internal":                {"is a name", "not looked up"},
		"traefik":                       {"is a name", "not looked up"},
		"10.0.0.5:80":                   {"with a port", "leave the port out"},
		"[::1]:80":                      {"with a port", "leave the port out"},
		"fe80::1%eth0":                  {"zone", "leave out"},
		"10.0.0":                        {"neither", "10.0.0.5"},
		"10.0.0.*":                      {"neither", "10.0.0.5"},
		"[::1]":                         {"neither", "10.0.0.5"},
		"10.0.0.1-10.0.0.9":             {"neither", "10.0.0.5"},
		"https://10.0.0.5":              {"", "10.0.0.5"},
		strings.Repeat("1.1.1.1,", 257): {"257 entries", "ranges"},
	} {
		p, err := clientip.ParseProxies(list, false)
		faults := fault.Of(err)
		if p != nil || len(faults) != 1 || !strings.Contains(faults[0].Problem.String(), c.problem) ||
			!strings.Contains(faults[0].Remedy.String(), c.remedy) {
			t.Errorf("%s: %v", list, err)
		}
	}
	if p, err := clientip.ParseProxies("10.0.0.0/99, x, 10.0.0.1", false); p != nil || len(fault.Of(err)) != 2 {
		t.Errorf("not every fault: %v", err)
	}
}

func TestKey(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "255.255.255.255": "255.255.255.255",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::": "2001:db8:1:2::/64",
		"2001:db8:1:3::": "2001:db8:1:3::/64",
		"::1":            "::/64", "fe80::1%eth0": "fe80::/64",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "ffff:ffff:ffff:ffff::/64",
	} {
		if got := clientip.Key(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
	if got := clientip.Key(netip.Addr{}); got != "unknown" {
		t.Errorf("none: %s", got)
	}
	for _, address := range []string{"192.0.2.7", "2001:db8:1:2:3:4:5:6"} {
		a := netip.MustParseAddr(address)
		if n := testing.AllocsPerRun(100, func() { clientip.Key(a) }); n > 1 {
			t.Errorf("%s: %v allocations", address, n)
		}
	}
}

// FuzzClient walks any header. The result is the peer, or an address that a hop of the header has;
// with a peer that is not trusted, it is the peer.
func FuzzClient(f *testing.F) {
	for _, seed := range []string{
		"192.0.2.7, 10.0.0.2", "::ffff:10.0.0.2", "[2001:db8::7]:1\n192.0.2.7:1", ",,",
		"for=192.0.2.7;by=10.0.0.1, for=\"[2001:db8::7]:_x\"",
		`for=192.0.2.7;host="a, for=198.51.100.1"`, "unknown", "fe80::1%a,10.0.0.2", `for="_x";for=1.1.1.1`,
	} {
		f.Add("10.0.0.1:1", seed, true)
		f.Add("192.0.2.1:1", seed, false)
	}
	f.Fuzz(func(t *testing.T, remote, lines string, rfc7239 bool) {
		header := "X-Forwarded-For"
		if rfc7239 {
			header = "Forwarded"
		}
		p := proxies(t, "10.0.0.0/8, fd00::/8", header)
		r := &http.Request{RemoteAddr: remote, Header: http.Header{header: strings.Split(lines, "\n")}}
		got := p.Client(r)
		peer := (*clientip.Proxies)(nil).Client(r)
		if got != peer {
			if !trusts(p, peer) {
				t.Fatalf("peer %v is not trusted, and the client is %v", peer, got)
			}
			if !trusts(p, got) && countTrusted(p, lines) > 16 {
				t.Fatalf("%v is behind more than 16 hops", got)
			}
			if !written(lines, got) {
				t.Fatalf("%v is not in %q", got, lines)
			}
		}
		if got.Is4In6() || got.Zone() != "" {
			t.Fatalf("%v has two forms", got)
		}
		if key := clientip.Key(got); len(key) > 24 || key == "" {
			t.Fatalf("key %q", key)
		}
	})
}

func countTrusted(p *clientip.Proxies, lines string) (n int) {
	all := strings.FieldsFunc(lines, func(r rune) bool { return r == ',' || r == '\n' })
	for i := len(all) - 1; i >= 0; i-- {
		a, err := netip.ParseAddr(strings.Trim(all[i], " \t"))
		if err != nil || !trusts(p, a) {
			break
		}
		n++
	}
	return n
}

// written reports whether some piece of the text is the address, in whichever form.
func written(text string, a netip.Addr) bool {
	for piece := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(",;=\"[]% \t\n", r) }) {
		for _, form := range []string{piece, strings.Split(piece, ":")[0]} {
			if b, err := netip.ParseAddr(form); err == nil && b.Unmap().WithZone("") == a {
				return true
			}
		}
	}
	return false
}

func BenchmarkClient(b *testing.B) {
	p := proxies(b, "10.0.0.0/8, 2001:db8:ffff::/48", "")
	r := request(near, xff+"198.51.100.1, 192.0.2.7, 10.0.0.2")
	b.ReportAllocs()
	for b.Loop() {
		clientip.Key(p.Client(r))
	}
}

func ExampleProxies_Client() {
	proxies, _ := clientip.ParseProxies("10.0.0.0/8", false)
	r, _ := http.NewRequest("POST", "/", nil)
	r.RemoteAddr = "10.0.0.1:41234"                            // our load balancer
	r.Header.Set("X-Forwarded-For", "198.51.100.1, 192.0.2.7") // the first is what the client made up
	fmt.Println(proxies.Client(r))
	// Output: 192.0.2.7
}
