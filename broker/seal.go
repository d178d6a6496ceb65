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
// with the first nine bytes and the name as associated data, so that a value is good under its own name and for its own time only.
// The plaintext is
//
//	exchanged 8 bytes, Unix nanoseconds | length of the type, 1 byte | type | token
//
// Keys are derived with HKDF-SHA256 from the host's secret and the app's identity. Nonces are random: with GCM's 96 bits, that holds for
// 2³² values under a key (NIST SP 800-38D section 8.3), a hundred a second for over a year, after which
// two equal ones still have a chance of 2⁻³² only.
const (
	sealVersion  = 1
	sealHead     = 1 + 8
	sealOverhead = sealHead + 12 + 16
	maxSealed    = 64 << 10
	minSecret    = 16
)

// A box seals one app's values and hashes their names.
type box struct {
	aead  cipher.AEAD
	names []byte // the key of the names' hash, without which sessions could be guessed from them
}

// newBox derives an app's keys, and returns nil if there is no secret to derive them from.
func newBox(secret []byte, identity string) *box {
	if len(secret) < minSecret {
		return nil
	}
	derive := func(use string) []byte {
		k, err := hkdf.Key(sha256.New, secret, nil, "coze-token store 1 "+use+" "+identity, 32)
		if err != nil {
			panic(err) // only for lengths that SHA-256 cannot give
		}
		return k
	}
	block, err := aes.NewCipher(derive("seal"))
	if err != nil {
		panic(err) // only for lengths that are no AES key's
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for blocks that are not AES
	}
	return &box{aead, derive("name")}
}

// name is a grant's name in the store: 43 characters, letters, digits, - and _.
func (b *box) name(k key) string {
	mac := hmac.New(sha256.New, b.names)
	mac.Write(binary.BigEndian.AppendUint32(appendPart(nil, k.session), uint32(k.seconds)))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (b *box) seal(name string, h held) []byte {
	kind := h.kind[:min(len(h.kind), 255)]
	plain := binary.BigEndian.AppendUint64(nil, uint64(h.minted))
	plain = append(plain, byte(len(kind)))
	plain = append(plain, kind...)
	plain = append(plain, h.token...)
	head := make([]byte, sealHead, sealOverhead+len(plain))
	head[0] = sealVersion
	binary.BigEndian.PutUint64(head[1:], uint64(h.expiry))
	return b.aead.Seal(head, nil, plain, append(head[:sealHead:sealHead], name...))
}

var errSealed = errors.New("a value does not open: it was changed, or is another grant's, app's or secret's")

// open undoes seal, for the name that the value was found under. It does not look at the clock.
func (b *box) open(name string, value []byte) (held, error) {
	if len(value) < sealOverhead || len(value) > maxSealed || value[0] != sealVersion {
		return held{}, errSealed
	}
	head := value[:sealHead:sealHead]
	plain, err := b.aead.Open(nil, nil, value[sealHead:], append(head, name...))
	if err != nil || len(plain) < 9 {
		return held{}, errSealed
	}
	h := held{
		expiry: int64(binary.BigEndian.Uint64(head[1:])),
		minted: int64(binary.BigEndian.Uint64(plain)),
	}
	n, rest := int(plain[8]), plain[9:]
	if len(rest) <= n || h.minted >= h.expiry {
		return held{}, errSealed
	}
	h.kind, h.token = string(rest[:n]), string(rest[n:])
	return h, nil
}

// KeySecret is the secret for [Options.Secret] that an RSA private key makes, the same for each form of the key's file.
// A signer that keeps its key to itself may have made a secret of it: its method Secret() []byte. It is nil for one that has not.
func KeySecret(signer crypto.Signer) []byte {
	if keeper, ok := signer.(interface{ Secret() []byte }); ok {
		return keeper.Secret()
	}
	key, ok := signer.(*rsa.PrivateKey)
	if !ok || key == nil || key.D == nil {
		return nil
	}
	sum := sha256.Sum256(append([]byte("coze-token key secret 1 "), key.D.Bytes()...))
	return sum[:]
}
