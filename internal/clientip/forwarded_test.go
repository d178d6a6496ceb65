package clientip_test

import (
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestForwarded(t *testing.T) {
	p := proxies(t, "10.0.0.0/8, 2001:db8:ffff::/48", "Forwarded")
	for value, want := range map[string]string{
		// RFC 7239, sections 4 and 7.4.
		`for=192.0.2.43`:                                         "192.0.2.43",
		`For="[2001:db8:cafe::17]:4711"`:                         "2001:db8:cafe::17",
		`for=192.0.2.60;proto=http;by=203.0.113.43`:              "192.0.2.60",
		`for=198.51.100.1, for=192.0.2.60, for=10.0.0.2`:         "192.0.2.60",
		`for=198.51.100.1,for="192.0.2.60:80",for="10.0.0.2:_p"`: "192.0.2.60",
		`by=10.0.0.1;host=a.example;FOR=192.0.2.60`:              "192.0.2.60",
		`host="a;b=c";for=192.0.2.60`:                            "192.0.2.60",
		`host="a\"b\\";for=192.0.2.60`:                           "192.0.2.60",
		`for="::ffff:10.0.0.2"`:                                  "10.0.0.1", // IPv6 stands in brackets
		`for="[::ffff:192.0.2.60]"`:                              "192.0.2.60",
		`for=192.0.2.60;`:                                        "192.0.2.60",
		`;;for=192.0.2.60;;secret=x;`:                            "192.0.2.60",
		`for=192.0.2.60 ; proto=https`:                           "192.0.2.60", // not in the grammar; some proxies write so
		`for="192.0.2.60"`:                                       "192.0.2.60",

		// It fails closed.
		`for=198.51.100.1, for=unknown`:                                "10.0.0.1",
		`for=198.51.100.1, for=unknown, for=10.0.0.2`:                  "10.0.0.2",
		`for=198.51.100.1, for=_hidden`:                                "10.0.0.1",
		`for=198.51.100.1, for="_SEVKISEK:1"`:                          "10.0.0.1",
		`for=198.51.100.1, proto=https`:                                "10.0.0.1",
		`for=198.51.100.1, `:                                           "10.0.0.1",
		`for=198.51.100.1, ;`:                                          "10.0.0.1",
		`for=198.51.100.1, for=`:                                       "10.0.0.1",
		`for=198.51.100.1, for=""`:                                     "10.0.0.1",
		`for=198.51.100.1, for`:                                        "10.0.0.1",
		`for=198.51.100.1, =10.0.0.2`:                                  "10.0.0.1",
		`for=198.51.100.1, for=10.0.0.2;for=10.0.0.3`:                  "10.0.0.1",
		`for=198.51.100.1, for= 10.0.0.2`:                              "10.0.0.1",
		`for=198.51.100.1, for =10.0.0.2`:                              "10.0.0.1",
		`for=198.51.100.1, for=10.0.0.2 x`:                             "10.0.0.1",
		`for=198.51.100.1, for="10.0.0.2"x`:                            "10.0.0.1",
		`for=198.51.100.1, for="10.0.0.2"x=y`:                          "10.0.0.1",
		`for=198.51.100.1, for=10.0.0.2 x=y`:                           "10.0.0.1",
		`for=198.51.100.1, for=10.0.0.2;a b=c`:                         "10.0.0.1",
		`for=198.51.100.1, for=10.0.0.2;a"=c`:                          "10.0.0.1",
		`for=198.51.100.1, for=10.0.0.2;=c`:                            "10.0.0.1",
		`for=198.51.100.1, for="10.0.0.2`:                              "10.0.0.1",
		`for=198.51.100.1, for=10.0.0.2"`:                              "10.0.0.1",
		`for=198.51.100.1, for="10.0.0.\2"`:                            "10.0.0.1",
		`for=198.51.100.1, for='10.0.0.2'`:                             "10.0.0.1",
		`for=198.51.100.1, for="10.0.0.2:"`:                            "10.0.0.1",
		`for=198.51.100.1, for="10.0.0.2:_"`:                           "10.0.0.1",
		`for=198.51.100.1, for=[2001:db8:ffff::2]`:                     "10.0.0.1", // must be quoted
		`for=198.51.100.1, for=10.0.0.2;x="` + "\x01" + `"`:            "10.0.0.1",
		`198.51.100.1, 10.0.0.2`:                                       "10.0.0.1",
		`for=198.51.100.1, for=10.0.0.2;x=` + strings.Repeat("y", 500): "10.0.0.1",

		// A comma within quotes that hold what the client wrote.
		`for=192.0.2.60;host="a, for=198.51.100.1"`:                "10.0.0.1",
		`for=192.0.2.60;host="a, for=198.51.100.1;x="`:             "10.0.0.1",
		`for=192.0.2.60;host="a, for=198.51.100.1;x=\"b"`:          "10.0.0.1",
		`for=192.0.2.60;host="a, for=198.51.100.1;x=\"b\""`:        "10.0.0.1",
		`for=192.0.2.60;host="a, for=198.51.100.1;x=";proto="b"`:   "10.0.0.1",
		`for=192.0.2.60;host="a, for=198.51.100.1;x=";proto=";y="`: "10.0.0.1",
		`for=192.0.2.60;host="a, for=198.51.100.1, b"`:             "10.0.0.1",
		`for="a, for=198.51.100.1;x=", for=192.0.2.60`:             "192.0.2.60",
		`for="unbalanced, for=192.0.2.60`:                          "192.0.2.60",
	} {
		if got := p.Client(request(near, "Forwarded: "+value)); got.String() != want {
			t.Errorf("%s: %v, want %s", value, got, want)
		}
	}
	if got := p.Client(request(near, xff+"198.51.100.1")); got.String() != "10.0.0.1" {
		t.Errorf("X-Forwarded-For is read: %v", got)
	}
	r := request(near, "Forwarded: for=198.51.100.1", "Forwarded: for=192.0.2.60, for=10.0.0.2")
	if got := p.Client(r); got.String() != "192.0.2.60" {
		t.Errorf("two lines: %v", got)
	}
}

// TestHostileQuotes: a correct proxy writes parameters whose text the client chose. The client can
// make itself look like the proxy, which does not help it, and never like somebody else.
func TestHostileQuotes(t *testing.T) {
	p := proxies(t, "10.0.0.0/8", "Forwarded")
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.Custom(func(t *rapid.T) string {
			piece := rapid.SampledFrom([]string{
				`"`, `\`, ",", ";", "=", " ", "x", "x=", "for=", "for=198.51.100.1", `"198.51.100.1"`,
			})
			return strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces"), "")
		})
		quote := func(name string) string {
			return name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text.Draw(t, name)) + `"`
		}
		pairs := rapid.Permutation([]string{"for=192.0.2.60", quote("host"), quote("proto"), "by=10.0.0.1"}).Draw(t, "order")
		value := text.Draw(t, "sent by the client") + ", " + strings.Join(pairs, ";")
		r := &http.Request{RemoteAddr: near, Header: http.Header{"Forwarded": {value}}}
		if got := p.Client(r).String(); got != "192.0.2.60" && got != "10.0.0.1" {
			t.Fatalf("%s: %s", value, got)
		}
	})
}
