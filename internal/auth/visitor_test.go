package auth_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"coze-token/internal/auth"
)

const (
	secretA = "vA7fQz0nW2rT5yU8iP1oL4kJ6hG9dS3a"
	secretB = "vB7fQz0nW2rT5yU8iP1oL4kJ6hG9dS3a"
)

func visitors(t testing.TB, o visitorOptions) *auth.Authenticator {
	t.Helper()
	if o.Secrets == nil {
		o.Secrets = []string{secretA}
	}
	return authenticator(t, options{Visitors: &o})
}

var wantsTicket = http.Header{"X-Visitor-Ticket": {"new"}}

func withTicket(ticket string) http.Header { return http.Header{"X-Visitor-Ticket": {ticket}} }

func withCookie(c *http.Cookie) http.Header {
	return http.Header{"Cookie": {"theme=dark; " + c.Name + "=" + c.Value + "; other=1"}}
}

// newcomer is a visitor who is new.
func newcomer(t testing.TB, a *auth.Authenticator, h http.Header) auth.Caller {
	t.Helper()
	who, e := authenticate(a, h)
	if e != nil {
		t.Fatal(e)
	}
	if !who.New || who.Mode != auth.ModeVisitor || who.Name != "visitor" || who.MayNameUsers ||
		!strings.HasPrefix(who.Session, "visitor:") || len(who.Session) != 34 {
		t.Fatalf("%v: new %v, session %q", who, who.New, who.Session)
	}
	if (who.Cookie == nil) == (who.Ticket == "") {
		t.Fatalf("cookie %v, ticket %q", who.Cookie, who.Ticket)
	}
	return who
}

func TestVisitorCookie(t *testing.T) {
	a := visitors(t, visitorOptions{})
	one, two := newcomer(t, a, nil), newcomer(t, a, http.Header{"Cookie": {"theme=dark"}})
	if one.Session == two.Session {
		t.Error("two visitors are one")
	}
	want := "__Host-coze-visitor=" + one.Cookie.Value + "; Path=/; Max-Age=15552000; HttpOnly; Secure; SameSite=Strict"
	if got := one.Cookie.String(); got != want {
		t.Errorf("Set-Cookie: %s", got)
	}
	for range 3 {
		again, e := authenticate(a, withCookie(one.Cookie))
		if e != nil || again.Session != one.Session || again.New || again.Cookie != nil || again.Ticket != "" {
			t.Errorf("%v, %q, new %v, cookie %v", e, again.Session, again.New, again.Cookie)
		}
	}
	twice := http.Header{"Cookie": {one.Cookie.Name + "=" + one.Cookie.Value + "; " + two.Cookie.Name + "=" +
		two.Cookie.Value}}
	_, e := authenticate(a, twice)
	wantRefusal(t, e, 400, auth.Ambiguous)
}

func TestVisitorTicket(t *testing.T) {
	a := visitors(t, visitorOptions{})
	for _, h := range []http.Header{wantsTicket, {"X-Visitor-Ticket": {""}}, {"Sec-Fetch-Site": {"cross-site"}}} {
		one := newcomer(t, a, h)
		if one.Ticket == "" {
			t.Errorf("%v: no ticket", h)
			continue
		}
		again, e := authenticate(a, withTicket(one.Ticket))
		if e != nil || again.Session != one.Session || again.New || again.Ticket != "" || again.Cookie != nil {
			t.Errorf("%v, %q, new %v", e, again.Session, again.New)
		}
	}
	for _, site := range []string{"same-origin", "same-site", "none", ""} {
		if who := newcomer(t, a, http.Header{"Sec-Fetch-Site": {site}}); who.Cookie == nil {
			t.Errorf("%s: no cookie", site)
		}
	}
	// The page's own word goes before what the browser adds.
	cookie, ticket := newcomer(t, a, nil), newcomer(t, a, wantsTicket)
	both := withCookie(cookie.Cookie)
	both["X-Visitor-Ticket"] = []string{ticket.Ticket}
	if who, e := authenticate(a, both); e != nil || who.Session != ticket.Session {
		t.Errorf("%v, %v", who, e)
	}
	_, e := authenticate(a, http.Header{"X-Visitor-Ticket": {ticket.Ticket, ticket.Ticket}})
	wantRefusal(t, e, 400, auth.Ambiguous)
	_, e = authenticate(a, withTicket(ticket.Ticket+", "+ticket.Ticket))
	wantRefusal(t, e, 400, auth.Ambiguous)
}

// Nobody becomes a visitor whom this service did not make, for this app, in this form.
func TestForgedVisitors(t *testing.T) {
	a := visitors(t, visitorOptions{})
	ticket, cookie := newcomer(t, a, wantsTicket).Ticket, newcomer(t, a, nil).Cookie
	refusedAsTicket := func(name, value string) {
		t.Helper()
		_, e := authenticate(a, withTicket(value))
		if e == nil {
			t.Errorf("%s: let in", name)
			return
		}
		wantRefusal(t, e, 401, auth.BadVisitor)
		if e.Cookie != nil || strings.Contains(e.Error()+e.Hint.String(), value) {
			t.Errorf("%s: %v, %v", name, e, e.Cookie)
		}
	}
	refusedAsCookie := func(name, value string) {
		t.Helper()
		_, e := authenticate(a, http.Header{"Cookie": {"__Host-coze-visitor=" + value}})
		if e == nil {
			t.Errorf("%s: let in", name)
			return
		}
		wantRefusal(t, e, 401, auth.BadVisitor)
		if e.Cookie == nil || e.Cookie.String() != "__Host-coze-visitor=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict" {
			t.Errorf("%s: the cookie is not deleted: %v", name, e.Cookie)
		}
	}
	for i := range ticket {
		for _, b := range []byte("A0.z") {
			if ticket[i] != b {
				refusedAsTicket(fmt.Sprintf("byte %d", i), ticket[:i]+string(b)+ticket[i+1:])
			}
			if cookie.Value[i] != b {
				refusedAsCookie(fmt.Sprintf("byte %d", i), cookie.Value[:i]+string(b)+cookie.Value[i+1:])
			}
		}
	}
	refusedAsTicket("cut", ticket[:len(ticket)-1])
	refusedAsTicket("longer", ticket+"A")
	refusedAsTicket("without its signature", ticket[:strings.LastIndexByte(ticket, '.')])
	refusedAsTicket("with an empty one", ticket[:strings.LastIndexByte(ticket, '.')+1])
	refusedAsTicket("huge", ticket+strings.Repeat("A", 4000))
	refusedAsTicket("null", "null")
	refusedAsTicket("a dot", ".")
	refusedAsCookie("empty", "")
	refusedAsTicket("a cookie", cookie.Value)
	refusedAsCookie("a ticket", ticket)
	for _, other := range []*auth.Authenticator{
		visitors(t, visitorOptions{Secrets: []string{secretB}}),
		visitors(t, visitorOptions{App: "shop"}),
	} {
		refusedAsTicket("of another secret, or another app", newcomer(t, other, wantsTicket).Ticket)
		refusedAsCookie("of another secret, or another app", newcomer(t, other, nil).Cookie.Value)
	}
	// The signature is over the parts, and with a key that is not the secret itself.
	text := ticket[:strings.LastIndexByte(ticket, '.')]
	mac := hmac.New(sha256.New, []byte(secretA))
	mac.Write([]byte(text))
	refusedAsTicket("signed with the bare secret", text+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))

	_, e := authenticate(a, http.Header{"X-Visitor-Ticket": {strings.Repeat("A", 9000)}})
	wantRefusal(t, e, 401, auth.TooLarge)
}

func TestVisitorsOfSeveralApps(t *testing.T) {
	shop, desk := visitors(t, visitorOptions{App: "shop"}), visitors(t, visitorOptions{App: "desk"})
	one := newcomer(t, shop, nil)
	if one.Cookie.Name != "__Host-coze-visitor-shop" {
		t.Errorf("the cookie is called %s", one.Cookie.Name)
	}
	// The browser sends the one's cookie to the other as well.
	two := newcomer(t, desk, withCookie(one.Cookie))
	if one.Session == two.Session || one.Cookie.Name == two.Cookie.Name {
		t.Error("the apps share their visitors")
	}
	_, e := authenticate(desk, withTicket(newcomer(t, shop, wantsTicket).Ticket))
	wantRefusal(t, e, 401, auth.BadVisitor)
}

func TestVisitorSecretsRotate(t *testing.T) {
	old := visitors(t, visitorOptions{Secrets: []string{secretA}})
	both := visitors(t, visitorOptions{Secrets: auth.ParseSecrets(secretB + "\n" + secretA + "\n")})
	ticket := newcomer(t, old, wantsTicket)
	if who, e := authenticate(both, withTicket(ticket.Ticket)); e != nil || who.Session != ticket.Session {
		t.Errorf("%q, %v", who.Session, e)
	}
	_, e := authenticate(old, withTicket(newcomer(t, both, wantsTicket).Ticket))
	wantRefusal(t, e, 401, auth.BadVisitor) // the newest signs
}

func TestVisitorsAge(t *testing.T) {
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		a := visitors(t, visitorOptions{})
		cookie, ticket := newcomer(t, a, nil), newcomer(t, a, wantsTicket)
		time.Sleep(89 * day)
		for _, h := range []http.Header{withCookie(cookie.Cookie), withTicket(ticket.Ticket)} {
			if who, e := authenticate(a, h); e != nil || who.Cookie != nil || who.Ticket != "" {
				t.Errorf("renewed too early: %v", e)
			}
		}
		time.Sleep(2 * day)
		renewed, e := authenticate(a, withCookie(cookie.Cookie))
		if e != nil || renewed.Cookie == nil || renewed.Session != cookie.Session || renewed.New || renewed.Ticket != "" {
			t.Fatalf("%v, %v", e, renewed.Cookie)
		}
		renewedTicket, e := authenticate(a, withTicket(ticket.Ticket))
		if e != nil || renewedTicket.Ticket == "" || renewedTicket.Session != ticket.Session || renewedTicket.New {
			t.Fatalf("%v, %q", e, renewedTicket.Ticket)
		}
		time.Sleep(90 * day)
		// The old ones have run out, and their bearers start anew; the renewed ones go on.
		if who := newcomer(t, a, withTicket(ticket.Ticket)); who.Session == ticket.Session {
			t.Error("the old ticket is still good")
		}
		if who := newcomer(t, a, withCookie(cookie.Cookie)); who.Session == cookie.Session {
			t.Error("the old cookie is still good")
		}
		if who, e := authenticate(a, withCookie(renewed.Cookie)); e != nil || who.Session != cookie.Session {
			t.Errorf("%v, %v", who, e)
		}
	})
	// A clock that ran ahead when it was issued costs nobody their conversation.
	ahead := visitors(t, visitorOptions{Now: func() time.Time { return time.Now().Add(time.Hour) }})
	ticket := newcomer(t, ahead, wantsTicket)
	if who, e := authenticate(visitors(t, visitorOptions{}), withTicket(ticket.Ticket)); e != nil ||
		who.Session != ticket.Session {
		t.Errorf("%v, %v", who, e)
	}
}

func TestVisitorFaults(t *testing.T) {
	for _, c := range []struct {
		secrets []string
		want    string
	}{
		{nil, "no secret; make one with: openssl"},
		{[]string{secretA, secretB[:31]}, "secret 2 has 31 bytes"},
		{[]string{strings.Repeat("ab", 40)}, "repeats"},
		{[]string{secretA, secretA}, "twice"},
		{make([]string, 9), "more than 8"},
	} {
		err := auth.CheckVisitorSecrets(c.secrets)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secretA[:8]) {
			t.Errorf("%v", err)
		}
	}
}

// A widget is Turnstile's siteverify.
type widget struct {
	status int
	answer string
	err    error
	delay  time.Duration
	asked  int
	body   map[string]string
}

func (w *widget) RoundTrip(r *http.Request) (*http.Response, error) {
	w.asked++
	w.body = nil
	if err := json.NewDecoder(r.Body).Decode(&w.body); err != nil || r.Method != "POST" ||
		r.Header.Get("Content-Type") != "application/json" ||
		r.URL.String() != "https://challenges.cloudflare.com/turnstile/v0/siteverify" {
		return nil, fmt.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	select {
	case <-time.After(w.delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if w.err != nil {
		return nil, w.err
	}
	return &http.Response{StatusCode: w.status, Header: http.Header{},
		Body: io.NopCloser(bytes.NewReader([]byte(w.answer)))}, nil
}

const turnstileSecret = "0x4AAAAAAAturnstile_secret"

func TestTurnstile(t *testing.T) {
	w := &widget{status: 200, answer: `{"success":true,"hostname":"shop.example"}`}
	a := visitors(t, visitorOptions{Turnstile: w})
	_, e := authenticate(a, nil)
	wantRefusal(t, e, 401, auth.TurnstileMissing)
	proof := func(token string) http.Header {
		return http.Header{"X-Turnstile-Token": {token}, "X-Visitor-Ticket": {"new"}}
	}
	who := newcomer(t, a, proof("0.token"))
	if len(w.body) != 2 || w.body["secret"] != turnstileSecret || w.body["response"] != "0.token" {
		t.Errorf("sent %v", w.body)
	}
	// Who has an identity is not asked again, and needs no Turnstile.
	asked := w.asked
	if again, e := authenticate(a, withTicket(who.Ticket)); e != nil || again.Session != who.Session || w.asked != asked {
		t.Errorf("%v, asked %d times", e, w.asked-asked)
	}
	_, e = authenticate(a, http.Header{"X-Turnstile-Token": {"0.token"}, "X-Visitor-Ticket": {"forged"}})
	wantRefusal(t, e, 401, auth.BadVisitor)
	for _, token := range []string{"a b", strings.Repeat("x", 2049), "a,b"} {
		if _, e := authenticate(a, proof(token)); e == nil || e.Status >= 500 {
			t.Errorf("%.10s: %v", token, e)
		}
	}
	if w.asked != asked {
		t.Error("Cloudflare is asked about what is no token")
	}

	for _, c := range []struct {
		name   string
		status int
		answer string
		err    error
		want   int
		reason auth.Reason
	}{
		{"refused", 200, `{"success":false,"error-codes":["invalid-input-response"]}`, nil, 401, auth.TurnstileFailed},
		{"used before", 200, `{"success":false,"error-codes":["timeout-or-duplicate"]}`, nil, 401, auth.TurnstileFailed},
		{"refused with another status", 400, `{"success":false,"error-codes":["invalid-input-response"]}`, nil, 401,
			auth.TurnstileFailed},
		{"our secret is wrong", 200, `{"success":false,"error-codes":["invalid-input-secret"]}`, nil, 503,
			auth.TurnstileSecretBad},
		{"an error of theirs", 200, `{"success":false,"error-codes":["internal-error"]}`, nil, 503, auth.TurnstileDown},
		{"no reason", 200, `{"success":false}`, nil, 503, auth.TurnstileDown},
		{"success with another status", 500, `{"success":true}`, nil, 503, auth.TurnstileDown},
		{"a refusal with a 500", 500, `{"success":false,"error-codes":["invalid-input-response"]}`, nil, 503,
			auth.TurnstileDown},
		{"success in a redirect", 302, `{"success":true}`, nil, 503, auth.TurnstileDown},
		{"too many", 429, `{"success":false,"error-codes":["x"]}`, nil, 503, auth.TurnstileDown},
		{"success of another type", 200, `{"success":"true"}`, nil, 503, auth.TurnstileDown},
		{"null", 200, `null`, nil, 503, auth.TurnstileDown},
		{"nothing", 200, ``, nil, 503, auth.TurnstileDown},
		{"an error page", 200, `<html>`, nil, 503, auth.TurnstileDown},
		{"too much", 200, `{"success":true,"x":"` + strings.Repeat("x", 300<<10) + `"}`, nil, 503, auth.TurnstileDown},
		{"no connection", 200, `{"success":true}`, errors.New("dial tcp: refused"), 503, auth.TurnstileDown},
	} {
		w.status, w.answer, w.err = c.status, c.answer, c.err
		_, e := authenticate(a, proof("0.token."+strings.ReplaceAll(c.name, " ", "-")))
		if e == nil {
			t.Errorf("%s: let in", c.name)
			continue
		}
		wantRefusal(t, e, c.want, c.reason)
		if strings.Contains(e.Error()+e.Hint.String(), turnstileSecret) || strings.Contains(e.Error(), "0.token") {
			t.Errorf("%s: %v", c.name, e)
		}
	}
	// A refused token is not asked about again at once, and floods of others are bounded.
	synctest.Test(t, func(t *testing.T) {
		w.status, w.answer, w.err = 200, `{"success":false,"error-codes":["invalid-input-response"]}`, nil
		a, asked := visitors(t, visitorOptions{Turnstile: w}), w.asked
		for range 1000 {
			_, e := authenticate(a, proof("0.junk"))
			wantRefusal(t, e, 401, auth.TurnstileFailed)
		}
		if w.asked != asked+1 {
			t.Errorf("asked %d times about one token", w.asked-asked)
		}
		for i := range 1000 {
			authenticate(a, proof(fmt.Sprint("0.junk.", i)))
		}
		if w.asked > asked+102 {
			t.Errorf("asked %d times at once", w.asked-asked)
		}
		time.Sleep(11 * time.Second)
		w.answer = `{"success":true}`
		newcomer(t, a, proof("0.junk"))
	})
	synctest.Test(t, func(t *testing.T) {
		w.err, w.delay = nil, time.Hour
		began := time.Now()
		_, e := authenticateIn(t.Context(), a, proof("0.token"))
		wantRefusal(t, e, 503, auth.TurnstileDown)
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("it took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		_, e = authenticateIn(ctx, a, proof("0.token"))
		wantRefusal(t, e, 503, auth.TurnstileDown)
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v of the caller's second", took)
		}
	})
	for _, secret := range []string{"", "a b", turnstileSecret + "\n", strings.Repeat("x", 2049)} {
		if err := auth.CheckTurnstile(secret); err == nil || strings.Contains(err.Error(), turnstileSecret) {
			t.Errorf("%v", err)
		}
	}
}

// signedBy is an identity of the default app, signed as visitor.go documents. Everybody's cookies
// and tickets depend on it, so it must not change but with the version in front.
func signedBy(secret, kind, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("coze-token visitor identity v1"))
	mac = hmac.New(sha256.New, mac.Sum(nil))
	for _, part := range []string{kind, "", text} {
		mac.Write([]byte{0, 0, 0, byte(len(part))})
		mac.Write([]byte(part))
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

const someone = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

func TestTheFormOfAnIdentity(t *testing.T) {
	a := visitors(t, visitorOptions{Now: func() time.Time { return time.Unix(1_700_000_000, 0) }})
	text := "1." + someone + ".1700000000"
	for _, h := range []http.Header{withTicket(signedBy(secretA, "ticket", text)),
		{"Cookie": {"__Host-coze-visitor=" + signedBy(secretA, "cookie", text)}}} {
		if who, e := authenticate(a, h); e != nil || who.Session != "visitor:"+someone || who.New {
			t.Errorf("%q, %v", who.Session, e)
		}
	}
	// What this service would not sign is not taken, though it be signed.
	for _, text := range []string{"2." + someone + ".1700000000", "1." + someone[1:] + ".1700000000",
		"1." + someone + ".x", "1." + someone + ".1.1", "1." + someone, ""} {
		if who, e := authenticate(a, withTicket(signedBy(secretA, "ticket", text))); e == nil {
			t.Errorf("%q: %q", text, who.Session)
		}
	}
}

func FuzzVisitor(f *testing.F) {
	now := time.Unix(1_700_000_000, 0)
	a := visitors(f, visitorOptions{Now: func() time.Time { return now }})
	text := "1." + someone + ".1700000000"
	f.Add(signedBy(secretA, "ticket", text), "")
	f.Add("", "__Host-coze-visitor="+signedBy(secretA, "cookie", text))
	f.Add(signedBy(secretB, "ticket", text), `a=b; __Host-coze-visitor="x"`)
	f.Add("new", "=;=")
	f.Fuzz(func(t *testing.T, ticket, jar string) {
		h := http.Header{}
		if ticket != "" {
			h["X-Visitor-Ticket"] = []string{ticket}
		}
		if jar != "" {
			h["Cookie"] = []string{jar}
		}
		who, e := authenticate(a, h)
		if e != nil || who.New {
			return
		}
		if ticket != signedBy(secretA, "ticket", text) && !strings.Contains(jar, signedBy(secretA, "cookie", text)) {
			t.Errorf("let in as %s", who.Session)
		}
	})
}
