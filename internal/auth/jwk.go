package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
)

// Bounds of a JWKS. A verification with a 16384-bit key would take the CPU time that a Worker has
// for a whole request.
const (
	maxSigningKeys = 100
	minRSA         = 2048 // bits (security check 11; NIST SP 800-131A)
	maxRSA         = 8192
)

// A signingKey is one that a provider signs with. It is bound to one algorithm (RFC 8725, section
// 3.1).
type signingKey struct {
	kid    string // empty: the provider does not name it
	alg    string
	public any // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey, as alg has it
}

// A jwk is one key of a set, as far as it is read (RFC 7517, section 4; RFC 7518, section 6; RFC
// 8037, section 2).
type jwk struct {
	Kty    string   `json:"kty"`
	Kid    string   `json:"kid"`
	Use    string   `json:"use"`
	KeyOps []string `json:"key_ops"`
	Alg    string   `json:"alg"`
	Crv    string   `json:"crv"`
	N      string   `json:"n"`
	E      string   `json:"e"`
	X      string   `json:"x"`
	Y      string   `json:"y"`
	D      string   `json:"d"`
}

// parseJWKS reads a set. Keys that cannot be used are passed over, as RFC 7517, section 5, wants
// it; a set without any that can is an error, so that a provider's error page does not take the
// place of its keys.
func parseJWKS(p []byte) ([]*signingKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(p, &set); err != nil {
		return nil, errors.New("the keys are not a JWKS")
	}
	if len(set.Keys) > maxSigningKeys {
		return nil, errors.New("the JWKS has more than 100 keys")
	}
	var keys []*signingKey
	for _, raw := range set.Keys {
		var j jwk
		if json.Unmarshal(raw, &j) != nil {
			continue
		}
		if k := j.key(); k != nil {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the JWKS has no key that can be used (RS256 from 2048 bits, ES256, EdDSA with Ed25519)")
	}
	return keys, nil
}

// key is the key, or nil where it is of no use here. The type decides the algorithm, and alg, where
// there is one, has to agree. A key whose private half is published is anybody's.
func (j *jwk) key() *signingKey {
	if j.D != "" || j.Use != "" && j.Use != "sig" || j.KeyOps != nil && !slices.Contains(j.KeyOps, "verify") {
		return nil
	}
	k := &signingKey{kid: j.Kid}
	switch {
	case j.Kty == "RSA" && (j.Alg == "" || j.Alg == "RS256"):
		k.alg, k.public = "RS256", j.rsa()
	case j.Kty == "EC" && j.Crv == "P-256" && (j.Alg == "" || j.Alg == "ES256"):
		k.alg, k.public = "ES256", j.ec()
	case j.Kty == "OKP" && j.Crv == "Ed25519" && (j.Alg == "" || j.Alg == "EdDSA" || j.Alg == "Ed25519"): // RFC 9864
		k.alg, k.public = "EdDSA", j.ed25519()
	}
	if k.public == nil {
		return nil
	}
	return k
}

func (j *jwk) rsa() any {
	n, e := number(j.N), number(j.E)
	if n == nil || e == nil || n.BitLen() < minRSA || n.BitLen() > maxRSA || n.Bit(0) == 0 {
		return nil
	}
	if !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 || e.Bit(0) == 0 {
		return nil
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}
}

func (j *jwk) ec() any {
	x, errX := base64.RawURLEncoding.DecodeString(j.X)
	y, errY := base64.RawURLEncoding.DecodeString(j.Y)
	if errX != nil || errY != nil || len(x) != 32 || len(y) != 32 {
		return nil
	}
	// It refuses points that are not on the curve.
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil
	}
	return public
}

func (j *jwk) ed25519() any {
	x, err := base64.RawURLEncoding.DecodeString(j.X)
	if err != nil || len(x) != ed25519.PublicKeySize {
		return nil
	}
	return ed25519.PublicKey(x)
}

func number(text string) *big.Int {
	p, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(p) == 0 || len(p) > maxRSA/8+1 {
		return nil
	}
	return new(big.Int).SetBytes(p)
}
