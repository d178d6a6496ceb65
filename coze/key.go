package coze

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"

	"coze-token/internal/rsakey"
)

// A Key is one of an app's key pairs. It prints as its id and fingerprint, never as its private
// half.
type Key struct {
	// ID is the public key's fingerprint as Coze's console shows it, the assertion's kid.
	ID string
	// Signer holds the private half: an *rsa.PrivateKey, a key in a hardware module, or a
	// [crypto.MessageSigner] where the host can only sign whole messages.
	Signer crypto.Signer
}

// public is the public half. It is nil if there is no key: Public panics for a nil *rsa.PrivateKey.
func (k Key) public() crypto.PublicKey {
	if private, ok := k.Signer.(*rsa.PrivateKey); k.Signer == nil || ok && private == nil {
		return nil
	}
	return k.Signer.Public()
}

// String, Format and MarshalText keep the private half out of prints, logs and JSON.
func (k Key) String() string {
	if public := k.public(); public != nil {
		return k.ID + " " + Fingerprint(public)
	}
	return k.ID
}
func (k Key) Format(s fmt.State, verb rune) { fmt.Fprint(s, k.String()) }
func (k Key) MarshalText() ([]byte, error)  { return []byte(k.String()), nil }

// Fingerprint is the SHA-256 of an RSA key's public half in DER (SubjectPublicKeyInfo), which tells
// keys apart in logs. It is not Coze's kid, whose algorithm is not published.
func Fingerprint(public crypto.PublicKey) string {
	n, e := numbers(public)
	if n == nil {
		return "unknown"
	}
	sum := sha256.Sum256(rsakey.PublicDER(n, e))
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// numbers returns the modulus and the exponent of an RSA key, or nothing for any other key. A host's
// own key may have a method of that name in the place of crypto/rsa.
func numbers(public crypto.PublicKey) (n, e []byte) {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if key != nil && key.N != nil {
			return key.N.Bytes(), big.NewInt(int64(key.E)).Bytes()
		}
	case interface{ Numbers() (n, e []byte) }:
		return key.Numbers()
	}
	return nil, nil
}

// ParseKey reads an RSA private key from what people paste into a setting: PEM in PKCS#8 (what
// Coze's console makes) or PKCS#1 (what older openssl makes), with real line ends, CRLF, literal
// \n, on a single line, in quotes, or as the base64 of all that. It may stand among other PEM
// blocks, such as certificates. The error is a [fault.Fault] without a setting and never quotes the
// text.
func ParseKey(text string) (*rsa.PrivateKey, error) {
	k, err := rsakey.Parse(text)
	if err != nil {
		return nil, err
	}
	number := func(p []byte) *big.Int { return new(big.Int).SetBytes(p) }
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: number(k.N), E: int(number(k.E).Int64())},
		D:         number(k.D),
		Primes:    []*big.Int{number(k.P), number(k.Q)},
	}
	key.Precompute()
	if key.Validate() != nil { // its words are kept out: some describe the key's numbers
		return nil, rsakey.Damaged()
	}
	return key, nil
}
