package cors_test

import (
	"net/netip"
	"strings"
	"testing"

	"coze-token/internal/cors"
	"coze-token/internal/fault"
)

func parse(t testing.TB, list string) *cors.Set {
	t.Helper()
	set, _, err := cors.Parse(list)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestMatch(t *testing.T) {
	set := parse(t, `https://www.example.com, https://*.example.com,
		HTTPS://Shop.Example.NET:443 https://shop.example.net:8443
		http://localhost:3000 http://*.localhost:3000,http://[::1]:3000 http://[0:0:0:0:0:0:0:2] http://127.0.0.1:80
		https://xn--fsq.example capacitor://localhost chrome-extension://abcdefgh https://*.a.example.org:444
		https://*.me.github.io https://odd.example:80 http://localhost:443`)
	for origin, want := range map[string]bool{
		"https://www.example.com":   true,
		"https://a.example.com":     true, // one label
		"https://a-b_9.example.com": true, "https://xn--fsq.example.com": true,
		"https://example.com":     false, // none
		"https://a.b.example.com": false, // two
		"https://.example.com":    false,
		"https://*.example.com":   false,
		"https://a b.example.com": false, "https://é.example.com": false,
		"https://a%2e.example.com": false, "https://a:b.example.com": false,
		"https://a@b.example.com": false, "https://evil/x.example.com": false,
		"https://evil?.example.com": false, "https://evil#.example.com": false,
		"https://A.example.com":                                 false,
		"https://" + strings.Repeat("a", 63) + ".example.com":   true,
		"https://" + strings.Repeat("a", 64) + ".example.com":   false,
		"https://" + strings.Repeat("a", 63) + ".a.example.org": false,
		"https://evilexample.com":                               false,
		"https://a.evilexample.com":                             false,
		"https://example.com.evil.net":                          false,
		"https://a.example.com.evil.net":                        false,
		"https://www.example.com.":                              false,
		"https://a.example.com.":                                false,
		"http://www.example.com":                                false,
		"http://a.example.com":                                  false,
		"https://www.example.com:8443":                          false,
		"https://a.example.com:8443":                            false,
		"https://www.example.com:443":                           false, // browsers never send it
		"https://www.example.com/":                              false,
		"https://www.example.com/path":                          false,
		"https://WWW.example.com":                               false,
		"HTTPS://www.example.com":                               false,
		" https://www.example.com":                              false,
		"https://www.example.com ":                              false,
		"https://www.example.com, https://www.example.com":      false, // joined by a proxy
		"https://evil.net, https://www.example.com":             false,
		"https://a.example.com,https://a.example.com":           false,
		"https://www.example.com https://www.example.com":       false,
		"https://www.example.com\x00":                           false,
		"":                                                      false,
		"null":                                                  false,
		"Null":                                                  false,
		"*":                                                     false,
		"://":                                                   false,
		"https://":                                              false,
		"www.example.com":                                       false,
		"https://shop.example.net":                              true,
		"https://shop.example.net:8443":                         true,
		"https://shop.example.net:443":                          false,
		"http://localhost:3000":                                 true,
		"http://localhost":                                      false,
		"http://localhost:3001":                                 false,
		"https://localhost:3000":                                false,
		"http://shop.localhost:3000":                            true,
		"http://shop.localhost":                                 false,
		"http://[::1]:3000":                                     true,
		"http://[::2]":                                          true,
		"http://[0:0:0:0:0:0:0:2]":                              false,
		"http://127.0.0.1":                                      true,
		"http://127.0.0.1:80":                                   false,
		"https://xn--fsq.example":                               true,
		"capacitor://localhost":                                 true,
		"ionic://localhost":                                     false,
		"chrome-extension://abcdefgh":                           true,
		"https://b.a.example.org:444":                           true,
		"https://b.a.example.org":                               false,
		"https://odd.example:80":                                true,
		"https://odd.example":                                   false,
		"http://localhost:443":                                  true,
		"https://pr-1.me.github.io":                             true,
		"https://me.github.io":                                  false,
		"https://you.github.io":                                 false,
		"https://www.example.com" + strings.Repeat("m", 300):    false,
	} {
		if set.Match(origin) != want {
			t.Errorf("%q: not %v", origin, want)
		}
	}
}

func TestLongOrigin(t *testing.T) {
	host := strings.Repeat("a.", 120) + "example.com" // 251 bytes
	if set := parse(t, "https://"+host); set.Match("https://" + host) {
		t.Error("of 259 bytes, and matched")
	}
	if set := parse(t, "https://"+host[4:]); !set.Match("https://" + host[4:]) {
		t.Error("of 255 bytes, and not matched")
	}
}

func TestEmpty(t *testing.T) {
	for name, set := range map[string]*cors.Set{
		"nil": nil, "zero": {}, "empty": parse(t, ""), "commas": parse(t, " ,\n, "),
	} {
		if !set.Empty() || set.Match("https://www.example.com") || set.Match("") || set.Match("null") {
			t.Error(name)
		}
	}
	if parse(t, "https://a.example").Empty() || parse(t, "https://*.a.example").Empty() {
		t.Error("not empty")
	}
}

func TestParseFaults(t *testing.T) {
	for list, c := range map[string]struct{ problem, remedy string }{
		"*":                         {"every web page", "your own pages"},
		"https://*":                 {"every web page", "your own pages"},
		"https://*:8443":            {"every web page", "your own pages"},
		"null":                      {"any page", "leave it out"},
		"http://a.cn，http://b.cn":   {"full-width comma", "ordinary commas"},
		"NULL":                      {"any page", "leave it out"},
		"file://":                   {"null", "localhost"},
		"file:///C:/page.html":      {"null", "localhost"},
		"www.example.com":           {"without a scheme", "use https://www.example.com"},
		"WWW.Example.com:443":       {"without a scheme", "use https://www.example.com"},
		"*.example.com":             {"without a scheme", "use https://*.example.com"},
		"localhost:3000":            {"without a scheme", "use http://localhost:3000"},
		"127.0.0.1:5173":            {"without a scheme", "use http://127.0.0.1:5173"},
		"//www.example.com":         {"without a scheme", "such as"},
		"https:/www.example.com":    {"without a scheme", "such as"},
		"https://www.example.com/":  {"ends in a slash", "use https://www.example.com"},
		"https://*.example.com/":    {"ends in a slash", "use https://*.example.com"},
		"https://Example.com:443/a": {"address of a page", "use https://example.com"},
		"https://example.com?a=b":   {"address of a page", "use https://example.com"},
		"https://example.com#a":     {"address of a page", "use https://example.com"},
		"https://exa*mple.com/a":    {"address of a page", "leave out all that follows the host"},
		"https://":                  {"without a host", "such as"},
		"https://:443":              {"without a host", "such as"},
		"https:///":                 {"ends in a slash", "leave out"},
		"https://me@example.com":    {"user's name", "@"},
		"https://me:pw@example.com": {"user's name", "@"},
		"https://a.*.example.com":   {"whole first label", "each origin"},
		"https://a*.example.com":    {"whole first label", "each origin"},
		"https://*a.example.com":    {"whole first label", "each origin"},
		"https://*.*.example.com":   {"whole first label", "each origin"},
		"https://**.example.com":    {"whole first label", "each origin"},
		"https://example.*":         {"whole first label", "each origin"},
		"https://*.com":             {"anybody", "https://*.you.com"},
		"https://*.co.uk":           {"anybody", "https://*.you.co.uk"},
		"https://*.com.cn":          {"anybody", "each origin"},
		"https://*.github.io":       {"anybody", "each origin"},
		"https://*.pages.dev:8443":  {"anybody", "each origin"},
		"https://*.workers.dev":     {"anybody", "each origin"},
		"https://*.intranet":        {"anybody", "each origin"},
		"https://*.127.0.0.1":       {"wildcard before an address", "each origin"},
		"https://*.[::1]":           {"IPv6", "[::1]"},
		"app://*.example.com":       {"neither https nor http", "each origin"},
		"https://例子.example":        {"not in ASCII", "xn--"},
		"https://example.com.":      {"ends in a dot", "leave the dot out"},
		"https://a..example.com":    {"none", "letters"},
		"https://a%41.example":      {"none", "letters"},
		"https://a_b!.example":      {"none", "letters"},
		"https://" + strings.Repeat("a", 64) + ".example":  {"none", "letters"},
		"https://" + strings.Repeat("a.", 127) + "example": {"none", "letters"},
		"https://" + strings.Repeat("a", 300) + ".example": {"longer", "such as"},
		"https://example.com:":                             {"port", "leave the port out"},
		"https://example.com:0":                            {"port", "1 to 65535"},
		"https://example.com:0443":                         {"port", "1 to 65535"},
		"https://example.com:+443":                         {"port", "1 to 65535"},
		"https://example.com:65536":                        {"port", "1 to 65535"},
		"https://example.com:https":                        {"port", "1 to 65535"},
		"http://localhost:*":                               {"port that is any", "each port"},
		"http://::1":                                       {"IPv6", "[::1]"},
		"http://::1:3000":                                  {"IPv6", "[::1]"},
		"http://[::1":                                      {"IPv6", "[::1]"},
		"http://[[::1]]":                                   {"IPv6", "[::1]"},
		"http://[::1]x":                                    {"IPv6", "[::1]"},
		"http://[fe80::1%eth0]":                            {"IPv6", "[::1]"},
		"http://[::ffff:127.0.0.1]":                        {"IPv6", "[::1]"},
		"http://[127.0.0.1]":                               {"IPv6", "[::1]"},
		"http://127.1":                                     {"IPv4", "127.0.0.1"},
		"http://127.0.0.01":                                {"IPv4", "127.0.0.1"},
		"http://2130706433":                                {"IPv4", "127.0.0.1"},
		"http://0x7f000001":                                {"IPv4", "127.0.0.1"},
		"9https://example.com":                             {"scheme is none", "such as"},
		"://example.com":                                   {"scheme is none", "such as"},
		"\"https://example.com\"":                          {"scheme is none", "such as"},
		"-----BEGIN-KEY-----":                              {"a text of 19 characters", "such as"},
	} {
		set, _, err := cors.Parse("https://good.example," + list)
		faults := fault.Of(err)
		if set != nil || len(faults) != 1 || !strings.Contains(faults[0].Problem.String(), c.problem) ||
			!strings.Contains(faults[0].Remedy.String(), c.remedy) {
			t.Errorf("%s: %v", list, faults)
		}
	}
	if set, _, err := cors.Parse("* null https://a.example"); set != nil || len(fault.Of(err)) != 2 {
		t.Errorf("not every fault: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	for list, want := range map[string]int{
		"http://intranet http://*.example.com http://192.168.1.5:8080":                              3,
		"http://localhost http://127.0.0.1:1 http://127.9.9.9 http://[::1]:3000 http://a.localhost": 0,
		"http://*.localhost https://a.example capacitor://a":                                        0,
		"http://localhost.example http://alocalhost":                                                2,
	} {
		if _, warnings, err := cors.Parse(list); len(warnings) != want || err != nil {
			t.Errorf("%s: %v %v", list, warnings, err)
		}
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	set := parse(t, "https://www.example.com https://*.example.com")
	for _, o := range []string{"https://www.example.com", "https://a.example.com", "https://evil.net"} {
		if n := testing.AllocsPerRun(100, func() { set.Match(o) }); n != 0 {
			t.Errorf("%s: %v allocations", o, n)
		}
	}
}

// FuzzMatch holds any pattern against any origin. If they match, scheme and port are the same, and
// the host is the same or, with a wildcard, one label longer. What was parsed matches itself.
func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{
		{"https://www.example.com", "https://www.example.com"}, {"https://*.example.com", "https://a.example.com"},
		{"https://*.example.com:8443", "https://a.b.example.com:8443"},
		{"http://[::1]:3000", "http://[::1]:3000"}, {"HTTPS://A.example:443", "https://a.example"},
		{"https://*.github.io", "null"}, {"app://x", "app://x"}, {"*", "https://a.example"},
		{"http://1.2.3.4", "http://1.2.3.4:80"}, {"https://*.a.example/", "https://b.a.example"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, sent string) {
		set, warnings, err := cors.Parse(text)
		for _, f := range append(warnings, fault.Of(err)...) {
			if f.Problem.String() == "" || f.Remedy.String() == "" || strings.Contains(f.Error(), "\n") ||
				len(f.Error()) > 2000 {
				t.Errorf("%q: %q", text, f.Error())
			}
		}
		if (set == nil) != (err != nil) {
			t.Fatalf("%q: %v %v", text, set, err)
		}
		if set == nil || !set.Match(sent) {
			return
		}
		scheme, host, port := split(t, sent)
		if scheme == "" || host == "" || len(sent) > 256 || sent != strings.ToLower(sent) ||
			strings.ContainsAny(sent, "*@?#, \t\r\n") {
			t.Fatalf("%q matches %q", sent, text)
		}
		for entry := range strings.FieldsSeq(strings.ReplaceAll(text, ",", " ")) {
			s, h, p := split(t, strings.ToLower(entry))
			if rest, ok := strings.CutPrefix(h, "*."); ok && s == scheme && p == port {
				if label, below, ok := strings.Cut(host, "."); ok && label != "" && below == rest {
					return
				}
			}
			if s == scheme && p == port && h == host {
				return
			}
		}
		t.Fatalf("%q matches %q", sent, text)
	})
}

// split takes an origin apart, in another way than the code does. Default ports and the form of
// IPv6 are levelled.
func split(t *testing.T, text string) (scheme, host, port string) {
	scheme, rest, _ := strings.Cut(text, "://")
	host = rest
	if i := strings.LastIndex(rest, ":"); i >= 0 && !strings.HasSuffix(rest, "]") {
		host, port = rest[:i], rest[i+1:]
	}
	if scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		port = ""
	}
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil && a.Is6() {
		host = "[" + a.String() + "]"
	}
	return scheme, host, port
}

func BenchmarkMatch(b *testing.B) {
	set := parse(b, "https://www.example.com https://*.example.com")
	for _, o := range []string{"https://www.example.com", "https://a.example.com", "https://evil.net"} {
		b.Run(o[8:], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				set.Match(o)
			}
		})
	}
}
