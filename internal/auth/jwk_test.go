package auth_test

import (
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"coze-token/internal/auth"
)

func TestJWKS(t *testing.T) {
	const anyRSA = "RS256 RS384 RS512 PS256 PS384 PS512"
	members := func(key jose.JSONWebKey, change map[string]any) string {
		var m map[string]any
		if err := json.Unmarshal(must(key.MarshalJSON()), &m); err != nil {
			t.Fatal(err)
		}
		maps.Copy(m, change)
		return string(must(json.Marshal(m)))
	}
	r, e, d := public("k", rsaKey), public("k", ecKey), public("k", edKey)
	small := jose.JSONWebKey{Key: &rsa.PublicKey{N: new(big.Int).Rsh(rsaKey.N, 1024), E: 65537}}
	large := jose.JSONWebKey{Key: &rsa.PublicKey{N: new(big.Int).SetBit(rsaKey.N, 8195, 1), E: 65537}}
	for _, c := range []struct {
		name string
		key  string
		want string // the algorithm; empty: passed over
	}{
		{"RSA", members(r, nil), anyRSA},
		{"EC", members(e, nil), "ES256"},
		{"Ed25519", members(d, nil), "EdDSA"},
		{"alg RS256", members(r, map[string]any{"alg": "RS256"}), "RS256"},
		{"alg EdDSA", members(d, map[string]any{"alg": "EdDSA"}), "EdDSA"},
		{"alg Ed25519, as RFC 9864 has it", members(d, map[string]any{"alg": "Ed25519"}), "EdDSA"},
		{"key_ops", members(r, map[string]any{"key_ops": []string{"verify"}}), anyRSA},
		{"members nobody knows", members(r, map[string]any{"x5c": []string{"x"}, "x": 1}), ""}, // x is of another type
		{"a member nobody knows", members(r, map[string]any{"x5c": 7, "custom": 1}), anyRSA},

		{"for encryption", members(r, map[string]any{"use": "enc"}), ""},
		{"for signing only", members(r, map[string]any{"key_ops": []string{"sign"}}), ""},
		{"for nothing", members(r, map[string]any{"key_ops": []string{}}), ""},
		{"RSA for PS256", members(r, map[string]any{"alg": "PS256"}), "PS256"},
		{"RSA for HS256", members(r, map[string]any{"alg": "HS256"}), ""},
		{"EC for RS256", members(e, map[string]any{"alg": "RS256"}), ""},
		{"P-384", members(public("k", ecKey384), nil), "ES384"},
		{"P-384 for ES256", members(public("k", ecKey384), map[string]any{"alg": "ES256"}), ""},
		{"padding", members(r, map[string]any{"e": "AQAB==", "n": base64.URLEncoding.EncodeToString(rsaKey.N.Bytes())}),
			anyRSA},
		{"the standard alphabet", members(r, map[string]any{"n": base64.StdEncoding.EncodeToString(rsaKey.N.Bytes())}),
			anyRSA},
		{"P-384 that says P-256", members(public("k", ecKey384), map[string]any{"crv": "P-256"}), ""},
		{"secp256k1", members(e, map[string]any{"crv": "secp256k1"}), ""},
		{"X25519", members(d, map[string]any{"crv": "X25519"}), ""},
		{"a point that is not on the curve", members(e,
			map[string]any{"y": base64.RawURLEncoding.EncodeToString(make([]byte, 32))}), ""},
		{"the point at infinity", members(e, map[string]any{"x": "", "y": ""}), ""},
		{"Ed25519, too short", members(d, map[string]any{"x": "AAAA"}), ""},
		{"Ed25519, all zeros", members(d, map[string]any{"x": ed25519Key("\x00")}), ""},
		{"Ed25519, the neutral element", members(d, map[string]any{"x": ed25519Key("\x01")}), ""},
		{"Ed25519, the neutral element with another sign", members(d, map[string]any{"x": ed25519Key("\x01", 0x80)}), ""},
		{"RSA, 1024 bits", members(small, nil), ""},
		{"RSA, more than 8192 bits", members(large, nil), ""},
		{"RSA, exponent 1", members(r, map[string]any{"e": "AQ"}), ""},
		{"RSA, even exponent", members(r, map[string]any{"e": "AQAA"}), ""},
		{"RSA, exponent 3", members(r, map[string]any{"e": "Aw"}), anyRSA},
		{"RSA, exponent 17", members(r, map[string]any{"e": "EQ"}), anyRSA},
		{"RSA, exponent 37", members(r, map[string]any{"e": "JQ"}), anyRSA},
		{"RSA, exponent 2^31-1", members(r, map[string]any{"e": "f____w"}), ""},
		{"RSA, huge exponent", members(r, map[string]any{"e": "AQAAAAE"}), ""},
		{"RSA, no exponent", members(r, map[string]any{"e": ""}), ""},
		{"RSA, even modulus", members(r, map[string]any{"n": base64.RawURLEncoding.EncodeToString(new(big.Int).Sub(rsaKey.N,
			big.NewInt(1)).Bytes())}), ""},
		{"a private key", members(jose.JSONWebKey{Key: edKey}, nil), ""},
		{"a shared secret", members(jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef")}, nil), ""},
		{"no type", members(r, map[string]any{"kty": ""}), ""},
		{"null", "null", ""},
		{"a number", "7", ""},
	} {
		algs, err := auth.ParseJWKS([]byte(`{"keys":[` + c.key + `]}`))
		if got := strings.Join(algs, " "); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
		// One bad key does not spoil the others.
		algs, err = auth.ParseJWKS([]byte(`{"keys":[` + c.key + `,` + members(e, nil) + `]}`))
		if err != nil || !slices.Contains(algs, "ES256") {
			t.Errorf("%s, and a good one: %q, %v", c.name, algs, err)
		}
	}
	for _, text := range []string{"", "null", "[]", `{"keys":{}}`, `{"keys":null}`, `{}`,
		`{"keys":[` + strings.Repeat(members(e, nil)+`,`, 100) + members(e, nil) + `]}`} {
		if algs, err := auth.ParseJWKS([]byte(text)); err == nil {
			t.Errorf("%.20s: %v", text, algs)
		}
	}
}

// ed25519Key is a key of 32 bytes that begins and ends so.
func ed25519Key(begin string, end ...byte) string {
	p := make([]byte, 32)
	copy(p, begin)
	copy(p[32-len(end):], end)
	return base64.RawURLEncoding.EncodeToString(p)
}

// With a key of a small order, anybody can sign.
func TestEd25519OfSmallOrder(t *testing.T) {
	signature := append([]byte{1}, make([]byte, 63)...) // R is the neutral element, and S is 0
	for i, point := range auth.SmallOrder {
		for sign := range 2 {
			x := []byte(point)
			x[31] |= byte(sign << 7)
			forged := false // of 100 messages, about one in the order of the point
			for n := range 100 {
				forged = forged || ed25519.Verify(x, []byte{byte(n)}, signature)
			}
			text, err := json.Marshal(map[string]string{"kty": "OKP", "crv": "Ed25519",
				"x": base64.RawURLEncoding.EncodeToString(x)})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := auth.ParseJWKS([]byte(`{"keys":[` + string(text) + `]}`)); err == nil {
				t.Errorf("point %d, sign %d: taken", i, sign)
			}
			if sign == 0 && !forged {
				t.Errorf("point %d is not of a small order", i)
			}
		}
	}
}

func TestDiscovery(t *testing.T) {
	for _, c := range []struct {
		text   string
		issuer string
		ok     bool
	}{
		{`{"issuer":"https://a","jwks_uri":"https://b/keys"}`, "https://a", true},
		{`{"issuer":"https://a/","jwks_uri":"https://b/keys"}`, "https://a/", true},
		{`{"issuer":"http://127.0.0.1","jwks_uri":"http://127.0.0.1/keys"}`, "http://127.0.0.1", true},
		{`{"issuer":"https://a/","jwks_uri":"https://b/keys"}`, "https://a", false},
		{`{"issuer":"https://a","jwks_uri":"http://127.0.0.1/keys"}`, "https://a", false},
		{`{"issuer":"http://127.0.0.1","jwks_uri":"http://b/keys"}`, "http://127.0.0.1", false},
		{`{"issuer":"https://a"}`, "https://a", false},
		{`{"jwks_uri":"https://b/keys"}`, "https://a", false},
		{`{"issuer":"https://a","jwks_uri":"/keys"}`, "https://a", false},
		{`{"issuer":"https://a","jwks_uri":"file:///keys"}`, "https://a", false},
		{`{"issuer":7}`, "https://a", false},
		{``, "https://a", false},
	} {
		if url, err := auth.ParseDiscovery([]byte(c.text), c.issuer); (err == nil) != c.ok {
			t.Errorf("%s: %q, %v", c.text, url, err)
		}
	}
}
