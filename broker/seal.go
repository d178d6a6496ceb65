package broker

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// A sealed value is
//
//	version 1 byte | expiry 8 bytes, Unix nanoseconds | AES-256-GCM: nonce 12 bytes, ciphertext, tag 16 bytes
//
// The first nine bytes and the store's key are the associated data, so a value is good under its
// own key and for its own time only. The plaintext is
//
//	exchanged 8 bytes, Unix nanoseconds | length of the type, 1 byte | type | token
//
// The AEAD's key comes from the host's secret and the app's identity by HKDF-SHA256. Nonces are
// random. With GCM's 96 bits, 2³² values under one key are safe (NIST SP 800-38D section 8.3): a
// hundred a second for over a year.
const (
	sealVersion  = 1
	sealHead     = 1 + 8
	sealOverhead = sealHead + 12 + 16
	maxSealed    = 64 << 10
	minSecret    = 16
)

// A sealer seals one app's values and hashes their keys in the store.
type sealer struct {
	aead    cipher.AEAD
	hashKey []byte // without it, sessions could be guessed from the store's keys
}

// newSealer returns nil if the secret is missing or too short.
func newSealer(secret []byte, identity string) *sealer {
	if len(secret) < minSecret {
		return nil
	}
	derive := func(use string) []byte {
		return must(hkdf.Key(sha256.New, secret, nil, "coze-token store 1 "+use+" "+identity, 32))
	}
	block := must(aes.NewCipher(derive("seal")))
	return &sealer{must(cipher.NewGCMWithRandomNonce(block)), derive("name")}
}

// must is for errors that only wrong lengths cause.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// key is a cache key as the store sees it: 43 letters, digits, - and _.
func (s *sealer) key(k key) string {
	mac := hmac.New(sha256.New, s.hashKey)
	mac.Write(binary.BigEndian.AppendUint32(appendPart(nil, k.session), uint32(k.seconds)))
	mac.Write([]byte(k.quota))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (s *sealer) seal(storeKey string, h held) []byte {
	kind := h.kind[:min(len(h.kind), 255)]
	plain := binary.BigEndian.AppendUint64(nil, uint64(h.issued))
	plain = append(plain, byte(len(kind)))
	plain = append(plain, kind...)
	plain = append(plain, h.access...)
	head := make([]byte, sealHead, sealOverhead+len(plain))
	head[0] = sealVersion
	binary.BigEndian.PutUint64(head[1:], uint64(h.expiry))
	return s.aead.Seal(head, nil, plain, append(head[:sealHead:sealHead], storeKey...))
}

var errSealed = errors.New("a value does not open: it was changed, or is another request's, app's or secret's")

// open undoes seal. It does not look at the clock.
func (s *sealer) open(storeKey string, value []byte) (held, error) {
	if len(value) < sealOverhead || len(value) > maxSealed || value[0] != sealVersion {
		return held{}, errSealed
	}
	head := value[:sealHead:sealHead]
	plain, err := s.aead.Open(nil, nil, value[sealHead:], append(head, storeKey...))
	if err != nil || len(plain) < 9 {
		return held{}, errSealed
	}
	h := held{
		expiry: int64(binary.BigEndian.Uint64(head[1:])),
		issued: int64(binary.BigEndian.Uint64(plain)),
	}
	n, rest := int(plain[8]), plain[9:]
	if len(rest) <= n || h.issued >= h.expiry {
		return held{}, errSealed
	}
	h.kind, h.access = string(rest[:n]), string(rest[n:])
	return h, nil
}

// KeySecret makes a secret for [Options.Secret] of an RSA private key. It is the same for all forms
// of the key's file. A signer whose key cannot be read may have the method Secret() []byte, which
// returns the secret then. Without either, KeySecret returns nil.
func KeySecret(signer crypto.Signer) []byte {
	switch s := signer.(type) {
	case interface{ Secret() []byte }:
		return s.Secret()
	case *rsa.PrivateKey:
		if s != nil && s.D != nil {
			sum := sha256.Sum256(append([]byte("coze-token key secret 1 "), s.D.Bytes()...))
			return sum[:]
		}
	}
	return nil
}
