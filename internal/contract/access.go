package contract

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"coze-token/internal/auth"
)

// Who may ask is shown by one service with an app for each way to be somebody: settings of access
// are each app's own.

const (
	exact    = "https://www.example.com"
	wildcard = "https://*.apps.example.org"
	byLabel  = "https://one.apps.example.org"
)

// A fixture is that service, with what callers of all sorts would have.
type fixture struct {
	*server
	audit
	idp, stranger                          *provider // the login's provider, and one that nobody takes
	backend, hashed, page, shopper, apart  string    // API keys
	ending, ended                          string    // one that ends tomorrow, and one that has ended
	visitorSecret, oldSecret, secondSecret string
	weChat                                 *weChat
}

func testAccess(t *testing.T, b Build) {
	h := build(t, b)
	t.Run("Matrix", h.testMatrix)
	t.Run("Combined", h.testCombined)
	t.Run("Visitors", h.testVisitors)
	t.Run("WeChat", h.testWeChat)
	t.Run("Pages", h.testPages)
	t.Run("Apps", h.testApps)
	t.Run("Names", h.testNames)
	t.Run("Audit", func(t *testing.T) { h.check(t, b) })
}

func newKey() string { return keepSecret("an API key", auth.NewKey()) }

// day is a day from today in UTC, as API_KEYS has it.
func day(from int) string { return time.Now().UTC().AddDate(0, 0, from).Format(time.DateOnly) }

func newSecret() string { return keepSecret("a secret", auth.NewKey()) }

func build(t *testing.T, b Build) *fixture {
	h := &fixture{
		server: newServer(t), idp: newProvider(t), stranger: newProvider(t),
		backend: newKey(), hashed: newKey(), page: newKey(), shopper: newKey(), apart: newKey(),
		ending: newKey(), ended: newKey(),
		visitorSecret: newSecret(), oldSecret: newSecret(), secondSecret: newSecret(),
		weChat: newWeChat(t),
	}
	shop := h.registerShop(t)
	app := func(members map[string]any) map[string]any {
		for setting, member := range map[string]string{"CLIENT_ID": "client_id", "KID": "kid", "PRIVATE_KEY": "private_key"} {
			if members[member] == nil {
				members[member] = h.settings[setting]
			}
		}
		return members
	}
	origins := []string{exact, wildcard}
	keys := "backend=" + h.backend + ", hashed=" + auth.HashKey(h.hashed) + ", page=" + h.page + " origins=" + exact +
		", shopper=" + h.shopper + " apps=shop, ending=" + h.ending + " until " + day(1) +
		", ended=" + h.ended + " until " + day(-1)
	visitorSecrets := h.visitorSecret + "," + h.oldSecret
	weChat := func(secret string, members map[string]any) map[string]any {
		members["wechat_app_id"], members["wechat_app_secret"] = h.weChat.appID, secret
		members["wechat_api_base"], members["allowed_origins"] = h.weChat.url, origins
		return app(members)
	}
	apps := map[string]any{
		"wechat": weChat(h.weChat.secret, map[string]any{}),
		// Another app, one that names users as they are, and one whose secret WeChat refuses.
		"wechat-2":     weChat(h.weChat.secret, map[string]any{}),
		"wechat-plain": weChat(h.weChat.secret, map[string]any{"wechat_hash": false}),
		"wechat-3":     weChat(weChatSecret(), map[string]any{}),
		"keys":         app(map[string]any{"api_keys": keys, "allowed_origins": origins}),
		"login": app(map[string]any{"jwt_issuer": h.idp.url, "jwt_audience": []string{"web", "mobile"},
			"allowed_origins": origins}),
		"visitors": app(map[string]any{"visitor_secret": visitorSecrets, "allowed_origins": origins}),
		// The same secret for another app, another secret, and the secret from before.
		"visitors-2": app(map[string]any{"visitor_secret": visitorSecrets}),
		"visitors-3": app(map[string]any{"visitor_secret": h.secondSecret}),
		"combined": app(map[string]any{
			"api_keys": keys, "visitor_secret": visitorSecrets, "allowed_origins": origins,
			"logins": []any{map[string]any{"issuer": h.idp.url, "audiences": []string{"web"}, "header": auth.AccessHeader}},
		}),
		"proxied": app(map[string]any{"logins": []any{map[string]any{"issuer": h.idp.url,
			"audiences": []string{"web"}, "header": "x-proxy-token"}}}),
		"open-keys":     app(map[string]any{"api_keys": keys, "open_access": true}),
		"open-visitors": app(map[string]any{"visitor_secret": visitorSecrets, "open_access": true}),
		"open-login":    app(map[string]any{"jwt_issuer": h.idp.url, "jwt_audience": "web", "open_access": true}),
		"shop":          shop,
		"hashed":        app(map[string]any{"session_hash": true, "session_secret": newSecret()}),
		"hashed-2":      app(map[string]any{"session_hash": true, "session_secret": newSecret()}),
		"prefixed":      app(map[string]any{"session_prefix": "shop-"}),
		"required":      app(map[string]any{"session_required": true}),
	}
	h.serve(t, b, map[string]string{"APPS": string(must(json.Marshal(apps))), "MINT_BUDGET": "off"})
	return h
}

// A credential is what a request says about who sends it, and what comes of it.
type credential struct {
	name    string
	headers []string

	mode, caller string // who that is; no mode: refused
	user         string // the session that it proves, where it proves one
	status       int
	code, reason string
	only         string // the only origin that it is good for
}

// refused is a credential that nobody has.
func refused(name, reason string, headers ...string) credential {
	status, code := 401, "unauthenticated"
	switch reason {
	case "ambiguous_credential":
		status, code = 400, "invalid_request"
	case "other_app", "no_session_claim", "forbidden_header", "wrong_audience", "bad_algorithm", "bad_claims":
		status, code = 403, "forbidden"
	case "wechat_code_used", "wechat_code_wrong", "wechat_ticket_wrong":
		code = "wechat_code_required"
	case "api_key_ended":
		code = "api_key_ended"
	case "credential_too_large":
		if headers[0] == "Authorization" { // to log in again would bring another like it
			status, code = 403, "forbidden"
		}
	}
	return credential{name: name, headers: headers, status: status, code: code, reason: reason}
}

func bearer(credential string) []string { return []string{"Authorization", "Bearer " + credential} }

// keyCredentials are those of the app "keys".
func (h *fixture) keyCredentials() []credential {
	good := func(name, caller string, headers ...string) credential {
		return credential{name: name, headers: headers, mode: "key", caller: caller}
	}
	page := good("a page's key", "page", bearer(h.page)...)
	page.only = exact
	wrong := newKey()
	return []credential{
		good("a key", "backend", bearer(h.backend)...),
		good("a key in X-API-Key", "backend", "X-API-Key", h.backend),
		good("a key in both", "backend", append(bearer(h.backend), "X-API-Key", h.backend)...),
		good("a key of which the hash is known", "hashed", bearer(h.hashed)...),
		page,
		good("a key that will end", "ending", bearer(h.ending)...),
		refused("a key that has ended", "api_key_ended", bearer(h.ended)...),
		refused("nothing", "no_credential"),
		refused("another scheme", "no_credential", "Authorization", "Basic "+h.backend),
		refused("a wrong key", "unknown_api_key", bearer(wrong)...),
		refused("a wrong key in X-API-Key", "unknown_api_key", "X-API-Key", wrong),
		refused("a key's beginning", "unknown_api_key", bearer(h.backend[:len(h.backend)-1])...),
		refused("a key's hash", "unknown_api_key", bearer(auth.HashKey(h.hashed)[len("sha256:"):])...),
		refused("two keys", "ambiguous_credential", append(bearer(h.backend), "X-API-Key", h.hashed)...),
		refused("a key twice", "ambiguous_credential", append(bearer(h.backend), bearer(h.backend)...)...),
		refused("another app's key", "unknown_api_key", bearer(h.apart)...),
		refused("a key for other apps", "other_app", bearer(h.shopper)...),
		refused("a login's token", "unknown_api_key", bearer(h.idp.token(nil))...),
		refused("a huge key", "credential_too_large", bearer(strings.Repeat("k", 9000))...),
		refused("no token68", "malformed_credential", "Authorization", "Bearer a b"),
		refused("a tab", "malformed_credential", "Authorization", "Bearer\t"+h.backend),
		refused("a colon", "malformed_credential", "Authorization", "Bearer: "+h.backend),
		refused("no space", "malformed_credential", "Authorization", "Bearer"+h.backend),
		refused("no scheme", "malformed_credential", "Authorization", h.backend),
		refused("another scheme, with commas", "no_credential", "Authorization", `Digest username="a", realm="b"`),
		refused("another scheme, twice", "no_credential", "Authorization", "Basic YTpi", "Authorization", "Basic Yzpk"),
		refused("two schemes", "ambiguous_credential",
			append([]string{"Authorization", "Basic YTpi"}, bearer(h.backend)...)...),
		refused("two schemes in one", "ambiguous_credential", "Authorization", "Basic YTpi, Bearer "+h.backend),
	}
}

// loginCredentials are those of the app "login".
func (h *fixture) loginCredentials() []credential {
	p := h.idp
	place := strings.TrimPrefix(p.url, "http://")
	good := func(name, token, user string) credential {
		keepSecret("a user", user)
		return credential{name: name, headers: bearer(token), mode: "login", caller: place, user: user}
	}
	bad := func(name, reason, token string) credential { return refused(name, reason, bearer(token)...) }
	now := p.claims(nil)["iat"].(int64)
	rs256 := func(kid string, key any, header map[string]any) string {
		return sign(jose.RS256, key, kid, p.claims(nil), header)
	}
	whole := p.token(nil)
	parts := strings.Split(whole, ".")
	others := strings.Split(p.token(map[string]any{"sub": "mallory@login.example"}), ".")
	list := []credential{
		// These come first: what the first fetch of the keys says of them is remembered.
		bad("a kid that nobody has", "unknown_signing_key", rs256("made-up", forgersKey(), nil)),
		bad("RS256 under the key of ES256", "unknown_signing_key", rs256("ec", rsaKey(), nil)),
		bad("a key whose exponent WebCrypto refuses", "unknown_signing_key", rs256("e=2147483647", rsaKey(), nil)),
		good("RS256", whole, "alice@login.example"),
		good("the second audience, of several", p.token(map[string]any{"aud": []string{"other", "mobile"}}),
			"alice@login.example"),
		refused("nothing", "no_credential"),
		bad("expired", "token_expired", p.token(map[string]any{"exp": now - 120})),
		bad("not yet valid", "token_not_yet_valid", p.token(map[string]any{"nbf": now + 600})),
		bad("for ever", "bad_claims", p.token(map[string]any{"exp": nil})),
		bad("for another audience", "wrong_audience", p.token(map[string]any{"aud": "elsewhere"})),
		bad("another issuer", "unknown_issuer", h.stranger.token(nil)),
		bad("another's signature", "bad_signature", rs256("rsa", forgersKey(), nil)),
		bad("another's signature, exponent 3", "bad_signature", rs256("e=3", forgersKey(), nil)),
		bad("another's signature, exponent 17", "bad_signature", rs256("e=17", forgersKey(), nil)),
		bad("another's signature, exponent 37", "bad_signature", rs256("e=37", forgersKey(), nil)),
		bad("other claims", "bad_signature", keepSecret("a login's token", parts[0]+"."+others[1]+"."+parts[2])),
		bad("none", "bad_token", unsigned(p.claims(nil), "")),
		bad("none, with a signature", "bad_algorithm", unsigned(p.claims(nil), parts[2])),
		bad("HS256 with the public key", "bad_algorithm", sign(jose.HS256, publicPEM(), "rsa", p.claims(nil), nil)),
		bad("jku", "forbidden_header", rs256("rsa", rsaKey(), map[string]any{"jku": h.stranger.url + "/keys"})),
		bad("jwk", "forbidden_header", rs256("rsa", forgersKey(), map[string]any{"jwk": public("rsa", forgersKey())})),
		bad("crit", "forbidden_header", rs256("rsa", rsaKey(), map[string]any{"crit": []string{"x"}, "x": 1})),
		bad("no user", "no_session_claim", p.token(map[string]any{"sub": nil})),
		bad("a user with a control character", "no_session_claim", p.token(map[string]any{"sub": "a\u0000b"})),
		bad("huge", "credential_too_large", p.token(map[string]any{"groups": strings.Repeat("g", 9000)})),
		bad("no JWT", "bad_token", "a.b.c"),
		bad("an API key", "unknown_api_key", h.backend),
		refused("a token in X-API-Key", "unknown_api_key", "X-API-Key", whole),
		refused("a token twice", "ambiguous_credential", append(bearer(whole), bearer(whole)...)...),
		refused("in a header that is not configured", "no_credential", auth.AccessHeader, whole),
	}
	for _, c := range []struct {
		alg jose.SignatureAlgorithm
		kid string
		key any
	}{
		{jose.RS256, "rsa", rsaKey()}, {jose.RS384, "rsa", rsaKey()}, {jose.RS512, "rsa", rsaKey()},
		{jose.PS256, "rsa", rsaKey()}, {jose.PS384, "rsa", rsaKey()}, {jose.PS512, "rsa", rsaKey()},
		{jose.ES256, "ec", ecKey()}, {jose.ES384, "ec384", ecKey384()}, {jose.ES512, "ec521", ecKey521()},
		{jose.EdDSA, "ed", edKey()},
	} {
		token := sign(c.alg, c.key, c.kid, p.claims(map[string]any{"sub": "bob@login.example"}), nil)
		at := strings.LastIndexByte(token, '.') + 1
		message, signature := token[:at], token[at:]
		sent := func(message string, signature string) string { return keepSecret("a login's token", message+signature) }
		list = append(list,
			good(string(c.alg), token, "bob@login.example"),
			bad(string(c.alg)+", another signature", "bad_signature", tampered(token, at+len(signature)/2)),
			bad(string(c.alg)+", other claims", "bad_signature", sent(strings.Split(token, ".")[0]+"."+others[1]+".", signature)),
			bad(string(c.alg)+", half a signature", "bad_signature", sent(message, signature[:len(signature)/8*4])),
			bad(string(c.alg)+", a signature of zeros", "bad_signature",
				sent(message, base64.RawURLEncoding.EncodeToString(make([]byte, base64.RawURLEncoding.DecodedLen(len(signature)))))),
		)
	}
	return list
}
