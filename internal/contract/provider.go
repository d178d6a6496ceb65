package contract

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A provider is an OIDC provider on this machine. Its keys are written and its tokens signed by
// go-jose, which the service does not verify with.
type provider struct {
	url string

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	down    bool
	fetches int // of the keys
}

// The keys that providers sign with here.
var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	// forgersKey is nobody's.
	forgersKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	ecKey      = ecKeyOf(elliptic.P256())
	ecKey384   = ecKeyOf(elliptic.P384())
	ecKey521   = ecKeyOf(elliptic.P521())
	edKey      = sync.OnceValue(func() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(must(randomBytes(32))) })
)

func ecKeyOf(curve elliptic.Curve) func() *ecdsa.PrivateKey {
	return sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(curve, rand.Reader)) })
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func randomBytes(n int) ([]byte, error) {
	p := make([]byte, n)
	_, err := rand.Read(p)
	return p, err
}

// newProvider opens a provider with a key for each algorithm.
func newProvider(t *testing.T) *provider {
	p := &provider{keys: []jose.JSONWebKey{
		public("rsa", rsaKey()), public("ec", ecKey()), public("ed", edKey()),
		public("ec384", ecKey384()), public("ec521", ecKey521()),
	}}
	// A key that is none, under the name of a good one, does not spoil it.
	x := ecKey().X
	none := jose.JSONWebKey{Key: &ecdsa.PublicKey{Curve: elliptic.P256(), X: x, Y: x}, KeyID: "ec", Use: "sig"}
	p.keys = slices.Insert(p.keys, 1, none)
	for _, e := range []int{3, 17, 37, 1<<31 - 1} {
		key := jose.JSONWebKey{Key: &rsa.PublicKey{N: rsaKey().N, E: e}, KeyID: fmt.Sprint("e=", e), Use: "sig"}
		p.keys = append(p.keys, key)
	}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func public(kid string, key crypto.Signer) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key.Public(), KeyID: kid, Use: "sig"}
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.URL.Path == "/keys" {
		p.fetches++
	}
	switch {
	case p.down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.URL.Path == "/.well-known/openid-configuration":
		json.NewEncoder(w).Encode(map[string]string{"issuer": p.url, "jwks_uri": p.url + "/keys"})
	case r.URL.Path == "/keys":
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: p.keys})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// set changes the provider.
func (p *provider) set(f func(*provider)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

// fetched is how often the keys were asked for.
func (p *provider) fetched() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

// claims are those of a good token, with changes. A nil takes one out.
func (p *provider) claims(changes map[string]any) map[string]any {
	now := time.Now().Unix()
	c := map[string]any{"iss": p.url, "aud": "web", "sub": "alice@login.example", "iat": now, "exp": now + 600}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// token is a token of the provider's.
func (p *provider) token(changes map[string]any) string {
	return sign(jose.RS256, rsaKey(), "rsa", p.claims(changes), nil)
}

// sign makes a JWT. header adds to the token's header.
func sign(alg jose.SignatureAlgorithm, key any, kid string, claims map[string]any, header map[string]any) string {
	o := (&jose.SignerOptions{}).WithType("JWT")
	if kid != "" {
		o.WithHeader("kid", kid)
	}
	for name, value := range header {
		o.WithHeader(jose.HeaderKey(name), value)
	}
	signer := must(jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, o))
	token := must(must(signer.Sign(must(json.Marshal(claims)))).CompactSerialize())
	return keepSecret("a login's token", token)
}

// unsigned is a JWT with the algorithm none, and whatever is in the signature's place.
func unsigned(claims map[string]any, signature string) string {
	part := func(v any) string { return base64.RawURLEncoding.EncodeToString(must(json.Marshal(v))) }
	return keepSecret("a login's token", part(map[string]string{"alg": "none", "typ": "JWT",
		"kid": "rsa"})+"."+part(claims)+"."+signature)
}

// publicPEM is the RSA key as it is published, which a forger has, too.
func publicPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(rsaKey().Public()))})
}
