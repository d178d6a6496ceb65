package worker

import (
	"bytes"
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
	secret []byte

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
	if key.Precomputed.Dp == nil {
		return nil, errors.New("worker: the numbers of the RSA key do not belong together")
	}
	// Written by hand, because reflection is slow in a program that has just started. The members need no escaping.
	var jwk bytes.Buffer
	jwk.WriteString(`{"kty":"RSA","alg":"RS256"`)
	for _, member := range []struct {
		name string
		n    *big.Int
	}{
		{"n", key.N}, {"e", big.NewInt(int64(key.E))}, {"d", key.D}, {"p", key.Primes[0]}, {"q", key.Primes[1]},
		{"dp", key.Precomputed.Dp}, {"dq", key.Precomputed.Dq}, {"qi", key.Precomputed.Qinv},
	} {
		jwk.WriteString(`,"` + member.name + `":"` + base64.RawURLEncoding.EncodeToString(member.n.Bytes()) + `"`)
	}
	jwk.WriteString("}")
	secret, err := hkdf.Key(sha256.New, key.D.Bytes(), nil, "worker signer secret 1", sha256.Size)
	if err != nil {
		return nil, err
	}
	return &Signer{jwk: jwk.Bytes(), public: key.Public(), secret: secret, turn: make(chan struct{}, 1)}, nil
}

// Secret returns 32 bytes that are derived from the key (HKDF-SHA256) and the same wherever the same key is
// given to NewSigner: what is sealed under it can be opened by whoever has the key, and nothing about the key can be
// learnt from it. It exists because the key itself is gone after the first signature. Deriving draws nothing
// random, so that it may happen while the Worker starts.
func (s *Signer) Secret() []byte { return s.secret }

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
	// There is no context to be had, and what takes a millisecond must not be waited for until the platform ends the request.
	ctx, cancel := context.WithTimeout(context.Background(), signTimeout)
	defer cancel()
	return s.sign(ctx, msg)
}

// signTimeout bounds SignMessage, the import of the key included.
const signTimeout = 5 * time.Second

// sign signs, unless ctx ends first.
func (s *Signer) sign(ctx context.Context, msg []byte) ([]byte, error) {
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
