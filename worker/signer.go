package worker

import (
	"context"
	"crypto"
	"crypto/hkdf"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"
)

// A Signer signs with WebCrypto: RSASSA-PKCS1-v1_5 with SHA-256. It needs a tenth of the time of
// Go's own arithmetic in WebAssembly. It is safe for use by many goroutines.
//
// It is a crypto.MessageSigner: WebCrypto hashes by itself, so SignMessage works and Sign with a
// digest always fails. crypto.SignMessage calls the right one.
//
// The key is imported at the first signature after the warm-up, once per instance, as non-extractable:
// JavaScript can sign with it and cannot read it.
type Signer struct {
	public PublicKey
	secret []byte

	importing chan struct{} // holds a value while a goroutine uses the fields below
	jwk       []byte        // nil after the import
	handle    uint32        // JavaScript's name for the key; 0 before the import
}

// An RSAKey holds the numbers of an RSA private key of two primes, by their names in RFC 7518 section
// 6.3, as unsigned big-endian bytes.
type RSAKey struct{ N, E, D, P, Q, DP, DQ, QI []byte }

// NewSigner makes a signer of a key with two primes. It links crypto/rsa's own arithmetic, which
// [NewSignerOf] does not.
func NewSigner(key *rsa.PrivateKey) (*Signer, error) {
	if len(key.Primes) != 2 {
		return nil, errors.New("worker: WebCrypto needs an RSA key of two primes")
	}
	key.Precompute()
	if key.Precomputed.Dp == nil {
		return nil, errors.New("worker: the numbers of the RSA key do not belong together")
	}
	return NewSignerOf(RSAKey{
		key.N.Bytes(), big.NewInt(int64(key.E)).Bytes(), key.D.Bytes(), key.Primes[0].Bytes(), key.Primes[1].Bytes(),
		key.Precomputed.Dp.Bytes(), key.Precomputed.Dq.Bytes(), key.Precomputed.Qinv.Bytes(),
	})
}

// NewSignerOf makes a signer of a key's numbers, which have to belong together. The key crosses the
// bridge as a JSON Web Key (RFC 7517).
func NewSignerOf(key RSAKey) (*Signer, error) {
	// Written by hand, because reflection is slow in a program that has just started.
	jwk := []byte(`{"kty":"RSA","alg":"RS256"`)
	for i, n := range [][]byte{key.N, key.E, key.D, key.P, key.Q, key.DP, key.DQ, key.QI} {
		jwk = append(jwk, `,"`+[]string{"n", "e", "d", "p", "q", "dp", "dq", "qi"}[i]+`":"`...)
		jwk = append(base64.RawURLEncoding.AppendEncode(jwk, n), '"')
	}
	secret, err := hkdf.Key(sha256.New, key.D, nil, "worker signer secret 1", sha256.Size)
	if err != nil {
		return nil, err
	}
	return &Signer{
		public:    PublicKey{key.N, key.E},
		secret:    secret,
		importing: make(chan struct{}, 1),
		jwk:       append(jwk, '}'),
	}, nil
}

// Secret returns 32 bytes that are derived from the key (HKDF-SHA256), the same for each signer of
// the same key, to seal values with: the key itself is gone after the first signature. It says
// nothing about the key. It can be called before the first request.
func (s *Signer) Secret() []byte { return s.secret }

// A PublicKey is the public half of a [Signer]'s key. A *rsa.PublicKey in an interface would keep all
// of math/big in the module.
type PublicKey struct{ n, e []byte }

// Numbers returns the modulus and the exponent, as unsigned big-endian bytes.
func (k PublicKey) Numbers() (n, e []byte) { return k.n, k.e }

// Public returns the public half of the key, a [PublicKey].
func (s *Signer) Public() crypto.PublicKey { return s.public }

// Sign always fails: see [Signer].
func (s *Signer) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("worker: WebCrypto signs messages, not digests: use SignMessage")
}

// signTimeout bounds SignMessage, which has no context. It includes the import of the key.
const signTimeout = 5 * time.Second

// SignMessage signs msg, within 5 seconds. opts must be crypto.SHA256. The reader is not used,
// because this signature is deterministic.
func (s *Signer) SignMessage(_ io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts == nil || opts != crypto.SignerOpts(crypto.SHA256) {
		return nil, errors.New("worker: only PKCS #1 v1.5 with SHA-256")
	}
	ctx, cancel := context.WithTimeout(context.Background(), signTimeout)
	defer cancel()
	handle, err := s.imported(ctx)
	if err != nil {
		return nil, err
	}
	sig, err := theBridge().perform(ctx, kindSign, append(uint32Payload(handle), msg...))
	if err != nil {
		return nil, fmt.Errorf("worker: sign: %w", err)
	}
	return sig, nil
}

// imported returns the key's handle. One goroutine imports the key while others wait. After a
// failure the next one tries again.
func (s *Signer) imported(ctx context.Context) (uint32, error) {
	select {
	case s.importing <- struct{}{}:
		defer func() { <-s.importing }()
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
	if warmingUp { // the handle is made up
		return binary.LittleEndian.Uint32(p), nil
	}
	s.handle = binary.LittleEndian.Uint32(p)
	clear(s.jwk)
	s.jwk = nil
	return s.handle, nil
}
