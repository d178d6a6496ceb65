package worker

import (
	"context"
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
)

// A Signer signs with WebCrypto: RSASSA-PKCS1-v1_5 with SHA-256, in a tenth
// of the time that Go's own arithmetic takes in WebAssembly.
//
// It is a crypto.MessageSigner. WebCrypto hashes by itself, so there
// is SignMessage, and Sign with a digest always fails; crypto.SignMessage
// takes the right one.
//
// The key is imported at the first signature, once per instance, as
// non-extractable: JavaScript can sign with it and never read it.
type Signer struct {
	jwk    []byte
	public crypto.PublicKey

	turn   chan struct{} // held while the key is imported
	handle uint32        // JavaScript's name for the key; 0 before the import
}

// NewSigner makes a signer of a key. The key crosses the bridge as a JSON Web Key
// (RFC 7517), because writing one takes nothing: encoding/asn1, which PKCS#8 would take,
// was a fifth of a Worker's start.
func NewSigner(key *rsa.PrivateKey) (*Signer, error) {
	if len(key.Primes) != 2 {
		return nil, errors.New("worker: WebCrypto takes RSA keys of two primes")
	}
	key.Precompute()
	number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	jwk, err := json.Marshal(map[string]string{
		"kty": "RSA",
		"alg": "RS256",
		"n":   number(key.N),
		"e":   number(big.NewInt(int64(key.E))),
		"d":   number(key.D),
		"p":   number(key.Primes[0]),
		"q":   number(key.Primes[1]),
		"dp":  number(key.Precomputed.Dp),
		"dq":  number(key.Precomputed.Dq),
		"qi":  number(key.Precomputed.Qinv),
	})
	if err != nil {
		return nil, err
	}
	return &Signer{jwk: jwk, public: key.Public(), turn: make(chan struct{}, 1)}, nil
}

// Public returns the key that NewSigner was given.
func (s *Signer) Public() crypto.PublicKey { return s.public }

// Sign always fails: see Signer.
func (s *Signer) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("worker: WebCrypto signs messages, not digests: use SignMessage")
}

// SignMessage signs msg. opts must ask for SHA-256 and nothing else (no PSS);
// the reader is not used, as this signature is deterministic.
func (s *Signer) SignMessage(_ io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts == nil || opts != crypto.SignerOpts(crypto.SHA256) {
		return nil, errors.New("worker: only PKCS #1 v1.5 with SHA-256")
	}
	return s.SignContext(context.Background(), msg)
}

// SignContext is SignMessage with a context, which ends the wait and tells
// which request the signature is for.
func (s *Signer) SignContext(ctx context.Context, msg []byte) ([]byte, error) {
	handle, err := s.imported(ctx)
	if err != nil {
		return nil, err
	}
	p := make([]byte, 0, 4+len(msg))
	p = binary.LittleEndian.AppendUint32(p, handle)
	p = append(p, msg...)
	sig, err := theBridge().perform(ctx, kindSign, p)
	if err != nil {
		return nil, fmt.Errorf("worker: sign: %w", err)
	}
	return sig, nil
}

// imported returns the key's handle. One caller imports, the others wait for
// it; after a failure the next one tries again.
func (s *Signer) imported(ctx context.Context) (uint32, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	if s.handle != 0 {
		return s.handle, nil
	}
	p, err := theBridge().perform(ctx, kindImportKey, s.jwk)
	if err != nil {
		return 0, fmt.Errorf("worker: import the signing key: %w", err)
	}
	if len(p) != 4 {
		return 0, errFrame
	}
	s.handle = binary.LittleEndian.Uint32(p)
	clear(s.jwk)
	s.jwk = nil
	return s.handle, nil
}
