package broker

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"coze-token/coze"
)

var sealed = held{access: "czs_secret", kind: "Bearer", expiry: 2e18, issued: 1e18}

func testSealer(secret, app string) *sealer { return newSealer([]byte(secret), app) }

func TestSeal(t *testing.T) {
	a := testSealer("a secret of some length", "app")
	name := a.key(key{session: "anna", seconds: 900})
	value := a.seal(name, sealed)
	if h, err := a.open(name, value); err != nil || h != sealed {
		t.Fatalf("%+v, %v", h, err)
	}
	if bytes.Equal(value, a.seal(name, sealed)) {
		t.Error("the same nonce twice")
	}
	if len(value) != sealOverhead+9+len(sealed.kind)+len(sealed.access) {
		t.Errorf("%d bytes", len(value))
	}
	for i := range value { // each byte counts
		bad := bytes.Clone(value)
		bad[i] ^= 1
		if _, err := a.open(name, bad); err == nil {
			t.Errorf("opens with byte %d changed", i)
		}
	}
	for i := range value {
		if _, err := a.open(name, value[:i]); err == nil {
			t.Errorf("opens when cut to %d bytes", i)
		}
	}
	if _, err := a.open(name, append(bytes.Clone(value), 0)); err == nil {
		t.Error("opens with a byte more")
	}
	if _, err := a.open(a.key(key{session: "ben", seconds: 900}), value); err == nil {
		t.Error("opens under another name")
	}
	for what, other := range map[string]key{
		"quota":  {session: "anna", seconds: 900, quota: "d"},
		"length": {session: "anna", seconds: 901},
	} {
		if a.key(other) == name {
			t.Errorf("the same name with another %s", what)
		}
	}
	for what, other := range map[string]*sealer{
		"app":    testSealer("a secret of some length", "another"),
		"secret": testSealer("another secret of length", "app"),
	} {
		if _, err := other.open(name, value); err == nil {
			t.Errorf("opens with another %s", what)
		}
		if other.key(key{session: "anna", seconds: 900}) == name {
			t.Errorf("the same name with another %s", what)
		}
	}
}

func TestNames(t *testing.T) {
	b := testSealer("a secret of some length", "app")
	seen := map[string]key{}
	for _, k := range []key{
		{}, {session: "a"}, {session: "a", seconds: 1}, {session: "a\x00", seconds: 1}, {session: "a", seconds: 256},
		{session: "\x01a"},
	} {
		name := b.key(k)
		if other, ok := seen[name]; ok || len(name) != 43 {
			t.Errorf("%q for %+v and %+v", name, k, other)
		}
		seen[name] = k
	}
}

func TestKeySecret(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, _ := x509.MarshalPKCS8PrivateKey(private)
	for _, block := range []*pem.Block{
		{Type: "PRIVATE KEY", Bytes: pkcs8},
		{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)},
	} {
		again, err := coze.ParseKey(string(pem.EncodeToMemory(block)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(KeySecret(again), KeySecret(private)) || len(KeySecret(again)) != 32 {
			t.Errorf("another secret from %s", block.Type)
		}
	}
	other, _ := rsa.GenerateKey(rand.Reader, 2048)
	if bytes.Equal(KeySecret(other), KeySecret(private)) {
		t.Error("two keys, one secret")
	}
	if got := KeySecret(keeper{private}); string(got) != "made of the key" {
		t.Errorf("%q of a signer that tells its secret", got)
	}
	if KeySecret(nil) != nil {
		t.Error("a secret from nothing")
	}
}

func FuzzOpen(f *testing.F) {
	b := testSealer("a secret of some length", "app")
	name := b.key(key{session: "anna", seconds: 900})
	good := b.seal(name, sealed)
	want, err := b.open(name, good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(name, good)
	f.Add(name, good[:20])
	f.Add("", []byte{})
	f.Add(name, append([]byte{sealVersion}, make([]byte, 100)...))
	f.Fuzz(func(t *testing.T, n string, value []byte) {
		h, err := b.open(n, value)
		// The nonce is random, so the fuzzer's processes have different good values, and each other's.
		if err == nil && (n != name || h != want) {
			t.Fatalf("a forgery opens: %+v", h)
		}
		if err != nil && h != (held{}) {
			t.Fatal("a value with an error")
		}
	})
}

// FuzzPlain goes past the seal: whoever holds the secret may be another version of this program.
func FuzzPlain(f *testing.F) {
	b := testSealer("a secret of some length", "app")
	f.Add(uint64(2e18), append(bytes.Repeat([]byte{0}, 8), 1, 'B', 't'))
	f.Add(uint64(0), []byte{})
	f.Fuzz(func(t *testing.T, expiry uint64, plain []byte) {
		head := make([]byte, sealHead)
		head[0] = sealVersion
		for i := range 8 {
			head[1+i] = byte(expiry >> (56 - 8*i))
		}
		h, err := b.open("n", b.aead.Seal(head, nil, plain, append(head[:sealHead:sealHead], "n"...)))
		if err == nil && (h.access == "" || h.issued >= h.expiry) {
			t.Fatalf("%+v", h)
		}
	})
}

// keeper keeps its key to itself, as WebCrypto does, and has made a secret of it.
type keeper struct{ crypto.Signer }

func (keeper) Secret() []byte { return []byte("made of the key") }
