package auth_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"coze-token/internal/auth"
)

// Nothing that is not signed with the provider's key is somebody: neither a token taken apart and
// put together in another way, nor one that parsers may read in different ways.
func FuzzToken(f *testing.F) {
	p := newProvider(public("k", edKey))
	a := authenticator(f, options{Logins: []*login{p.login(f)}})
	good := sign(f, jose.EdDSA, edKey, "k", claims(map[string]any{"iat": nil, "exp": 1 << 37}), nil)
	parts := strings.Split(good, ".")
	f.Add(good)
	f.Add(b64(`{"alg":"none"}`) + "." + parts[1] + ".")
	f.Add(b64(`{"alg":"HS256","kid":"k","jku":"https://x"}`) + "." + parts[1] + "." + parts[2])
	f.Add(b64(`{"alg":"EdDSA","alg":[{"a":[]}],"crit":null}`) + "." + b64(`{"iss":{},"iss":1}`) + ".AA")
	f.Add(b64(`]`) + "." + b64(`{"":{"":[]}} }`) + ".AA")
	f.Fuzz(func(t *testing.T, token string) {
		_ = auth.ReadToken(token)
		if who, e := authenticate(a, bearer(token)); e == nil && strings.Trim(token, " ") != good {
			t.Errorf("let in as %q", who.Session)
		}
	})
}

// The parts of a token, so that the fuzzer gets past base64.
func FuzzTokenParts(f *testing.F) {
	f.Add(`{"alg":"EdDSA","kid":"k"}`, `{"iss":"https://login.example","sub":"a"}`)
	f.Add(`{"alg":"EdDSA","kid":"k"}}`, `[[[{"a":1,"a":2}]]]`)
	f.Fuzz(func(t *testing.T, header, payload string) {
		if auth.ReadToken(b64(header)+"."+b64(payload)+".AA") != nil {
			return
		}
		// What is taken is what any parser reads alike.
		for _, part := range []string{header, payload} {
			var members map[string]any
			if err := json.Unmarshal([]byte(part), &members); err != nil {
				t.Errorf("taken, and not JSON: %q", part)
			}
		}
	})
}

func FuzzJWKS(f *testing.F) {
	f.Add(must(json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public("a", ecKey), public("b", edKey)}})))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"","y":""},null,1]}`))
	f.Fuzz(func(t *testing.T, p []byte) {
		algs, err := auth.ParseJWKS(p)
		if (len(algs) == 0) == (err == nil) {
			t.Errorf("%v, %v", algs, err)
		}
		for _, alg := range algs {
			if alg != "RS256" && alg != "ES256" && alg != "EdDSA" {
				t.Errorf("a key for %s", alg)
			}
		}
	})
}

func FuzzDiscovery(f *testing.F) {
	f.Add([]byte(`{"issuer":"https://login.example","jwks_uri":"https://login.example/keys"}`))
	f.Add([]byte(`{"issuer":"https://login.example","jwks_uri":"http://[::1]"}`))
	f.Fuzz(func(t *testing.T, p []byte) {
		if url, err := auth.ParseDiscovery(p, issuer); err == nil && !strings.HasPrefix(strings.ToLower(url), "https://") {
			t.Errorf("%q", url)
		}
	})
}
