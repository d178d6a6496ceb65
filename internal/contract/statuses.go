package contract

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"coze-token/internal/auth"
)

// tokenRequests are all requests for a token.
var tokenRequests = []struct {
	method, path string
	headers      []string // that the request has to have
}{
	{method: "POST", path: "/"},
	{method: "POST", path: "/shop"},
	{method: "POST", path: "/get_jwt_token"},
	{method: "GET", path: "/callback", headers: []string{"X-Requested-With", "XMLHttpRequest"}},
}

// testStatuses sends each request for a token into each status that it can have: from a page, as a
// newcomer of each sort. So a page sees each status, and no refusal loses the newcomer's identity.
func testStatuses(t *testing.T, b Build) {
	w, key := newWeChat(t), newKey()
	settings := func(s *server) map[string]string {
		return map[string]string{
			"COMPAT": "quickstart", "CACHE": "off", "MINT_BUDGET": "off", "UPSTREAM_TIMEOUT": "1", "RATE_LIMIT": "10000",
			"ALLOWED_ORIGINS": exact, "VISITOR_SECRET": newSecret(), "API_KEYS": "backend=" + key,
			"WECHAT_APP_ID": w.appID, "WECHAT_APP_SECRET": w.secret, "WECHAT_API_BASE": w.url,
			"APPS": fmt.Sprintf(`{"shop":{"client_id":%q,"kid":%q,"private_key":%q}}`,
				s.settings["CLIENT_ID"], s.settings["KID"], s.settings["PRIVATE_KEY"]),
		}
	}
	s := newServer(t)
	s.serve(t, b, settings(s))
	limited := newServer(t)
	rate := settings(limited)
	rate["RATE_LIMIT_APP"] = "1"
	limited.serve(t, b, rate)

	newcomers := map[string]func() []string{
		"Set-Cookie":            func() []string { return nil },
		auth.TicketHeader:       func() []string { return []string{auth.TicketHeader, "new"} },
		auth.WeChatTicketHeader: func() []string { return []string{auth.WeChatCodeHeader, w.login(newKey())} },
	}
	large := strings.Repeat("x", 17<<10)
	for _, c := range []struct {
		status      int
		fault       string
		server      *server
		query, body string
		headers     []string
	}{
		{status: 200},
		{status: 400, query: "?min_ttl=x"},
		{status: 403, headers: []string{"X-User-ID", "somebody"}},
		{status: 413, body: large},
		{status: 429, server: limited},
		{status: 502, fault: "unknown-key"},
		{status: 502, fault: "internal-error,retry-after=9"},
		{status: 503, fault: "429,retry-after=9"},
		{status: 504, fault: "latency=5s"},
	} {
		t.Run(fmt.Sprint(c.status), func(t *testing.T) {
			at := s
			if c.server != nil {
				at = c.server
				for _, r := range tokenRequests { // what the limit allows
					at.do(t, r.method, r.path, nil, append(bearer(key), r.headers...)...)
				}
			}
			if c.fault != "" {
				fails(t, at, c.fault)
				defer fails(t, at)
			}
			var wg sync.WaitGroup
			for _, r := range tokenRequests {
				for carrier, credential := range newcomers {
					if c.body != "" && r.method == "GET" {
						continue
					}
					headers := slices.Concat([]string{"Origin", exact}, r.headers, c.headers, credential())
					wg.Go(func() {
						a, err := at.try(r.method, r.path+c.query, strings.NewReader(c.body), headers...)
						if err != nil {
							t.Error(err)
							return
						}
						name := fmt.Sprintf("%s with %s", r.path, carrier)
						if a.StatusCode != c.status || a.Header.Get(carrier) == "" {
							t.Errorf("%s: status %d, not %d, or no identity: %s", name, a.StatusCode, c.status, a.body)
						}
						keepSecret("an identity", a.Header.Get(carrier))
						checkCORS(t, name, a, exact, true)
					})
				}
			}
			wg.Wait()
		})
	}

	absent := newServer(t) // none of the paths is an app's
	app := strings.Replace(settings(absent)["APPS"], "shop", "other", 1)
	absent.serve(t, b, map[string]string{"CLIENT_ID": "", "KID": "", "PRIVATE_KEY": "", "APPS": app,
		"ALLOWED_ORIGINS": exact})
	absent.url = strings.TrimSuffix(absent.url, "/other") // the native server says where its app is
	wrong := start(t, b, map[string]string{"CLIENT_ID": ""})
	open := newServer(t)
	o := settings(open)
	for _, name := range []string{"ALLOWED_ORIGINS", "VISITOR_SECRET", "API_KEYS", "WECHAT_APP_ID", "WECHAT_APP_SECRET",
		"WECHAT_API_BASE"} {
		delete(o, name)
	}
	open.serve(t, b, o)
	for _, r := range tokenRequests {
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			page := append([]string{"Origin", exact}, r.headers...)
			ask := func(s *server, headers ...string) answer { return s.do(t, r.method, r.path, nil, headers...) }
			ask(s, append(bearer(newKey()), page...)...).failure(t, 401, "unauthenticated")
			a := ask(s, append(page, "Cookie", "__Host-coze-visitor=x; __Host-coze-visitor-shop=x")...)
			a.failure(t, 401, "unauthenticated")
			if c := a.Cookies(); len(c) != 1 || c[0].MaxAge >= 0 {
				t.Error("a wrong cookie is not taken away")
			}
			ask(s, append(page, auth.WeChatCodeHeader, "says48001")...).failure(t, 500, "misconfigured")
			ask(s, append(r.headers, "Origin", "https://evil.example")...).failure(t, 403, "forbidden")
			x := ask(absent, r.headers...)
			x.failure(t, 404, "not_found")
			if r.method == "POST" {
				ask(wrong, r.headers...).failure(t, 500, "misconfigured")
			}

			preflight := []string{"Access-Control-Request-Method", r.method, "Access-Control-Request-Headers", "x-user-id"}
			asPage := append(preflight, "Origin", exact)
			if a := s.do(t, "OPTIONS", r.path, nil, asPage...); a.StatusCode != http.StatusNoContent {
				t.Errorf("a preflight: status %d", a.StatusCode)
			}
			s.do(t, "OPTIONS", r.path, nil, append(preflight, "Origin", "https://evil.example")...).failure(t, 403, "forbidden")
			open.do(t, "OPTIONS", r.path, nil, asPage...).failure(t, 405, "method_not_allowed")
			absent.do(t, "OPTIONS", r.path, nil, asPage...).failure(t, 404, "not_found")

			// A page that was pointed at this machine (DNS rebinding).
			for _, method := range []string{r.method, "OPTIONS"} {
				a := open.do(t, method, r.path, nil, append(r.headers, "Host", "rebound.example")...)
				if b.Host() == "native" {
					a.failure(t, http.StatusMisdirectedRequest, "misdirected")
				}
			}
		})
	}
}
