package auth

import (
	"context"
	"encoding/base64"

	"coze-token/worker"
)

// newVerifier returns what verifies with the key: WebCrypto. crypto/ecdsa, crypto/ed25519 and
// crypto/rsa would make the module 1.3 MB larger, and verify slowly. Whether a point is on its curve
// is seen when the key is used.
func newVerifier(k publicKey) (verifier, error) {
	jwk := `{"kty":"` + k.kty + `"`
	member := func(name, value string) {
		if value != "" {
			jwk += `,"` + name + `":"` + value + `"`
		}
	}
	member("crv", k.crv)
	member("n", base64.RawURLEncoding.EncodeToString(k.n))
	member("e", base64.RawURLEncoding.EncodeToString(k.e))
	member("x", base64.RawURLEncoding.EncodeToString(k.x))
	member("y", base64.RawURLEncoding.EncodeToString(k.y))
	jwk += "}"
	return func(ctx context.Context, alg string, message, signature []byte) (bool, error) {
		return worker.Verify(ctx, alg, jwk, message, signature)
	}, nil
}
