package cors_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"coze-token/internal/cors"
)

func policy(t testing.TB, credentials bool) *cors.Policy {
	return &cors.Policy{
		Origins:     parse(t, "https://www.example.com, https://*.example.com"),
		Methods:     []string{"POST"},
		Headers:     []string{"Authorization", "Content-Type", "X-API-Key", "X-User-ID"},
		Expose:      []string{"RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID"},
		Credentials: credentials,
	}
}

func request(method string, lines ...string) *http.Request {
	r := &http.Request{Method: method, Header: http.Header{}}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

const (
	exact    = "https://www.example.com"
	wildcard = "https://shop.example.com"
	vary     = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
	exposed  = "RateLimit, RateLimit-Policy, Retry-After, X-Request-ID"
	asks     = "Access-Control-Request-Method: POST"
)

func TestApply(t *testing.T) {
	type fields map[string]string
	const allow = "Access-Control-Allow-"
	varies := fields{"Vary": "Origin"}
	readable := func(origin string) fields {
		return fields{"Vary": "Origin", allow + "Origin": origin, "Access-Control-Expose-Headers": exposed}
	}
	preflight := func(origin string) fields {
		return fields{"Vary": vary, allow + "Origin": origin, allow + "Methods": "POST", "Access-Control-Max-Age": "600"}
	}
	with := func(f fields, name, value string) fields {
		f[allow+name] = value
		return f
	}
	const headers = "Access-Control-Request-Headers: "
	for name, c := range map[string]struct {
		r       *http.Request
		verdict cors.Verdict
		want    fields
	}{
		"no origin":     {request("POST"), cors.NoOrigin, varies},
		"no origin GET": {request("GET"), cors.NoOrigin, varies},
		"exact": {request("POST", "Origin: "+exact), cors.Exactly,
			with(readable(exact), "Credentials", "true")},
		"wildcard": {request("POST", "Origin: "+wildcard), cors.ByWildcard, readable(wildcard)},
		"another method": {request("DELETE", "Origin: "+exact), cors.Exactly, // its 405 can be read
			with(readable(exact), "Credentials", "true")},
		"unlisted":          {request("POST", "Origin: https://evil.net"), cors.Unlisted, varies},
		"null":              {request("POST", "Origin: null"), cors.Unlisted, varies},
		"empty":             {request("POST", "Origin: "), cors.Unlisted, varies},
		"twice":             {request("POST", "Origin: "+exact, "Origin: "+exact), cors.Unlisted, varies},
		"two":               {request("POST", "Origin: "+exact, "Origin: https://evil.net"), cors.Unlisted, varies},
		"joined":            {request("POST", "Origin: "+exact+", "+exact), cors.Unlisted, varies},
		"long":              {request("POST", "Origin: https://"+strings.Repeat("a", 1<<16)), cors.Unlisted, varies},
		"GET with question": {request("GET", "Origin: https://evil.net", asks), cors.Unlisted, varies},

		"preflight": {request("OPTIONS", "Origin: "+exact, asks), cors.Exactly,
			with(preflight(exact), "Credentials", "true")},
		"preflight, wildcard": {request("OPTIONS", "Origin: "+wildcard, asks, headers+"x-user-id"), cors.ByWildcard,
			with(preflight(wildcard), "Headers", "X-User-ID")},
		"preflight, headers": {request("OPTIONS", "Origin: "+wildcard, asks, headers+"content-type,x-user-id"),
			cors.ByWildcard, with(preflight(wildcard), "Headers", "Content-Type, X-User-ID")},
		"preflight, other headers": {request("OPTIONS", "Origin: "+wildcard, asks, headers+"cookie,x-user-id,x-evil,*"),
			cors.ByWildcard, with(preflight(wildcard), "Headers", "X-User-ID")},
		"preflight, headers in lines": {request("OPTIONS", "Origin: "+wildcard, asks,
			headers+"X-API-KEY ,\tauthorization", headers+"x-user-id,"),
			cors.ByWildcard, with(preflight(wildcard), "Headers", "Authorization, X-API-Key, X-User-ID")},
		"preflight, too many headers": {
			request("OPTIONS", "Origin: "+wildcard, asks, headers+"x-user-id,"+strings.Repeat("x", 2048)),
			cors.ByWildcard, preflight(wildcard)},
		"preflight, other method": {request("OPTIONS", "Origin: "+wildcard, "Access-Control-Request-Method: DELETE"),
			cors.ByWildcard, preflight(wildcard)},
		"preflight, private network": {
			request("OPTIONS", "Origin: "+wildcard, asks, "Access-Control-Request-Private-Network: true"),
			cors.ByWildcard, preflight(wildcard)},
		"preflight, unlisted": {request("OPTIONS", "Origin: https://evil.net", asks, headers+"x-user-id"),
			cors.Unlisted, fields{"Vary": vary}},
		"preflight, two": {request("OPTIONS", "Origin: "+exact, "Origin: "+exact, asks),
			cors.Unlisted, fields{"Vary": vary}},
		"OPTIONS, no question": {request("OPTIONS", "Origin: "+wildcard), cors.ByWildcard, readable(wildcard)},
		"OPTIONS, no origin":   {request("OPTIONS", asks), cors.NoOrigin, varies},
	} {
		h := http.Header{}
		p := policy(t, true)
		if got := p.Apply(h, c.r); got != c.verdict {
			t.Errorf("%s: verdict %v", name, got)
		}
		want := http.Header{}
		for k, v := range c.want {
			want[k] = []string{v}
		}
		if !reflect.DeepEqual(h, want) {
			t.Errorf("%s:\n%v, want\n%v", name, h, want)
		}
		if p.IsPreflight(c.r) != (h.Get("Vary") == vary) {
			t.Errorf("%s: preflight %v", name, p.IsPreflight(c.r))
		}
	}
}

func TestWithoutCredentials(t *testing.T) {
	for _, r := range []*http.Request{request("POST", "Origin: "+exact), request("OPTIONS", "Origin: "+exact, asks)} {
		h := http.Header{}
		policy(t, false).Apply(h, r)
		if h.Get("Access-Control-Allow-Origin") != exact || h["Access-Control-Allow-Credentials"] != nil {
			t.Errorf("%v", h)
		}
	}
}

// Where no origins are listed, nothing is looked at and nothing written.
func TestNoPolicy(t *testing.T) {
	for name, p := range map[string]*cors.Policy{
		"nil": nil, "nil set": {}, "empty set": {Origins: parse(t, ""), Credentials: true},
	} {
		for _, r := range []*http.Request{
			request("POST", "Origin: https://evil.net"), request("OPTIONS", "Origin: null", asks),
		} {
			h := http.Header{}
			if v := p.Apply(h, r); v != cors.NoOrigin || len(h) != 0 || p.IsPreflight(r) {
				t.Errorf("%s: %v %v", name, v, h)
			}
		}
	}
}

// Others' Vary stays.
func TestVaryIsAdded(t *testing.T) {
	h := http.Header{"Vary": {"Accept-Encoding"}}
	policy(t, false).Apply(h, request("POST"))
	if got := strings.Join(h["Vary"], ", "); got != "Accept-Encoding, Origin" {
		t.Error(got)
	}
}

// RequestHeaders are all that a policy reads: a host that carries nothing else changes nothing.
func TestRequestHeaders(t *testing.T) {
	full := request("OPTIONS", "Origin: "+exact, asks, "Access-Control-Request-Headers: x-user-id",
		"Cookie: a=b", "Host: x", "Sec-Fetch-Site: same-origin")
	few := request("OPTIONS")
	for _, name := range cors.RequestHeaders {
		if name != http.CanonicalHeaderKey(name) {
			t.Errorf("%s is not in Go's canonical form", name)
		}
		few.Header[name] = full.Header[name]
	}
	a, b := http.Header{}, http.Header{}
	if policy(t, true).Apply(a, full) != policy(t, true).Apply(b, few) || !reflect.DeepEqual(a, b) {
		t.Errorf("%v, %v", a, b)
	}
}

// FuzzApply sends any headers. An answer allows an origin only if it is the one Origin that was
// sent and it is listed, and never any, never null; what it allows besides is of the lists.
func FuzzApply(f *testing.F) {
	f.Add("POST", exact, "", "")
	f.Add("OPTIONS", wildcard, "POST", "x-user-id,authorization")
	f.Add("OPTIONS", exact+"\n"+exact, "DELETE", "\n,,x-evil")
	f.Add("OPTIONS", "null", "POST", "*")
	f.Fuzz(func(t *testing.T, method, origins, asked, headers string) {
		set := parse(t, "https://www.example.com, https://*.example.com")
		r := &http.Request{Method: method, Header: http.Header{
			"Origin":                         strings.Split(origins, "\n"),
			"Access-Control-Request-Method":  {asked},
			"Access-Control-Request-Headers": strings.Split(headers, "\n"),
		}}
		h := http.Header{}
		v := policy(t, true).Apply(h, r)
		listed := set.Match(origins)
		if listed != (v == cors.Exactly || v == cors.ByWildcard) || v == cors.NoOrigin {
			t.Fatalf("%q: %v", origins, v)
		}
		if !strings.HasPrefix(h.Get("Vary"), "Origin") {
			t.Fatalf("Vary: %q", h)
		}
		if !listed {
			if len(h) != 1 {
				t.Fatalf("%q: %v", origins, h)
			}
			return
		}
		if got := h["Access-Control-Allow-Origin"]; len(got) != 1 || got[0] != origins {
			t.Fatalf("%q: %v", origins, h)
		}
		if (h.Get("Access-Control-Allow-Credentials") == "true") != (origins == exact) {
			t.Fatalf("%q: %v", origins, h)
		}
		for _, name := range strings.Split(h.Get("Access-Control-Allow-Headers"), ", ") {
			if !strings.Contains("Authorization, Content-Type, X-API-Key, X-User-ID", name) ||
				name != "" && !strings.Contains(strings.ToLower(headers), strings.ToLower(name)) {
				t.Fatalf("%q: %v", headers, h)
			}
		}
	})
}

func BenchmarkApply(b *testing.B) {
	p := policy(b, false)
	for name, r := range map[string]*http.Request{
		"post":      request("POST", "Origin: "+exact),
		"preflight": request("OPTIONS", "Origin: "+exact, asks, "Access-Control-Request-Headers: content-type,x-user-id"),
		"unlisted":  request("POST", "Origin: https://evil.net"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Apply(http.Header{}, r)
			}
		})
	}
}
