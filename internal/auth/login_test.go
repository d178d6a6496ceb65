package auth_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"coze-token/internal/auth"
)

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// signRaw signs parts that no library would.
func signRaw(t *testing.T, header, payload string) string {
	t.Helper()
	input := b64(header) + "." + b64(payload)
	sig, err := edKey.Sign(nil, []byte(input), cryptoNone{})
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(sig)
}

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

func TestLogin(t *testing.T) {
	p := newProvider(public("r", rsaKey), public("e", ecKey), public("d", edKey), public("r2", rsaKey2))
	p.keys[3].Algorithm = "RS256"
	a := authenticator(t, options{Logins: []*login{p.login(t)}})
	now := time.Now().Unix()
	good := string(must(json.Marshal(claims(nil))))
	rsaPublic := must(x509.MarshalPKIXPublicKey(rsaKey.Public()))
	rsaPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: rsaPublic})

	with := func(change map[string]any) string {
		return sign(t, jose.RS256, rsaKey, "r", claims(change), nil)
	}
	header := func(change map[string]any) string {
		return sign(t, jose.RS256, rsaKey, "r", claims(nil), change)
	}
	token := with(nil)
	parts := strings.Split(token, ".")

	for _, c := range []struct {
		name    string
		token   string
		status  int // 0: let in
		reason  auth.Reason
		session string // "alice" where it is empty
	}{
		{name: "RS256", token: token},
		{name: "RS256, a key that says so", token: sign(t, jose.RS256, rsaKey2, "r2", claims(nil), nil)},
		{name: "ES256", token: sign(t, jose.ES256, ecKey, "e", claims(nil), nil)},
		{name: "EdDSA", token: sign(t, jose.EdDSA, edKey, "d", claims(nil), nil)},
		{name: "several audiences", token: with(map[string]any{"aud": []string{"other", "web"}})},
		{name: "an access token", token: header(map[string]any{"typ": "at+jwt"})},
		{name: "an access token in full", token: header(map[string]any{"typ": "application/AT+JWT"})},
		{name: "an x5t, which is nothing but a name", token: header(map[string]any{"x5t": "abc"})},
		{name: "a minute's leeway for exp", token: with(map[string]any{"exp": now - 50})},
		{name: "a minute's leeway for nbf", token: with(map[string]any{"nbf": now + 50})},
		{name: "a minute's leeway for iat", token: with(map[string]any{"iat": now + 50})},
		{name: "no iat", token: with(map[string]any{"iat": nil})},
		{name: "a number as sub", token: with(map[string]any{"sub": 1234567890123456789}), session: "1234567890123456789"},
		{name: "a long sub", token: with(map[string]any{"sub": strings.Repeat("é", 128)}),
			session: strings.Repeat("é", 128)},

		{"expired", with(map[string]any{"exp": now - 120}), 401, auth.TokenExpired, ""},
		{"expired, past the leeway", with(map[string]any{"exp": now - 65}), 401, auth.TokenExpired, ""},
		{"not valid yet", with(map[string]any{"nbf": now + 120}), 401, auth.TokenNotYetValid, ""},
		{"issued in the future", with(map[string]any{"iat": now + 120}), 401, auth.TokenNotYetValid, ""},
		{"no exp", with(map[string]any{"exp": nil}), 403, auth.BadClaims, ""},
		{"exp is zero", with(map[string]any{"exp": 0}), 401, auth.TokenExpired, ""},
		{"exp is a text", with(map[string]any{"exp": "9999999999"}), 403, auth.BadClaims, ""},
		{"exp is beyond all time", with(map[string]any{"exp": json.Number("1e14")}), 403, auth.BadClaims, ""},
		{"exp is below all time", with(map[string]any{"exp": json.Number("-5")}), 401, auth.TokenExpired, ""},
		{"nbf is below all time", with(map[string]any{"nbf": json.Number("-5")}), 403, auth.BadClaims, ""},
		{"nbf is null", signRaw(t, `{"alg":"EdDSA","kid":"d"}`, strings.Replace(good, "{", `{"nbf":null,`, 1)), 403,
			auth.BadClaims, ""},
		{"other audience", with(map[string]any{"aud": "other"}), 403, auth.WrongAudience, ""},
		{"audience that only begins so", with(map[string]any{"aud": "web2"}), 403, auth.WrongAudience, ""},
		{"no audience", with(map[string]any{"aud": nil}), 403, auth.WrongAudience, ""},
		{"no audience in the list", with(map[string]any{"aud": []string{}}), 403, auth.WrongAudience, ""},
		{"audience of another type", with(map[string]any{"aud": []any{"web", 1}}), 403, auth.BadClaims, ""},
		{"other issuer", with(map[string]any{"iss": "https://evil.example"}), 401, auth.UnknownIssuer, ""},
		{"issuer with a slash", with(map[string]any{"iss": issuer + "/"}), 401, auth.UnknownIssuer, ""},
		{"no issuer", with(map[string]any{"iss": nil}), 401, auth.UnknownIssuer, ""},
		{"issuers", with(map[string]any{"iss": []string{issuer}}), 401, auth.UnknownIssuer, ""},
		{"a logout token", with(map[string]any{"events": map[string]any{logoutEvent: map[string]any{}}}), 403, auth.BadToken, ""},

		{"no sub", with(map[string]any{"sub": nil}), 403, auth.NoSessionClaim, ""},
		{"an empty sub", with(map[string]any{"sub": ""}), 403, auth.NoSessionClaim, ""},
		{"a fraction as sub", with(map[string]any{"sub": 1.5}), 403, auth.NoSessionClaim, ""},
		{"a negative sub", with(map[string]any{"sub": -1}), 403, auth.NoSessionClaim, ""},
		{"a list as sub", with(map[string]any{"sub": []string{"alice"}}), 403, auth.NoSessionClaim, ""},
		{"a sub that is too long", with(map[string]any{"sub": strings.Repeat("x", 257)}), 403, auth.NoSessionClaim, ""},
		{"a sub with a control character", with(map[string]any{"sub": "a\nb"}), 403, auth.NoSessionClaim, ""},
		{"a sub with half a character", signRaw(t, `{"alg":"EdDSA","kid":"d"}`,
			strings.Replace(good, "alice", `\ud800`, 1)), 403, auth.NoSessionClaim, ""},

		{"alg none", b64(`{"alg":"none"}`) + "." + parts[1] + ".", 401, auth.BadToken, ""},
		{"alg none, with the signature", b64(`{"alg":"none","kid":"r"}`) + "." + parts[1] + "." + parts[2], 403,
			auth.BadAlgorithm, ""},
		{"alg NONE", b64(`{"alg":"nOnE","kid":"r"}`) + "." + parts[1] + "." + parts[2], 403, auth.BadAlgorithm, ""},
		{"HS256 with the public key as secret", sign(t, jose.HS256, rsaPEM, "r", claims(nil), nil), 403, auth.BadAlgorithm,
			""},
		{"HS256 with the public key's DER as secret", sign(t, jose.HS256, rsaPublic, "r", claims(nil), nil), 403,
			auth.BadAlgorithm, ""},
		{"PS256 with the right key", sign(t, jose.PS256, rsaKey, "r", claims(nil), nil), 0, "", "alice"},
		{"RS512 with the right key", sign(t, jose.RS512, rsaKey, "r", claims(nil), nil), 0, "", "alice"},
		{"ES384 with a P-256 key", sign(t, jose.ES384, ecKey384, "e", claims(nil), nil), 401, auth.UnknownSigningKey, ""},
		{"no alg", signRaw(t, `{"kid":"d"}`, good), 401, auth.BadToken, ""},
		{"alg of another type", signRaw(t, `{"alg":["EdDSA"],"kid":"d"}`, good), 401, auth.BadToken, ""},
		{"a key of another type for the algorithm", sign(t, jose.RS256, rsaKey, "e", claims(nil), nil), 401,
			auth.UnknownSigningKey, ""},
		{"another's key", sign(t, jose.RS256, rsaKey2, "r", claims(nil), nil), 401, auth.BadSignature, ""},
		{"unknown kid", sign(t, jose.RS256, rsaKey, "x", claims(nil), nil), 401, auth.UnknownSigningKey, ""},
		{"no kid, where one key fits", sign(t, jose.RS256, rsaKey, "", claims(nil), nil), 0, "", "alice"},
		{"an empty kid", signRaw(t, `{"alg":"EdDSA","kid":""}`, good), 401, auth.BadToken, ""},
		{"kid of another type", signRaw(t, `{"alg":"EdDSA","kid":1}`, good), 401, auth.BadToken, ""},

		{"jku", header(map[string]any{"jku": "https://evil.example/keys"}), 403, auth.ForbiddenHeader, ""},
		{"x5u", header(map[string]any{"x5u": "https://evil.example/cert"}), 403, auth.ForbiddenHeader, ""},
		{"jwk", header(map[string]any{"jwk": public("r", rsaKey)}), 403, auth.ForbiddenHeader, ""},
		{"crit", header(map[string]any{"crit": []string{"x"}, "x": 1}), 403, auth.ForbiddenHeader, ""},
		{"crit is null", signRaw(t, `{"alg":"EdDSA","kid":"d","crit":null}`, good), 403, auth.ForbiddenHeader, ""},
		{"b64", signRaw(t, `{"alg":"EdDSA","kid":"d","b64":false}`, good), 403, auth.ForbiddenHeader, ""},
		{"nested", header(map[string]any{"cty": "JWT"}), 403, auth.ForbiddenHeader, ""},
		{"another type", header(map[string]any{"typ": "dpop+jwt"}), 403, auth.BadToken, ""},
		{"typ of another type", signRaw(t, `{"alg":"EdDSA","kid":"d","typ":1}`, good), 403, auth.BadToken, ""},

		{"a name twice in the header", signRaw(t, `{"alg":"none","alg":"EdDSA","kid":"d"}`, good), 401, auth.BadToken, ""},
		{"a claim twice", signRaw(t, `{"alg":"EdDSA","kid":"d"}`, strings.Replace(good, "{", `{"sub":"bob",`, 1)), 401,
			auth.BadToken, ""},
		{"a claim twice, once in escapes", signRaw(t, `{"alg":"EdDSA","kid":"d"}`,
			strings.Replace(good, "{", `{"\u0073ub":"bob",`, 1)), 401, auth.BadToken, ""},
		{"something after the claims", signRaw(t, `{"alg":"EdDSA","kid":"d"}`, good+"}"), 401, auth.BadToken, ""},
		{"claims that are not UTF-8", signRaw(t, `{"alg":"EdDSA","kid":"d"}`,
			strings.Replace(good, "alice", "ali\xffce", 1)), 401, auth.BadToken, ""},
		{"claims that are a list", signRaw(t, `{"alg":"EdDSA","kid":"d"}`, "["+good+"]"), 401, auth.BadToken, ""},
		{"claims that are null", signRaw(t, `{"alg":"EdDSA","kid":"d"}`, "null"), 401, auth.BadToken, ""},
		{"claims of another token", parts[0] + "." + b64(strings.Replace(good, "alice", "bob", 1)) + "." + parts[2], 401,
			auth.BadSignature, ""},
		{"no signature", parts[0] + "." + parts[1] + ".", 401, auth.BadToken, ""},
		{"a signature of no length", parts[0] + "." + parts[1] + ".AA", 401, auth.BadSignature, ""},
		{"a signature cut short", token[:len(token)-2], 401, auth.BadSignature, ""},
		{"an ES256 signature in ASN.1", asn1Signed(t), 401, auth.BadSignature, ""},
		{"a short ES256 signature", cutSignature(sign(t, jose.ES256, ecKey, "e", claims(nil), nil)), 401, auth.BadSignature, ""},
		{"padding", token + "==", 401, auth.BadToken, ""},
		{"two parts", parts[0] + "." + parts[1], 401, auth.BadToken, ""},
		{"five parts, as of an encrypted token", token + ".a.b", 401, auth.BadToken, ""},
		{"no JWT", strings.Repeat("x", 43), 401, auth.BadToken, ""},
		{"an API key", auth.NewKey(), 401, auth.UnknownKey, ""},
		{"huge", with(map[string]any{"groups": strings.Repeat("x", 9000)}), 403, auth.TooLarge, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			who, e := authenticate(a, bearer(c.token))
			if c.status != 0 {
				wantRefusal(t, e, c.status, c.reason)
				if e != nil && len(c.token) > 40 && strings.Contains(e.Error()+e.Hint.String()+strings.Join(e.Challenges, ""),
					c.token[:40]) {
					t.Errorf("the refusal quotes the token: %v", e)
				}
				return
			}
			if e != nil {
				t.Fatal(e)
			}
			if c.session == "" {
				c.session = "alice"
			}
			if who.Session != c.session || who.Mode != auth.ModeLogin || who.Name != "login.example" || who.MayNameUsers {
				t.Errorf("%#v, session %q", who, who.Session)
			}
		})
	}
	if got := p.got(); got != 1 {
		t.Errorf("%d fetches of keys: all of this was within one cooldown", got)
	}
}

// cutSignature leaves three bytes of a token's signature.
func cutSignature(token string) string { return token[:strings.LastIndexByte(token, '.')+5] }

func asn1Signed(t *testing.T) string {
	input := b64(`{"alg":"ES256","kid":"e"}`) + "." + b64(string(must(json.Marshal(claims(nil)))))
	sum := sha256Of(input)
	return input + "." + base64.RawURLEncoding.EncodeToString(must(ecdsa.SignASN1(rand.Reader, ecKey, sum)))
}

// Any single changed bit of a good token is refused.
func TestTamperedTokens(t *testing.T) {
	p := newProvider(public("d", edKey))
	a := authenticator(t, options{Logins: []*login{p.login(t)}})
	token := sign(t, jose.EdDSA, edKey, "d", claims(nil), nil)
	if _, e := authenticate(a, bearer(token)); e != nil {
		t.Fatal(e)
	}
	for i := range token {
		for _, b := range []byte("A._9x") {
			if token[i] == b {
				continue
			}
			changed := token[:i] + string(b) + token[i+1:]
			if who, e := authenticate(a, bearer(changed)); e == nil {
				t.Errorf("byte %d as %q: let in as %v", i, b, who.Session)
			}
		}
	}
}

// The last letter of a signature has bits that mean nothing. A token has one form all the same.
func TestATokenHasOneForm(t *testing.T) {
	p := newProvider(public("d", edKey))
	a := authenticator(t, options{Logins: []*login{p.login(t)}})
	token := sign(t, jose.EdDSA, edKey, "d", claims(nil), nil)
	last, in := len(token)-1, 0
	for _, b := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		if _, e := authenticate(a, bearer(token[:last]+string(b))); e == nil {
			in++
		}
	}
	if in != 1 {
		t.Errorf("%d forms are let in", in)
	}
}

// The sessions of two issuers never meet, though their users be called the same.
func TestSeveralIssuers(t *testing.T) {
	first, second := newProvider(public("k", edKey)), newProvider(public("k", rsaKey))
	second.issuer, second.uri = "https://other.example/realm/", "https://other.example/keys"
	a := authenticator(t, options{Logins: []*login{first.login(t), second.login(t)}})
	one, e := authenticate(a, bearer(sign(t, jose.EdDSA, edKey, "k", claims(nil), nil)))
	if e != nil {
		t.Fatal(e)
	}
	two, e := authenticate(a, bearer(sign(t, jose.RS256, rsaKey, "k", claims(map[string]any{"iss": second.issuer}), nil)))
	if e != nil {
		t.Fatal(e)
	}
	if one.Session != "login.example|alice" || two.Session != "other.example/realm|alice" || one.Subject != "alice" ||
		two.Subject != "alice" {
		t.Errorf("%q (%q), %q (%q)", one.Session, one.Subject, two.Session, two.Subject)
	}
	_, e = authenticate(a, bearer(sign(t, jose.EdDSA, edKey, "k", claims(map[string]any{"iss": second.issuer}), nil)))
	wantRefusal(t, e, 401, auth.UnknownSigningKey)

	named := authenticator(t, options{Logins: []*login{first.login(t, func(o *login) { o.Name = "staff" })}})
	if who, e := authenticate(named, bearer(sign(t, jose.EdDSA, edKey, "k", claims(nil), nil))); e != nil ||
		who.Session != "staff|alice" || who.Name != "staff" {
		t.Errorf("%q, %v", who.Session, e)
	}

	for _, logins := range [][]*login{
		{first.login(t), first.login(t)},
		{first.login(t, func(o *login) { o.Name = "x" }), first.login(t, func(o *login) { o.Name = "y" })},
		{first.login(t, func(o *login) { o.Name = "x" }), second.login(t, func(o *login) { o.Name = "x" })},
	} {
		if err := auth.CheckLogin(logins[1].LoginOptions, []auth.LoginOptions{logins[0].LoginOptions}); err == nil {
			t.Error("two logins whose sessions meet are taken")
		}
	}
}

func TestSessionClaim(t *testing.T) {
	p := newProvider(public("k", edKey))
	a := authenticator(t, options{Logins: []*login{p.login(t, func(o *login) { o.SessionClaim = "email" })}})
	ask := func(change map[string]any) (auth.Caller, *auth.Error) {
		return authenticate(a, bearer(sign(t, jose.EdDSA, edKey, "k", claims(change), nil)))
	}
	for _, verified := range []any{nil, true, "true"} {
		if who, e := ask(map[string]any{"email": "a@example.com", "email_verified": verified}); e != nil ||
			who.Session != "a@example.com" {
			t.Errorf("%v: %q, %v", verified, who.Session, e)
		}
	}
	for _, verified := range []any{false, "false", 1} {
		_, e := ask(map[string]any{"email": "a@example.com", "email_verified": verified})
		wantRefusal(t, e, 403, auth.UnverifiedEmail)
	}
	_, e := ask(nil) // a sub alone is not enough
	wantRefusal(t, e, 403, auth.NoSessionClaim)
}

func TestCloudflareAccess(t *testing.T) {
	p := newProvider(public("k", rsaKey))
	p.issuer, p.uri = "https://team.cloudflareaccess.com", "https://team.cloudflareaccess.com/cdn-cgi/access/certs"
	for _, team := range []string{"team", "team.cloudflareaccess.com", "https://Team.cloudflareaccess.com/"} {
		l := &login{LoginOptions: must(auth.CloudflareAccess(team, "tag")), Transport: p}
		a := authenticator(t, options{Logins: []*login{l}, Open: true})
		token := sign(t, jose.RS256, rsaKey, "k", claims(map[string]any{"iss": p.issuer, "aud": []string{"tag"},
			"type": "app"}), nil)
		for _, h := range []http.Header{{"Cf-Access-Jwt-Assertion": {token}}, bearer(token)} {
			if who, e := authenticate(a, h); e != nil || who.Session != "alice" || who.Mode != auth.ModeLogin {
				t.Errorf("%s: %v, %v", team, who, e)
			}
		}
		_, e := authenticate(a, http.Header{"Cf-Access-Jwt-Assertion": {token[:len(token)-8] + "AAAAAAAA"}})
		wantRefusal(t, e, 401, auth.BadSignature)
		_, e = authenticate(a, http.Header{"Cf-Access-Jwt-Assertion": {token, token}})
		wantRefusal(t, e, 400, auth.Ambiguous)
		// A service token is nobody: its sub is empty.
		_, e = authenticate(a, http.Header{"Cf-Access-Jwt-Assertion": {sign(t, jose.RS256, rsaKey, "k",
			claims(map[string]any{"iss": p.issuer, "aud": "tag", "sub": "", "common_name": "x"}), nil)}})
		wantRefusal(t, e, 403, auth.NoSessionClaim)
	}
	// Another login's token in Access's header is not Access's.
	other := newProvider(public("k", edKey))
	l := &login{LoginOptions: must(auth.CloudflareAccess("team", "tag")), Transport: p}
	a := authenticator(t, options{Logins: []*login{l, other.login(t)}})
	token := sign(t, jose.EdDSA, edKey, "k", claims(nil), nil)
	if _, e := authenticate(a, bearer(token)); e != nil {
		t.Error(e)
	}
	_, e := authenticate(a, http.Header{"Cf-Access-Jwt-Assertion": {token}})
	wantRefusal(t, e, 401, auth.UnknownIssuer)
}

// A team is one label: its keys are fetched from where it says.
func TestCloudflareTeams(t *testing.T) {
	for _, team := range []string{"", ".cloudflareaccess.com", "https://evil.example/x", "evil.example/",
		"evil.example#", "evil.example?", "a.b", "team.cloudflareaccess.com.evil.example", "http://team", "u@team",
		"team:443"} {
		if o, err := auth.CloudflareAccess(team, "tag"); err == nil {
			t.Errorf("%q is taken: %s", team, o.JWKSURL)
		}
	}
}

func TestLoginFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*auth.LoginOptions)
		want   string
	}{
		{"no issuer", func(o *auth.LoginOptions) { o.Issuer = "" }, "issuer is missing"},
		{"http", func(o *auth.LoginOptions) { o.Issuer = "http://login.example" }, "not https"},
		{"http in one's own network", func(o *auth.LoginOptions) { o.Issuer = "http://10.0.0.1" }, "not https"},
		{"http to what is called like this machine", func(o *auth.LoginOptions) { o.Issuer = "http://127.0.0.1.example" },
			"not https"},
		{"no scheme", func(o *auth.LoginOptions) { o.Issuer = "login.example" }, "not a URL"},
		{"a user in it", func(o *auth.LoginOptions) { o.Issuer = "https://u:p@login.example" }, "a user"},
		{"a bar in it", func(o *auth.LoginOptions) { o.Issuer = "https://login.example/a|b" }, "a query"},
		{"keys over http", func(o *auth.LoginOptions) { o.JWKSURL = "http://login.example/keys" }, "not https"},
		{"keys of this machine, but not the issuer", func(o *auth.LoginOptions) { o.JWKSURL = "http://127.0.0.1/keys" },
			"not https"},
		{"no audience", func(o *auth.LoginOptions) { o.Audiences = nil }, "no audience"},
		{"an empty audience", func(o *auth.LoginOptions) { o.Audiences = []string{"web", ""} }, "audience is empty"},
		{"HS256", func(o *auth.LoginOptions) { o.Algorithms = []string{"RS256", "HS256"} }, "not one of RS256"},
		{"none", func(o *auth.LoginOptions) { o.Algorithms = []string{"none"} }, "not one of RS256"},
		{"aud as session", func(o *auth.LoginOptions) { o.SessionClaim = "aud" }, "tell users apart"},
		{"a bad name", func(o *auth.LoginOptions) { o.Name = "a|b" }, "name"},
		{"no header", func(o *auth.LoginOptions) { o.Header = "X Foo:bar" }, "not one"},
		{"a header and its value", func(o *auth.LoginOptions) { o.Header = "X-Foo: bar" }, "not one"},
		{"the cookies", func(o *auth.LoginOptions) { o.Header = "cookie" }, "the header Cookie has another meaning"},
		{"the ordinary header", func(o *auth.LoginOptions) { o.Header = "authorization" }, "another meaning"},
		{"the keys' header", func(o *auth.LoginOptions) { o.Header = "X-API-Key" }, "another meaning"},
		{"the users' header", func(o *auth.LoginOptions) { o.Header = "X-User-ID" }, "another meaning"},
	} {
		o := auth.LoginOptions{Issuer: issuer, Audiences: []string{"web"}}
		c.change(&o)
		if err := auth.CheckLogin(o, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, url := range []string{"http://127.0.0.1:8080", "http://[::1]:8080/x", "http://localhost"} {
		o := auth.LoginOptions{Issuer: url, JWKSURL: url + "/keys", Audiences: []string{"web"}}
		if err := auth.CheckLogin(o, nil); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	var o auth.LoginOptions
	d := json.NewDecoder(bytes.NewReader([]byte(`{"issuer":"https://a","audiences":["b"],"jwks_url":"https://c","session_claim":"d",` +
		`"algorithms":["RS256"],"header":"X","name":"n"}`)))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil || o.JWKSURL != "https://c" || o.Name != "n" {
		t.Errorf("%+v, %v", o, err)
	}
}
