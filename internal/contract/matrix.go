package contract

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// pageOrigins are the Origin headers that a request may have, and what CORS makes of them.
var pageOrigins = []struct {
	name    string
	headers []string
	listed  string // what Access-Control-Allow-Origin says
	refused bool
}{
	{name: "no origin"},
	{name: "a listed origin", headers: []string{exact}, listed: exact},
	{name: "an origin below a wildcard", headers: []string{byLabel}, listed: byLabel},
	{name: "an unlisted origin", headers: []string{"https://evil.example"}, refused: true},
	{name: "a listed host in another scheme", headers: []string{"http://www.example.com"}, refused: true},
	{name: "two labels below a wildcard", headers: []string{"https://two.one.apps.example.org"}, refused: true},
	{name: "the wildcard itself", headers: []string{wildcard}, refused: true},
	{name: "null", headers: []string{"null"}, refused: true},
	{name: "a listed origin, twice", headers: []string{exact, exact}, refused: true},
	{name: "a listed and an unlisted origin", headers: []string{exact, "https://evil.example"}, refused: true},
}

// testMatrix sends every credential from every origin for every session.
func (h *fixture) testMatrix(t *testing.T) {
	ticket := h.newTicket(t, "/visitors")
	for _, mode := range []struct {
		app         string
		credentials []credential
		scheme      string // of WWW-Authenticate
		cookies     bool   // pages of exactly listed origins may send them
	}{
		{"keys", h.keyCredentials(), "Bearer", false},
		{"login", h.loginCredentials(), "Bearer", true},
		{"wechat", h.weChatCredentials(t), "WeChat", false},
		{"visitors", h.ticketCredentials(t, ticket), "Visitor", true},
	} {
		for _, c := range mode.credentials {
			// What the first fetch of the keys says of a key is remembered, and a second later it is too
			// early to ask again.
			if c.reason == "unknown_signing_key" {
				h.do(t, "POST", "/"+mode.app, nil, c.headers...)
			}
		}
		for _, c := range mode.credentials {
			for _, from := range pageOrigins {
				for _, session := range c.users() {
					name := mode.app + ", " + c.name + ", from " + from.name + ", for the user " + cmp.Or(session, "unnamed")
					headers := slices.Clone(c.headers)
					for _, origin := range from.headers {
						headers = append(headers, "Origin", origin)
					}
					if session != "" {
						headers = append(headers, "X-User-ID", keepSecret("a user", session))
					}
					want := c.asking(session)
					switch {
					case from.refused:
						want = outcome{status: 403, code: "forbidden", reason: "other_origin"}
					case c.only != "" && c.only != from.listed:
						want = outcome{status: 403, code: "forbidden", reason: "other_origin", mode: c.mode, caller: c.caller}
					}
					asked := h.Exchanges()
					a := h.do(t, "POST", "/"+mode.app, nil, headers...)
					if !h.holds(t, name, mode.app, a, want) {
						t.Fatalf("%s: %d %s", name, a.StatusCode, a.body)
					}
					if n := h.Exchanges() - asked; want.status != 200 && n != 0 {
						t.Errorf("%s: refused, and Coze was asked", name)
					}
					checkChallenge(t, name, a, mode.scheme)
					checkCORS(t, name, a, from.listed, mode.cookies && from.listed == exact)
				}
			}
		}
	}
}

// An outcome is what comes of a request.
type outcome struct {
	status       int
	code, reason string
	session      string // that Coze was told; of visitors the beginning is all that is known before
	mode, caller string
}

// users are what X-User-ID may say beside a credential: nothing, the user's own name, another's.
func (c credential) users() []string {
	if c.user == visitor { // of whom nobody knows the name yet
		return []string{"", "mallory@shop.example"}
	}
	return []string{"", cmp.Or(c.user, "dave@shop.example"), "mallory@shop.example"}
}

// asking is the outcome of a request with the credential for a user.
func (c credential) asking(user string) outcome {
	o := outcome{status: c.status, code: c.code, reason: c.reason, mode: c.mode, caller: c.caller}
	switch {
	case c.mode == "":
		if c.reason == "other_app" { // the key is known
			o.mode, o.caller = "key", "shopper"
		}
	case c.user == "" || user == "" || user == c.user:
		o.status, o.session = 200, cmp.Or(user, c.user)
	default:
		o.status, o.code, o.reason = 403, "forbidden", "other_session"
	}
	return o
}

// holds checks an answer, and notes what its record has to be.
func (h *fixture) holds(t *testing.T, name, app string, a answer, want outcome) (ok bool) {
	t.Helper()
	r := record{"outcome": "refused", "app": app, "code": want.code, "reason": cmp.Or(want.reason, want.code),
		"caller_mode": want.mode, "caller": want.caller, "path": "/" + app}
	if a.StatusCode != want.status {
		t.Errorf("%s: status %d, not %d", name, a.StatusCode, want.status)
		return false
	}
	if want.status == 200 {
		got := h.issued(t, a.token(t).AccessToken).Session
		if want.session == visitor && strings.HasPrefix(got, visitor) {
			want.session = got
		}
		if got != want.session {
			t.Errorf("%s: the token is for %q, not %q", name, got, want.session)
			return false
		}
		r["outcome"], r["session_hash"] = "granted", hashOf(got)
	} else {
		a.failure(t, want.status, want.code)
		r["session_hash"] = ""
	}
	h.expect(name, a, r)
	return true
}

// checkChallenge looks at WWW-Authenticate: on every 401 it says what is accepted, and it is never
// on a 403, which no other credential would change.
func checkChallenge(t *testing.T, name string, a answer, scheme string) {
	t.Helper()
	got := strings.Join(a.Header["Www-Authenticate"], ", ")
	switch a.StatusCode {
	case http.StatusUnauthorized, http.StatusBadRequest:
		if !strings.HasPrefix(got, scheme+` realm="coze-token"`) {
			t.Errorf("%s: WWW-Authenticate is %q", name, got)
		}
	default:
		if got != "" {
			t.Errorf("%s: status %d, and WWW-Authenticate is %q", name, a.StatusCode, got)
		}
	}
}

// checkCORS looks at the headers that a browser decides by, which errors have as well. listed is
// the origin that may read the answer; nobody may, where it is empty.
func checkCORS(t *testing.T, name string, a answer, listed string, cookies bool) {
	t.Helper()
	if vary := a.Header.Get("Vary"); !strings.HasPrefix(vary, "Origin") {
		t.Errorf("%s: Vary is %q", name, vary)
	}
	want := map[string]string{"Access-Control-Allow-Origin": listed, "Access-Control-Allow-Credentials": "",
		"Access-Control-Expose-Headers": ""}
	if cookies {
		want["Access-Control-Allow-Credentials"] = "true"
	}
	for header, value := range want {
		got := strings.Join(a.Header.Values(header), " and ")
		if header == "Access-Control-Expose-Headers" && listed != "" && a.StatusCode != http.StatusNoContent {
			for _, readable := range []string{"X-Request-Id", "Retry-After", "Www-Authenticate", "X-Visitor-Ticket",
				"X-Wechat-Ticket", "Ratelimit"} {
				if !strings.Contains(got+",", readable+",") {
					t.Errorf("%s: pages may not read %s", name, readable)
				}
			}
			continue
		}
		if got != value {
			t.Errorf("%s: %s is %q, not %q", name, header, got, value)
		}
	}
	if listed == "" {
		for header := range a.Header {
			if strings.HasPrefix(header, "Access-Control-") {
				t.Errorf("%s: %s is sent", name, header)
			}
		}
	}
}
