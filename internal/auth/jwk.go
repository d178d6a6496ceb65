package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"slices"
	"strings"

	"coze-token/internal/message"
)

// Bounds of a JWKS. A verification with a 16384-bit key would take the CPU time that a Worker has
// for a whole request.
const (
	maxSigningKeys = 100
	minRSA         = 2048 // bits (security check 11; NIST SP 800-131A)
	maxRSA         = 8192
)

// algorithms are those that tokens may be signed with, by the keys that can: asymmetric ones only
// (RFC 8725 section 3.1).
var algorithms = slices.Concat(rsaAlgorithms, []string{"ES256", "ES384", "ES512", "EdDSA"})

var rsaAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}

// exponents are those that WebCrypto on Workers takes in RSA keys. Providers use the last one. The
// native server takes no others, so that a login works on both hosts or on neither.
var exponents = []int64{3, 17, 37, 65537}

// A signingKey is one that a provider signs with. It is bound to the algorithm that the provider
// says, or to those of its type (RFC 8725 section 3.1).
type signingKey struct {
	kid    string // empty: the provider does not name it
	algs   []string
	public publicKey
	verify verifier
}

// A publicKey holds the members of a JWK that verify signatures (RFC 7518 section 6, RFC 8037
// section 2), as bytes without leading zeros in RSA's and of the curve's length in the others'.
type publicKey struct {
	kty, crv   string
	n, e, x, y []byte
}

// A verifier reports whether a signature is one of the message, with one of the key's algorithms. An
// error means that it could not be found out.
type verifier func(ctx context.Context, alg string, message, signature []byte) (bool, error)

// signs reports whether the key has signed the message. Signatures of another length than the
// algorithm's are none, whatever verifies them (RFC 7518 sections 3.3 to 3.5, RFC 8037 section
// 3.1).
func (k *signingKey) signs(ctx context.Context, alg string, message, signature []byte) (bool, error) {
	size := len(k.public.n)
	switch k.public.kty {
	case "EC":
		size = 2 * len(k.public.x)
	case "OKP":
		size = 64
	}
	if !slices.Contains(k.algs, alg) || len(signature) != size {
		return false, nil
	}
	return k.verify(ctx, alg, message, signature)
}

// A jwk is one key of a set, as far as it is read (RFC 7517 section 4; RFC 7518 section 6; RFC 8037
// section 2).
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

// parseJWKS reads a set. Keys that cannot be used are passed over, as RFC 7517 section 5 wants it,
// and dropped says why. A set without any that can is an error: a provider's error page must not
// take the place of its keys.
func parseJWKS(p []byte) (keys []*signingKey, dropped []message.Text, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(p, &set); err != nil {
		return nil, nil, message.New("the keys are not a JWKS")
	}
	if len(set.Keys) > maxSigningKeys {
		return nil, nil, message.New("the JWKS has more than 100 keys")
	}
	for i, raw := range set.Keys {
		var j jwk
		var k *signingKey
		err := json.Unmarshal(raw, &j)
		if err == nil {
			k, err = j.key()
		} else {
			err = message.New("it is not a JWK")
		}
		if err != nil {
			dropped = append(dropped, message.New("key %d of %d: %s", i+1, len(set.Keys), err))
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		none := message.New("the JWKS has no key that can be used")
		return nil, dropped, message.New("%s", message.Join(append([]message.Text{none}, dropped...), "; "))
	}
	return keys, dropped, nil
}

// key is the key, or why it is of no use. The type decides the algorithms, and alg, if there is
// one, has to be one of them. A key whose private half is published is anybody's.
func (j *jwk) key() (*signingKey, error) {
	switch {
	case j.D != "":
		return nil, message.New("its private half is published")
	case j.Use != "" && j.Use != "sig":
		return nil, message.New("it is not for signatures (use)")
	case j.KeyOps != nil && !slices.Contains(j.KeyOps, "verify"):
		return nil, message.New("it is not for verifying (key_ops)")
	}
	k := &signingKey{kid: j.Kid}
	var err error
	switch j.Kty {
	case "RSA":
		k.algs = rsaAlgorithms
		k.public, err = j.rsa()
	case "EC":
		k.public, err = j.ec(k)
	case "OKP":
		k.algs = []string{"EdDSA"}
		k.public, err = j.ed25519()
		if j.Alg == "Ed25519" { // RFC 9864
			j.Alg = "EdDSA"
		}
	default:
		err = message.New("its type (kty) is none of RSA, EC and OKP")
	}
	if err == nil {
		k.verify, err = newVerifier(k.public)
	}
	if err != nil {
		return nil, err
	}
	if j.Alg != "" {
		if !slices.Contains(k.algs, j.Alg) {
			return nil, message.New("its algorithm (alg) is none that is taken with its type")
		}
		k.algs = []string{j.Alg}
	}
	return k, nil
}

func (j *jwk) rsa() (publicKey, error) {
	n, e := number(j.N), number(j.E)
	switch {
	case n == nil || e == nil || n.Bit(0) == 0:
		return publicKey{}, message.New("its numbers (n, e) are none of an RSA key")
	case n.BitLen() < minRSA || n.BitLen() > maxRSA:
		return publicKey{}, message.New("it has %d bits, and %d to %d are taken", n.BitLen(), minRSA, maxRSA)
	case !e.IsInt64() || !slices.Contains(exponents, e.Int64()):
		return publicKey{}, message.New("its exponent (e) is none of 3, 17, 37 and 65537")
	}
	return publicKey{kty: "RSA", n: n.Bytes(), e: e.Bytes()}, nil
}

var errPoint error = message.New("its point (x, y) is not of its curve")

func (j *jwk) ec(k *signingKey) (publicKey, error) {
	size := 0
	switch j.Crv {
	case "P-256":
		size, k.algs = 32, []string{"ES256"}
	case "P-384":
		size, k.algs = 48, []string{"ES384"}
	case "P-521":
		size, k.algs = 66, []string{"ES512"}
	default:
		return publicKey{}, message.New("its curve (crv) is none of P-256, P-384 and P-521")
	}
	x, y := decode(j.X), decode(j.Y)
	if len(x) != size || len(y) != size {
		return publicKey{}, errPoint
	}
	return publicKey{kty: "EC", crv: j.Crv, x: x, y: y}, nil
}

// smallOrder are the points of Ed25519's curve whose order is 8 or less, in all their forms and
// without the bit of the sign. For a key of these, a signature holds for every message or for one in
// eight, so anybody can sign. All zeros is one, as in a key that somebody forgot to fill in.
var smallOrder = []string{
	strings.Repeat("\x00", 32),
	"\x01" + strings.Repeat("\x00", 31),
	"\xec" + strings.Repeat("\xff", 30) + "\x7f",
	"\xed" + strings.Repeat("\xff", 30) + "\x7f",
	"\xee" + strings.Repeat("\xff", 30) + "\x7f",
	"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0" +
		"\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
	"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f" +
		"\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a",
}

func (j *jwk) ed25519() (publicKey, error) {
	x := decode(j.X)
	if j.Crv != "Ed25519" || len(x) != 32 {
		return publicKey{}, message.New("it is not an Ed25519 key")
	}
	unsigned := slices.Clone(x)
	unsigned[31] &= 0x7f
	if slices.Contains(smallOrder, string(unsigned)) {
		return publicKey{}, message.New("it is not an Ed25519 key")
	}
	return publicKey{kty: "OKP", crv: j.Crv, x: x}, nil
}

func number(text string) *big.Int {
	p := decode(text)
	if len(p) == 0 || len(p) > maxRSA/4 {
		return nil
	}
	return new(big.Int).SetBytes(p)
}

// decode reads base64url as providers write it: with padding too, and in the standard alphabet. It
// is nil for anything else.
func decode(text string) []byte {
	text = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "="))
	p, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return p
}
