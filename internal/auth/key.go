package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
)

// KeyPrefix begins the keys that [NewKey] makes: a leaked one is recognised, by people and by scanners, and a Bearer
// credential that begins so is never taken for a JWT.
const KeyPrefix = "ctk_"

// NewKey makes an API key with 260 random bits. It has no characters but letters, digits and the underscore, so that it
// survives every shell and file.
func NewKey() string { return KeyPrefix + rand.Text() + rand.Text() }

// HashKey is what API_KEYS may hold in place of the key: "sha256:" and the hash in hexadecimal. A plain SHA-256 is
// enough for keys: unlike passwords they are random, so there is nothing to guess.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hashPrefix + hex.EncodeToString(sum[:])
}

const hashPrefix = "sha256:"

// Keys are the API keys of a service, or of an app. Only their hashes are kept.
type Keys struct {
	redacted
	keys []key
}

type key struct {
	name    string
	sum     [sha256.Size]byte
	apps    []string
	origins []string
}

// Len is how many keys there are.
func (k *Keys) Len() int { return len(k.keys) }

// Callers are who asks with the keys, each with what it is limited to.
func (k *Keys) Callers() []Caller {
	callers := make([]Caller, len(k.keys))
	for i := range k.keys {
		callers[i] = k.keys[i].caller()
	}
	return callers
}

// find looks a credential up. It compares with every key, in constant time and to the end, so that its duration
// depends neither on which key matches nor on whether one does (security check 9).
func (k *Keys) find(credential string) (found *key) {
	sum := sha256.Sum256([]byte(credential))
	at := -1
	for i := range k.keys {
		at = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], k.keys[i].sum[:]), i, at)
	}
	if at < 0 {
		return nil
	}
	return &k.keys[at]
}

// caller is who asks with the key.
func (k *key) caller() Caller {
	return Caller{Mode: ModeKey, Name: k.name, SpeaksFor: true, Apps: k.apps, Origins: k.origins}
}
