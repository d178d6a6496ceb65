package contract

import (
	"strings"
	"testing"

	"coze-token/internal/auth"
)

// testPages shows what browsers ask beforehand, and that pages can read what goes wrong.
func (h *fixture) testPages(t *testing.T) {
	asked := h.Exchanges()
	const sent = "authorization,content-type,x-api-key,x-user-id,x-visitor-ticket,x-evil"
	ask := func(path, origin string) answer {
		return h.do(t, "OPTIONS", path, nil, "Origin", origin, "Access-Control-Request-Method", "POST",
			"Access-Control-Request-Headers", sent)
	}
	for _, app := range []struct {
		name    string
		cookies bool
	}{{"keys", false}, {"login", true}, {"visitors", true}, {"combined", true}} {
		for _, origin := range []string{exact, byLabel} {
			name := app.name + " from " + origin
			a := ask("/"+app.name, origin)
			if a.StatusCode != 204 || len(a.body) != 0 {
				t.Errorf("%s: status %d: %s", name, a.StatusCode, a.body)
			}
			checkCORS(t, name, a, origin, app.cookies && origin == exact)
			for header, want := range map[string]string{
				"Access-Control-Allow-Methods": "post",
				"Access-Control-Allow-Headers": "x-user-id, content-type, authorization, x-api-key, x-visitor-ticket",
				"Access-Control-Max-Age":       "600",
				"Vary":                         "origin, access-control-request-method, access-control-request-headers",
			} {
				if got := strings.ToLower(a.Header.Get(header)); got != want {
					t.Errorf("%s: %s is %q, not %q", name, header, got, want)
				}
			}
		}
		for _, origin := range []string{"https://evil.example", "null"} {
			a := ask("/"+app.name, origin)
			h.holds(t, "a preflight from "+origin, app.name, a, outcome{status: 403, code: "forbidden", reason: "other_origin"})
			checkCORS(t, app.name+" from "+origin, a, "", false)
		}
		a := h.do(t, "OPTIONS", "/"+app.name, nil, "Origin", exact)
		a.failure(t, 405, "method_not_allowed")
		checkCORS(t, "OPTIONS that is no preflight", a, exact, app.cookies)
	}
	ask("/prefixed", exact).failure(t, 405, "method_not_allowed") // no origins are listed for it
	ask("/nobody", exact).failure(t, 404, "not_found")

	// What is refused before anybody is asked who they are has its record, too.
	for reason, a := range map[string]answer{
		"method_not_allowed": h.do(t, "GET", "/keys", nil, "Origin", exact, "CF-Connecting-IP", "127.0.0.1"),
		"other_origin": h.do(t, "POST", "/keys", nil, "Origin", "https://evil.example", "CF-Connecting-IP",
			"127.0.0.1"),
	} {
		h.expect(reason, a, record{"outcome": "refused", "reason": reason, "path": "/keys", "address": "127.0.0.1"})
	}

	inEnglish := append(bearer(h.backend), "Origin", exact, "Accept-Language", "en") // as the record is
	for name, a := range map[string]answer{
		"method": h.do(t, "GET", "/keys", nil, "Origin", exact, "Accept-Language", "en"),
		"body": h.do(t, "POST", "/keys", strings.NewReader(strings.Repeat("x", 17<<10)),
			inEnglish...),
		"wish": h.do(t, "POST", "/keys?min_ttl=x", nil, inEnglish...),
		"name": h.do(t, "POST", "/keys", nil, append(inEnglish, "X-User-ID", "a, b")...),
	} {
		f := a.failure(t, a.StatusCode, map[string]string{
			"method": "method_not_allowed", "body": "body_too_large", "wish": "invalid_min_ttl", "name": "invalid_session",
		}[name])
		h.expect("a wrong "+name, a, record{"outcome": "refused", "code": f.Code, "reason": f.Code, "error": f.Error})
		checkCORS(t, "a wrong "+name, a, exact, false)
	}
	if n := h.Exchanges() - asked; n != 0 {
		t.Errorf("Coze was asked %d times", n)
	}

	fails(t, h.server, "503")
	defer fails(t, h.server)
	a := h.do(t, "POST", "/keys", nil, append(bearer(h.backend), "Origin", exact, "X-User-ID", "nobody-before")...)
	a.failure(t, 502, "upstream_unavailable")
	checkCORS(t, "Coze's failure", a, exact, false)
	h.expect("Coze's failure", a, record{"outcome": "refused", "code": "upstream_unavailable", "caller": "backend",
		"session_hash": hashOf("nobody-before")})
}

// testCombined shows which way to be somebody decides where several are open.
func (h *fixture) testCombined(t *testing.T) {
	login := h.idp.token(nil)
	place := strings.TrimPrefix(h.idp.url, "http://")
	ticket := h.newTicket(t, "/combined")
	const alice = "alice@login.example"
	expired := h.idp.token(map[string]any{"exp": 1})
	key := func(session string) outcome {
		return outcome{status: 200, mode: "key", caller: "backend", session: session}
	}
	user := outcome{status: 200, mode: "login", caller: place, session: alice}
	guest := outcome{status: 200, mode: "visitor", caller: "visitor", session: visitor}
	no := func(reason string) outcome {
		c := refused("", reason)
		return outcome{status: c.status, code: c.code, reason: reason}
	}
	for _, c := range []struct {
		name, app string
		headers   []string
		want      outcome
	}{
		{"a key", "combined", bearer(h.backend), key("")},
		{"a key, for a user", "combined", append(bearer(h.backend), "X-User-ID", "dave@shop.example"),
			key("dave@shop.example")},
		{"a key, for a visitor", "combined", append(bearer(h.backend), "X-User-ID", visitor+"x"),
			outcome{status: 403, code: "forbidden", reason: "reserved_session", mode: "key", caller: "backend"}},
		{"a key and a ticket", "combined", append(bearer(h.backend), auth.TicketHeader, ticket), key("")},
		{"a login", "combined", bearer(login), user},
		{"a login in its own header", "combined", []string{auth.AccessHeader, login}, user},
		{"a login in a header that a proxy sets", "proxied", []string{"X-Proxy-Token", login}, user},
		{"a login in another's header", "proxied", []string{auth.AccessHeader, login}, no("no_credential")},
		{"a login and a ticket", "combined", append(bearer(login), auth.TicketHeader, ticket), user},
		{"a login whose user is named as a visitor", "combined", bearer(h.idp.token(map[string]any{"sub": visitor + "x"})),
			outcome{status: 403, code: "forbidden", reason: "reserved_session"}},
		{"nothing", "combined", nil, guest},
		{"a ticket", "combined", []string{auth.TicketHeader, ticket}, guest},
		{"a wrong key", "combined", bearer(newKey()), no("unknown_api_key")},
		{"a wrong key and a ticket", "combined", append(bearer(newKey()), auth.TicketHeader, ticket), no("unknown_api_key")},
		{"an expired login", "combined", bearer(expired), no("token_expired")},
		{"an expired login and a ticket", "combined", append(bearer(expired), auth.TicketHeader, ticket),
			no("token_expired")},
		{"an expired login in its own header", "combined", []string{auth.AccessHeader, expired}, no("token_expired")},
		{"a tampered ticket", "combined", []string{auth.TicketHeader, tampered(ticket, 5)}, no("bad_visitor_credential")},

		{"nothing, where anybody may", "open-keys", nil, outcome{status: 200, mode: "open", caller: "open"}},
		{"a name, where anybody may", "open-keys", []string{"X-User-ID", "erin@shop.example"},
			outcome{status: 200, mode: "open", caller: "open", session: "erin@shop.example"}},
		{"a key, where anybody may", "open-keys", bearer(h.backend), key("")},
		{"a wrong key, where anybody may", "open-keys", bearer(newKey()), no("unknown_api_key")},
		{"nothing beside visitors", "open-visitors", nil, guest},
		{"nothing beside logins", "open-login", nil, outcome{status: 200, mode: "open", caller: "open"}},
		{"a name beside logins", "open-login", []string{"X-User-ID", alice},
			outcome{status: 403, code: "forbidden", reason: "not_entitled_to_name_users", mode: "open", caller: "open"}},
		{"an expired login, where anybody may", "open-login", bearer(expired), no("token_expired")},
		{"nothing at all", "", nil, outcome{status: 200, mode: "open", caller: "open"}},
		{"a foreign credential, where nothing is configured", "", bearer(login),
			outcome{status: 200, mode: "open", caller: "open"}},
	} {
		a := h.do(t, "POST", "/"+c.app, nil, c.headers...)
		h.holds(t, c.name, c.app, a, c.want)
		if c.want.status != 401 {
			continue
		}
		got := strings.Join(a.Header["Www-Authenticate"], ", ")
		if !strings.Contains(got, "Bearer realm") || (c.app == "combined") != strings.Contains(got, "Visitor realm") {
			t.Errorf("%s: WWW-Authenticate is %q", c.name, got)
		}
	}
}
