package contract

import (
	"net/http"
	"strings"
	"testing"

	"coze-token/internal/auth"
)

const visitor = auth.VisitorPrefix

// newTicket becomes a visitor of an app, by ticket.
func (h *fixture) newTicket(t *testing.T, path string) string {
	t.Helper()
	a := h.do(t, "POST", path, nil, auth.TicketHeader, "new")
	a.token(t)
	ticket := a.Header.Get(auth.TicketHeader)
	if ticket == "" || len(a.Cookies()) != 0 {
		t.Fatalf("asked for a ticket, and got %d cookies and the ticket %q", len(a.Cookies()), ticket)
	}
	return keepSecret("a visitor's ticket", ticket)
}

// newCookie becomes a visitor of an app, by cookie.
func (h *fixture) newCookie(t *testing.T, path string) *http.Cookie {
	t.Helper()
	a := h.do(t, "POST", path, nil)
	a.token(t)
	cookies := a.Cookies()
	if len(cookies) != 1 || a.Header.Get(auth.TicketHeader) != "" {
		t.Fatalf("%d cookies, and the ticket %q", len(cookies), a.Header.Get(auth.TicketHeader))
	}
	keepSecret("a visitor's cookie", cookies[0].Value)
	return cookies[0]
}

// session is the session of the token that a request gets.
func (h *fixture) session(t *testing.T, path string, headers ...string) string {
	t.Helper()
	return h.issued(t, h.do(t, "POST", path, nil, headers...).token(t).AccessToken).Session
}

// tampered changes one character in the middle of a text.
func tampered(text string, at int) string {
	other := "A"
	if text[at] == 'A' {
		other = "B"
	}
	return keepSecret("a visitor's ticket", text[:at]+other+text[at+1:])
}

// ticketCredentials are those of the app "visitors", as pages of other sites have them.
func (h *fixture) ticketCredentials(t *testing.T, ticket string) []credential {
	with := func(ticket string) []string { return []string{auth.TicketHeader, ticket} }
	good := func(name, user string, headers ...string) credential {
		return credential{name: name, headers: headers, mode: "visitor", caller: "visitor", user: user}
	}
	// An identity has four parts: the version, the name, the time, the signature.
	parts := strings.Split(ticket, ".")
	later := strings.Join([]string{parts[0], parts[1], parts[2] + "0", parts[3]}, ".")
	return []credential{
		good("nothing", visitor),
		good("a wish for a ticket", visitor, with("new")...),
		good("a page of another site", visitor, "Sec-Fetch-Site", "cross-site"),
		good("a ticket", h.session(t, "/visitors", with(ticket)...), with(ticket)...),
		good("an API key in a scheme that is not ours", visitor, "Authorization", "Basic x"),
		refused("another name", "bad_visitor_credential", with(tampered(ticket, 5))...),
		refused("another time", "bad_visitor_credential", with(later)...),
		refused("another signature", "bad_visitor_credential", with(tampered(ticket, len(ticket)-20))...),
		refused("no signature", "bad_visitor_credential", with(ticket[:len(ticket)-43])...),
		refused("a ticket of another app", "bad_visitor_credential", with(h.newTicket(t, "/visitors-2"))...),
		refused("a ticket of another secret", "bad_visitor_credential", with(h.newTicket(t, "/visitors-3"))...),
		refused("a cookie as a ticket", "bad_visitor_credential", with(h.newCookie(t, "/visitors").Value)...),
		refused("a ticket twice", "ambiguous_credential", append(with(ticket), with(ticket)...)...),
		refused("a huge ticket", "credential_too_large", with(strings.Repeat("t", 9000))...),
		refused("an API key", "unknown_api_key", bearer(h.backend)...),
		refused("a login's token", "unknown_api_key", bearer(h.idp.token(nil))...),
	}
}

// testVisitors shows cookies, and that each visitor is somebody else and stays the same.
func (h *fixture) testVisitors(t *testing.T) {
	first := h.newCookie(t, "/visitors")
	if first.Name != "__Host-coze-visitor-visitors" || !first.Secure || !first.HttpOnly ||
		first.SameSite != http.SameSiteStrictMode || first.Path != "/" || first.Domain != "" || first.MaxAge < 86400 {
		t.Errorf("the cookie is %s", strings.ReplaceAll(first.String(), first.Value, "…"))
	}
	second, ticket := h.newCookie(t, "/visitors"), h.newTicket(t, "/visitors")
	header := func(c *http.Cookie) string { return c.Name + "=" + c.Value }
	seen := map[string]bool{}
	for name, headers := range map[string][]string{
		"first": {"Cookie", header(first)}, "second": {"Cookie", "theme=dark; " + header(second)},
		"ticket": {auth.TicketHeader, ticket},
	} {
		session := h.session(t, "/visitors", headers...)
		if !strings.HasPrefix(session, visitor) || seen[session] {
			t.Errorf("%s: the session is another's", name)
		}
		seen[session] = true
		for range 2 {
			a := h.do(t, "POST", "/visitors", nil, headers...)
			h.holds(t, name+" again", "visitors", a, outcome{status: 200, mode: "visitor", caller: "visitor", session: session})
			if a.Header.Get("Set-Cookie") != "" || a.Header.Get(auth.TicketHeader) != "" {
				t.Errorf("%s: who is known is given another identity", name)
			}
		}
		h.holds(t, name+" for somebody else", "visitors",
			h.do(t, "POST", "/visitors", nil, append(headers, "X-User-ID", visitor+"ABCDEFGHIJKLMNOPQRSTUVWXYZ")...),
			outcome{status: 403, code: "forbidden", reason: "other_session", mode: "visitor", caller: "visitor"})
	}

	forged := map[string]string{
		"tampered with":        first.Name + "=" + tampered(first.Value, 5),
		"empty":                first.Name + "=",
		"a ticket as a cookie": first.Name + "=" + ticket,
		"another app's":        first.Name + "=" + h.newCookie(t, "/visitors-2").Value,
		"another secret's":     first.Name + "=" + h.newCookie(t, "/visitors-3").Value,
	}
	for name, cookie := range forged {
		a := h.do(t, "POST", "/visitors", nil, "Cookie", cookie, "Origin", exact)
		h.holds(t, "a cookie that is "+name, "visitors", a,
			outcome{status: 401, code: "unauthenticated", reason: "bad_visitor_credential"})
		if c := a.Cookies(); len(c) != 1 || c[0].Name != first.Name || c[0].Value != "" || c[0].MaxAge >= 0 {
			t.Errorf("a cookie that is %s is not taken away", name)
		}
		checkCORS(t, name, a, exact, true)
		checkChallenge(t, name, a, "Visitor")
	}
	a := h.do(t, "POST", "/visitors", nil, "Cookie", header(first)+"; "+header(second))
	h.holds(t, "two cookies", "visitors", a, outcome{status: 400, code: "invalid_request", reason: "ambiguous_credential"})

	t.Run("a page below a wildcard has no cookies", func(t *testing.T) {
		for name, cookie := range map[string]string{"good": header(first), "forged": forged["tampered with"]} {
			a := h.do(t, "POST", "/visitors", nil, "Cookie", cookie, "Origin", byLabel)
			if seen[h.issued(t, a.token(t).AccessToken).Session] {
				t.Errorf("%s: the cookie was heeded", name)
			}
			if a.Header.Get("Set-Cookie") != "" {
				t.Errorf("%s: the page takes the visitor's cookie away", name)
			}
		}
	})
}
