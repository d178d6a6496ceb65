package auth_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"coze-token/internal/auth"
	"coze-token/internal/setting"
)

// The matrix of ways in and of credentials.
func TestModes(t *testing.T) {
	p := newProvider(public("k", edKey))
	k := keys(t, "shop="+keyA+",desk="+keyB)
	logins := []*login{p.login(t)}
	v := &visitorOptions{Secrets: []string{secretA}}
	visitor := newcomer(t, authenticator(t, options{Visitors: v}), wantsTicket)
	token := sign(t, jose.EdDSA, edKey, "k", claims(nil), nil)
	stale := sign(t, jose.EdDSA, edKey, "k", claims(map[string]any{"exp": 1700000000}), nil)

	ways := map[string]*auth.Authenticator{
		"open":          authenticator(t, options{}),
		"keys":          authenticator(t, options{Keys: k}),
		"logins":        authenticator(t, options{Logins: logins}),
		"visitors":      authenticator(t, options{Visitors: v}),
		"keys+open":     authenticator(t, options{Keys: k, Open: true}),
		"logins+open":   authenticator(t, options{Logins: logins, Open: true}),
		"keys+logins":   authenticator(t, options{Keys: k, Logins: logins}),
		"all":           authenticator(t, options{Keys: k, Logins: logins, Visitors: v}),
		"all, and open": authenticator(t, options{Keys: k, Logins: logins, Visitors: v, Open: true}),
	}
	// The columns are the ways above, in this order. A word is a mode, a capital word a refusal.
	order := []string{"open", "keys", "logins", "visitors", "keys+open", "logins+open", "keys+logins", "all",
		"all, and open"}
	meaning := map[string]struct {
		status int
		reason auth.Reason
	}{
		"NONE": {401, auth.NoCredential}, "KEY?": {401, auth.UnknownKey}, "BAD": {401, auth.BadToken},
		"OLD":  {401, auth.TokenExpired},
		"FORM": {401, auth.Malformed}, "TWO": {400, auth.Ambiguous}, "WHO": {401, auth.BadVisitor},
		"BIG": {403, auth.TooLarge},
	}
	for _, c := range []struct {
		name string
		h    http.Header
		want string
	}{
		{"nothing", nil,
			"open NONE NONE visitor open open NONE visitor visitor"},
		{"a key", bearer(keyA),
			"open key BAD KEY? key BAD key key key"},
		{"a key in its own header", http.Header{"X-Api-Key": {keyA}},
			"open key KEY? KEY? key KEY? key key key"},
		{"a key in both", http.Header{"X-Api-Key": {keyA}, "Authorization": {"bearer " + keyA}},
			"open key KEY? KEY? key KEY? key key key"},
		{"two keys", http.Header{"X-Api-Key": {keyA}, "Authorization": {"Bearer " + keyB}},
			"open TWO TWO TWO TWO TWO TWO TWO TWO"},
		{"a key and a token", http.Header{"X-Api-Key": {keyA}, "Authorization": {"Bearer " + token}},
			"open TWO TWO TWO TWO TWO TWO TWO TWO"},
		{"a token in the key's header", http.Header{"X-Api-Key": {token}},
			"open KEY? KEY? KEY? KEY? KEY? KEY? KEY? KEY?"},
		{"a wrong key", bearer(auth.NewKey()),
			"open KEY? KEY? KEY? KEY? KEY? KEY? KEY? KEY?"},
		{"a key cut short", http.Header{"X-Api-Key": {keyA[:31]}},
			"open KEY? KEY? KEY? KEY? KEY? KEY? KEY? KEY?"},
		{"a key's hash", bearer(strings.TrimPrefix(auth.HashKey(keyA), "sha256:")),
			"open KEY? BAD KEY? KEY? BAD BAD BAD BAD"},
		{"an empty key", http.Header{"X-Api-Key": {""}},
			"open FORM FORM FORM FORM FORM FORM FORM FORM"},
		{"an empty Bearer", http.Header{"Authorization": {"Bearer"}},
			"open FORM FORM FORM FORM FORM FORM FORM FORM"},
		{"an empty header", http.Header{"Authorization": {""}}, // which does not get as far as this on Workers
			"open FORM FORM FORM FORM FORM FORM FORM FORM"},
		{"Bearer and a tab", http.Header{"Authorization": {"Bearer\t" + keyA}},
			"open FORM FORM FORM FORM FORM FORM FORM FORM"},
		{"a key without a scheme", http.Header{"Authorization": {keyA}},
			"open FORM FORM FORM FORM FORM FORM FORM FORM"},
		{"another scheme and ours, joined on the way", http.Header{"Authorization": {"Basic YTpi, bearer " + keyA}},
			"open TWO TWO TWO TWO TWO TWO TWO TWO"},
		{"keys without their scheme", http.Header{"Authorization": {keyA, keyA}},
			"open FORM FORM FORM FORM FORM FORM FORM FORM"},
		{"keys without their scheme, joined on the way", http.Header{"Authorization": {keyA + ", " + keyA}},
			"open FORM FORM FORM FORM FORM FORM FORM FORM"},
		{"nothing, twice", http.Header{"Authorization": {"", ""}},
			"open FORM FORM FORM FORM FORM FORM FORM FORM"},
		{"another scheme, and a key without one", http.Header{"Authorization": {"Basic YTpi", keyA}},
			"open FORM FORM FORM FORM FORM FORM FORM FORM"},
		{"another scheme that has commas", http.Header{"Authorization": {`Digest username="a", realm="b"`}},
			"open NONE NONE visitor open open NONE visitor visitor"},
		{"Bearer of two words", http.Header{"Authorization": {"Bearer a b"}},
			"open FORM FORM FORM FORM FORM FORM FORM FORM"},
		{"a header twice", http.Header{"Authorization": {"Bearer " + keyA, "Bearer " + keyA}},
			"open TWO TWO TWO TWO TWO TWO TWO TWO"},
		{"a header twice, joined on the way", http.Header{"X-Api-Key": {keyA + ", " + keyA}},
			"open TWO TWO TWO TWO TWO TWO TWO TWO"},
		{"a huge one", bearer(strings.Repeat("x", 9000)),
			"open BIG BIG BIG BIG BIG BIG BIG BIG"},
		{"another scheme, for a proxy", http.Header{"Authorization": {"Basic YTpi"}},
			"open NONE NONE visitor open open NONE visitor visitor"},
		{"a token", bearer(token),
			"open KEY? login KEY? KEY? login login login login"},
		{"an expired token", bearer(stale),
			"open KEY? OLD KEY? KEY? OLD OLD OLD OLD"},
		{"no token", bearer("a.b.c"),
			"open KEY? BAD KEY? KEY? BAD BAD BAD BAD"},
		{"a ticket", withTicket(visitor.Ticket),
			"open NONE NONE visitor open open NONE visitor visitor"},
		{"a wrong ticket", withTicket("x"),
			"open NONE NONE WHO open open NONE WHO WHO"},
		{"a wrong ticket and a key", http.Header{"X-Api-Key": {keyA}, "X-Visitor-Ticket": {"x"}},
			"open key KEY? KEY? key KEY? key key key"},
		{"a ticket as a token", bearer(visitor.Ticket),
			"open KEY? BAD KEY? KEY? BAD BAD BAD BAD"},
		{"Access, where it is not configured", http.Header{"Cf-Access-Jwt-Assertion": {token}},
			"open NONE NONE visitor open open NONE visitor visitor"},
	} {
		for i, want := range strings.Fields(c.want) {
			way := order[i]
			t.Run(c.name+" to "+way, func(t *testing.T) {
				who, e := authenticate(ways[way], c.h)
				if refusal, ok := meaning[want]; ok {
					wantRefusal(t, e, refusal.status, refusal.reason)
					return
				}
				if e != nil {
					t.Fatal(e)
				}
				if string(who.Mode) != want {
					t.Errorf("%v, want %s", who, want)
				}
			})
		}
	}
	// Beside logins an open caller names nobody: it could name those who have to prove who they are.
	for way, speaks := range map[string]bool{"open": true, "keys+open": true, "logins+open": false} {
		if who, e := authenticate(ways[way], nil); e != nil || who.MayNameUsers != speaks {
			t.Errorf("%s: speaks for users: %v, %v", way, who.MayNameUsers, e)
		}
	}
	for _, c := range []struct {
		config auth.Config
		open   bool
	}{
		{auth.Config{}, true},
		{auth.Config{Keys: k, Open: true}, true},
		{auth.Config{Keys: k}, false},
		{auth.Config{VisitorSecrets: []setting.Secret{{}}, Open: true}, false},
	} {
		if c.config.IsOpen() != c.open {
			t.Errorf("%+v: open %v", c.config, !c.open)
		}
	}
}

// A credential in a URL is not one (security check 9).
func TestNothingIsReadFromTheURL(t *testing.T) {
	a := authenticator(t, options{Keys: keys(t, "shop="+keyA)})
	for _, name := range []string{"api_key", "access_token", "key", "X-API-Key", "authorization"} {
		r, err := http.NewRequest("POST", "https://x.example/?"+name+"="+keyA, strings.NewReader(name+"="+keyA))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		_, err = a.Authenticate(t.Context(), a.Credentials(r.Header, auth.Trust{Cookies: true}))
		wantRefusal(t, asError(err), 401, auth.NoCredential)
	}
}

func TestChallenges(t *testing.T) {
	p := newProvider(public("k", edKey))
	v := &visitorOptions{Secrets: []string{secretA}}
	k := keys(t, "shop="+keyA)
	for _, c := range []struct {
		o    options
		h    http.Header
		want string
		hint string
	}{
		{options{Keys: k}, nil, `Bearer realm="coze-token"`, "X-API-Key"},
		{options{Logins: []*login{p.login(t)}}, nil, `Bearer realm="coze-token"`, "user's login"},
		{options{Keys: k}, bearer(keyB), `Bearer realm="coze-token", error="invalid_token", error_description="the API key is not known"`, "an API key"},
		{options{Keys: k}, http.Header{"Authorization": {"Bearer a", "Bearer b"}},
			`Bearer realm="coze-token", error="invalid_request", error_description="Authorization was sent more than once"`,
			"once"},
		{options{Keys: k, Visitors: v}, bearer(keyB),
			`Bearer realm="coze-token", error="invalid_token", error_description="the API key is not known"` + "\n" +
				`Visitor realm="coze-token"`, "anonymous visitor"},
		{options{Keys: k, Visitors: v}, withTicket("x"),
			`Bearer realm="coze-token"` + "\n" + `Visitor realm="coze-token", error="invalid_token", error_description="the visitor ticket is not one of this service's"`, "new"},
	} {
		_, e := authenticate(authenticator(t, c.o), c.h)
		if e == nil || strings.Join(e.Challenges, "\n") != c.want || !strings.Contains(e.Hint.String(), c.hint) {
			t.Errorf("%+v", e)
		}
	}
}

func TestSessionFor(t *testing.T) {
	p := newProvider(public("k", edKey))
	v := &visitorOptions{Secrets: []string{secretA}}
	staff := p.login(t, func(o *login) { o.Name = "staff" })
	all := authenticator(t, options{Keys: keys(t, "shop="+keyA), Logins: []*login{staff}, Visitors: v})
	key, e := authenticate(all, bearer(keyA))
	if e != nil {
		t.Fatal(e)
	}
	user, e := authenticate(all, bearer(sign(t, jose.EdDSA, edKey, "k", claims(nil), nil)))
	if e != nil {
		t.Fatal(e)
	}
	visitor := newcomer(t, all, nil)
	open, _ := authenticate(authenticator(t, options{}), nil)
	aside, _ := authenticate(authenticator(t, options{Logins: []*login{staff}, Open: true}), nil)
	for _, c := range []struct {
		name  string
		who   auth.Caller
		user  string
		named bool
		want  string
		why   auth.Reason
	}{
		{"open", open, "", false, "", ""},
		{"open, for a user", open, "bob", true, "bob", ""},
		{"open, for what a visitor would be called", open, "visitor:x", true, "visitor:x", ""},
		{"open beside logins", aside, "", false, "", ""},
		{"open beside logins, for a user", aside, "bob", true, "", auth.NotEntitled},
		{"key", key, "", false, "", ""},
		{"key, for a user", key, "bob", true, "bob", ""},
		{"key, for a visitor", key, visitor.Session, true, "", auth.ReservedSession},
		{"login", user, "", false, "staff|alice", ""},
		{"login, as itself", user, "alice", true, "staff|alice", ""},
		{"login, as itself in full", user, "staff|alice", true, "staff|alice", ""},
		{"login, as another", user, "bob", true, "", auth.OtherSession},
		{"login, as itself in capitals", user, "Alice", true, "", auth.OtherSession},
		{"visitor", visitor, "", false, visitor.Session, ""},
		{"visitor, as a user", visitor, "alice", true, "", auth.OtherSession},
		{"visitor, as another", visitor, visitor.Session[:33] + "?", true, "", auth.OtherSession},
	} {
		session, err := c.who.SessionFor(c.user, c.named)
		if c.why != "" {
			wantRefusal(t, asError(err), 403, c.why)
		} else if err != nil || session != c.want {
			t.Errorf("%s: %q, %v", c.name, session, err)
		}
	}
}

// A login's user cannot be called what a visitor is called.
func TestALoginIsNoVisitor(t *testing.T) {
	p := newProvider(public("k", edKey))
	v := &visitorOptions{Secrets: []string{secretA}}
	token := sign(t, jose.EdDSA, edKey, "k", claims(map[string]any{"sub": "visitor:AAAAAAAAAAAAAAAAAAAAAAAAAA"}), nil)
	_, e := authenticate(authenticator(t, options{Logins: []*login{p.login(t)}, Visitors: v}), bearer(token))
	wantRefusal(t, e, 403, auth.ReservedSession)
	if _, e := authenticate(authenticator(t, options{Logins: []*login{p.login(t)}}), bearer(token)); e != nil {
		t.Error(e)
	}
}

func TestMayUse(t *testing.T) {
	a := authenticator(t, options{Keys: keys(t, "any="+keyA+",some="+keyB+" apps=shop|desk origins=https://x.example|https://y.example")})
	whole, _ := authenticate(a, bearer(keyA))
	some, _ := authenticate(a, bearer(keyB))
	a = authenticator(t, options{Keys: keys(t, "root="+keyA+" apps=/,both="+keyB+" apps=desk|/")})
	root, _ := authenticate(a, bearer(keyA))
	both, _ := authenticate(a, bearer(keyB))
	for _, c := range []struct {
		who         auth.Caller
		app, origin string
		why         auth.Reason
	}{
		{whole, "", "", ""},
		{whole, "shop", "https://z.example", ""},
		{some, "shop", "https://x.example", ""},
		{some, "desk", "https://y.example", ""},
		{some, "", "https://x.example", auth.OtherApp},
		{root, "", "", ""},
		{root, "desk", "", auth.OtherApp},
		{both, "", "", ""},
		{both, "desk", "", ""},
		{both, "shop", "", auth.OtherApp},
		{some, "sho", "https://x.example", auth.OtherApp},
		{some, "shop", "https://x.example.evil.example", auth.OtherOrigin},
		{some, "shop", "http://x.example", auth.OtherOrigin},
		{some, "shop", "null", auth.OtherOrigin},
		{some, "shop", "", auth.OtherOrigin}, // a script, which could say anything
	} {
		err := c.who.MayUse(c.app, c.origin)
		if c.why != "" {
			wantRefusal(t, asError(err), 403, c.why)
		} else if err != nil {
			t.Error(err)
		}
	}
}
