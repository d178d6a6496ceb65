package contract

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"coze-token/internal/auth"
)

// testLimits shows how often may be asked. It also shows that the settings of access count for the
// app at /, and for an app of APPS that has none of its own.
func testLimits(t *testing.T, b Build) {
	s := newServer(t)
	idp := newProvider(t)
	first, second, third := newKey(), newKey(), newKey()
	apps := map[string]any{"shop": map[string]any{
		"client_id": s.settings["CLIENT_ID"], "kid": s.settings["KID"], "private_key": s.settings["PRIVATE_KEY"],
		"rate_limit_caller": 2,
	}}
	s.serve(t, b, map[string]string{
		"API_KEYS":           "first=" + first + "\nsecond=" + auth.HashKey(second) + "\nthird=" + third,
		"JWT_ISSUER":         idp.url,
		"JWT_AUDIENCE":       "web",
		"JWKS_URL":           idp.url + "/keys",
		"JWT_SESSION_CLAIM":  "preferred",
		"VISITOR_SECRET":     newSecret(),
		"ALLOWED_ORIGINS":    exact,
		"RATE_LIMIT":         "5",
		"RATE_LIMIT_SESSION": "3/m",
		"RATE_LIMIT_CALLER":  "6/m",
		"RATE_LIMIT_APP":     "200",
		"APPS":               string(must(json.Marshal(apps))),
	})
	var audit audit
	with := func(credential, user string) []string {
		headers := append(bearer(credential), "Origin", exact)
		if user != "" {
			headers = append(headers, "X-User-ID", user)
		}
		return headers
	}
	pass := func(path string, headers ...string) answer {
		t.Helper()
		a := s.do(t, "POST", path, nil, headers...)
		a.token(t)
		return a
	}
	refuse := func(limit, rate, path string, headers ...string) {
		t.Helper()
		asked := s.Exchanges()
		a := s.do(t, "POST", path, nil, headers...)
		a.failure(t, 429, "rate_limited")
		if n, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || n < 1 || n > 60 {
			t.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
		}
		if got, want := a.Header.Get("RateLimit-Policy"), fmt.Sprintf(`"%s";q=%s;w=60`, limit, rate); got != want {
			t.Errorf("RateLimit-Policy is %q, not %q", got, want)
		}
		if got := a.Header.Get("RateLimit"); !regexp.MustCompile(`^"` + limit + `";r=0;t=\d+$`).MatchString(got) {
			t.Errorf("RateLimit is %q", got)
		}
		if s.Exchanges() != asked {
			t.Error("refused, and Coze was asked")
		}
		checkCORS(t, "one too many", a, exact, true)
		audit.expect(limit, a, record{"outcome": "refused", "code": "rate_limited", "reason": limit + "_rate"})
	}

	t.Run("session", func(t *testing.T) {
		for left := range 3 {
			a := pass("/", with(first, "heidi@shop.example")...)
			if got := a.Header.Get("RateLimit"); !regexp.MustCompile(fmt.Sprintf(`^"session";r=%d;t=\d+$`,
				2-left)).MatchString(got) {
				t.Errorf("RateLimit is %q, and %d are left", got, 2-left)
			}
		}
		refuse("session", "3", "/", with(first, "heidi@shop.example")...)
		refuse("session", "3", "/", with(second, "heidi@shop.example")...) // it is the session that is counted
		pass("/", with(first, "ivan@shop.example")...)
		pass("/shop", with(second, "heidi@shop.example")...) // of each app
	})
	t.Run("caller", func(t *testing.T) {
		// Four of six are used, and what a limit refused is not counted.
		pass("/", with(first, "")...)
		pass("/", with(first, "")...)
		refuse("caller", "6", "/", with(first, "")...)
		pass("/", with(second, "")...)
		pass("/shop", with(second, "judy@shop.example")...)
		refuse("caller", "2", "/shop", with(second, "")...)
	})
	t.Run("address", func(t *testing.T) {
		// A backend asks for all of its users from one address, so its requests are not counted.
		user := idp.token(map[string]any{"preferred": "alice@login.example"})
		if got := s.issued(t, pass("/", with(user, "")...).token(t).AccessToken).Session; got != "alice@login.example" {
			t.Errorf("the session is %q, not the claim that was set", got)
		}
		pass("/", "Origin", exact)
		s.post(t, bearer(newKey())...).failure(t, 401, "unauthenticated")
		s.post(t, bearer(newKey())...).failure(t, 401, "unauthenticated")
		pass("/shop", "Origin", exact, auth.TicketHeader, "new")
		refuse("address", "5", "/", "Origin", exact)
		refuse("address", "5", "/", with(user, "")...)
		refuse("address", "5", "/", with(newKey(), "")...) // guesses are over, too
		pass("/", with(third, "")...)                      // a good key is not: it pays for nothing that others did there
		if a := s.do(t, "OPTIONS", "/", nil, "Origin", exact, "Access-Control-Request-Method", "POST"); a.StatusCode != 204 {
			t.Errorf("a preflight: status %d", a.StatusCode)
		}
		if a := s.do(t, "GET", "/healthz", nil); a.StatusCode != 200 {
			t.Errorf("/healthz: status %d", a.StatusCode)
		}
		s.post(t, "Origin", "https://evil.example").failure(t, 403, "forbidden")
	})
	audit.check(t, b)
}
