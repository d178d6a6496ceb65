package auth_test

import (
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"coze-token/internal/auth"
)

// Keys as providers publish them: without names, with one name twice, with the algorithms that
// Logto, Keycloak and others use.
func TestKeysAsProvidersPublishThem(t *testing.T) {
	unnamed := func(list ...jose.JSONWebKey) []jose.JSONWebKey {
		for i := range list {
			list[i].KeyID = ""
		}
		return list
	}
	for _, c := range []struct {
		name string
		keys []jose.JSONWebKey
		alg  jose.SignatureAlgorithm
		key  any
		kid  string
		why  auth.Reason // empty: let in
	}{
		{"ES384", []jose.JSONWebKey{public("k", ecKey384)}, jose.ES384, ecKey384, "k", ""},
		{"PS512", []jose.JSONWebKey{public("k", rsaKey)}, jose.PS512, rsaKey, "k", ""},
		{"no names at all", unnamed(public("", rsaKey2), public("", rsaKey), public("", edKey)), jose.RS256, rsaKey, "", ""},
		{"a name that the set lacks", unnamed(public("", rsaKey2), public("", rsaKey)), jose.RS256, rsaKey, "k", ""},
		{"one name twice", []jose.JSONWebKey{public("k", rsaKey2), public("k", rsaKey)}, jose.RS256, rsaKey, "k", ""},
		{"none of them", unnamed(public("", rsaKey2)), jose.RS256, rsaKey, "", auth.BadSignature},
		{"too many to try", unnamed(public("", rsaKey2), public("", rsaKey2), public("", rsaKey2), public("", rsaKey)),
			jose.RS256, rsaKey, "", auth.UnknownSigningKey},
		{"another key's name", []jose.JSONWebKey{public("a", rsaKey2), public("b", rsaKey)}, jose.RS256, rsaKey, "a",
			auth.BadSignature},
	} {
		p := newProvider(c.keys...)
		a := authenticator(t, options{Logins: []*login{p.login(t)}})
		_, e := authenticate(a, bearer(sign(t, c.alg, c.key, c.kid, claims(nil), nil)))
		if c.why != "" {
			wantRefusal(t, e, 401, c.why)
		} else if e != nil {
			t.Errorf("%s: %v", c.name, e)
		}
	}
}

// check says of each key that cannot be used why.
func TestCheckSaysWhichKeysAreDropped(t *testing.T) {
	secret := jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef"), KeyID: "s"}
	p := newProvider(public("a", edKey), secret, jose.JSONWebKey{Key: ecKey, KeyID: "private"})
	keys, dropped, err := p.login(t).Check(t.Context())
	if keys != 1 || err != nil || len(dropped) != 2 || !strings.HasPrefix(dropped[0].String(), "key 2 of 3: its type (kty)") ||
		!strings.Contains(dropped[1].String(), "private half is published") {
		t.Errorf("%d keys, %q, %v", keys, dropped, err)
	}
}

// What logging in again cannot mend is no 401: a page would send its user to the login for ever.
func TestWhatALoginCannotMendIsForbidden(t *testing.T) {
	p := newProvider(public("k", edKey))
	a := authenticator(t, options{Logins: []*login{p.login(t)}})
	for name, c := range map[string]struct {
		change map[string]any
		want   string
	}{
		"no aud":      {map[string]any{"aud": nil, "client_id": "web"}, "it has no aud"}, // Cognito's access tokens
		"another aud": {map[string]any{"aud": "api"}, "its aud is another"},
		"no exp":      {map[string]any{"exp": nil}, "no exp"},
	} {
		_, e := authenticate(a, bearer(sign(t, jose.EdDSA, edKey, "k", claims(c.change), nil)))
		if e == nil || e.Status != 403 || !strings.Contains(e.Problem.String(), c.want) || len(e.Challenges) > 0 || e.Hint.String() == "" {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// An issuer is only compared where the keys' address is set.
func TestIssuersThatAreNoURL(t *testing.T) {
	for _, issuer := range []string{"auth.example.com", "urn:example:idp", "http://adfs.example/adfs/services/trust"} {
		p := newProvider(public("k", edKey))
		p.issuer = issuer
		o := auth.LoginOptions{Issuer: issuer, Audiences: []string{"web"}}
		if auth.CheckLogin(o, nil) == nil {
			t.Errorf("%s: its keys cannot be found", issuer)
		}
		o.JWKSURL = "https://login.example/keys"
		l := &login{LoginOptions: o, Transport: p}
		if err := auth.CheckLogin(o, nil); err != nil {
			t.Errorf("%s: %v", issuer, err)
			continue
		}
		a := authenticator(t, options{Logins: []*login{l}})
		token := sign(t, jose.EdDSA, edKey, "k", claims(map[string]any{"iss": issuer}), nil)
		if who, e := authenticate(a, bearer(token)); e != nil || who.Session != "alice" || who.Name == "" {
			t.Errorf("%s: %v, %v", issuer, who, e)
		}
	}
}
