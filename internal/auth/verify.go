//go:build !wasip1

package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes
	_ "crypto/sha512"
	"math/big"
	"slices"
)

// newVerifier returns what verifies with the key. The error says why the key is of no use.
func newVerifier(k publicKey) (verifier, error) {
	number := func(p []byte) *big.Int { return new(big.Int).SetBytes(p) }
	switch k.kty {
	case "RSA":
		key := &rsa.PublicKey{N: number(k.n), E: int(number(k.e).Int64())}
		return func(_ context.Context, alg string, message, signature []byte) (bool, error) {
			hash, digest := digest(alg, message)
			if alg[0] == 'P' {
				pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash} // RFC 7518 section 3.5
				return rsa.VerifyPSS(key, hash, digest, signature, pss) == nil, nil
			}
			return rsa.VerifyPKCS1v15(key, hash, digest, signature) == nil, nil
		}, nil
	case "EC":
		curve := map[string]elliptic.Curve{
			"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521(),
		}[k.crv]
		key, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, k.x, k.y))
		if err != nil {
			return nil, errPoint
		}
		return func(_ context.Context, alg string, message, signature []byte) (bool, error) {
			_, digest := digest(alg, message)
			r, s := signature[:len(k.x)], signature[len(k.x):]
			return ecdsa.Verify(key, digest, number(r), number(s)), nil
		}, nil
	default:
		return func(_ context.Context, _ string, message, signature []byte) (bool, error) {
			return ed25519.Verify(k.x, message, signature), nil
		}, nil
	}
}

// digest hashes a message as the algorithm wants it, which ends in the hash's number of bits.
func digest(alg string, message []byte) (crypto.Hash, []byte) {
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[alg[2:]]
	h := hash.New()
	h.Write(message)
	return hash, h.Sum(nil)
}
