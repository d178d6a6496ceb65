package rsakey

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
)

// What coze.ParseKey takes and refuses is tested there. On Workers nothing but this package checks
// whether a key's numbers belong together.
func TestNumbersThatDoNotBelongTogether(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der := x509.MarshalPKCS1PrivateKey(private)
	key, err := Parse(base64.StdEncoding.EncodeToString(der))
	if err != nil {
		t.Fatal(err)
	}
	numbers := func(k *Key) []*[]byte { return []*[]byte{&k.N, &k.E, &k.D, &k.P, &k.Q, &k.DP, &k.DQ, &k.QI} }
	write := func(k Key) string {
		parts := [][]byte{element(tagInteger, []byte{0})}
		for _, n := range numbers(&k) {
			parts = append(parts, element(tagInteger, append([]byte{0}[:(*n)[0]>>7], *n...)))
		}
		return base64.StdEncoding.EncodeToString(element(tagSequence, parts...))
	}
	if write(key) != base64.StdEncoding.EncodeToString(der) {
		t.Fatal("the key is not written as x509 writes it")
	}
	for i, name := range []string{"n", "e", "d", "p", "q", "dp", "dq", "qi"} {
		for _, add := range []int64{2, -2} {
			changed := key
			n := numbers(&changed)[i]
			*n = new(big.Int).Add(new(big.Int).SetBytes(*n), big.NewInt(add)).Bytes()
			if _, err := Parse(write(changed)); err == nil || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("%s and %d: %v", name, add, err)
			}
		}
	}
	// What BER allows and DER does not (X.690 section 10.1), and what neither does.
	for name, prefix := range map[string]string{
		"a length of two bytes that needs one": "\x02\x81\x01\x07", "a length without an end": "\x02\x80\x07\x00\x00",
		"a negative number": "\x02\x01\x80", "a leading zero": "\x02\x02\x00\x07", "more than there is": "\x02\x05\x07",
		"no number": "\x02\x00", "a length of four bytes": "\x02\x84\x00\x00\x00\x01\x07",
	} {
		if d := readNumber(prefix); d != nil {
			t.Errorf("%s is read as %x", name, d)
		}
	}
}

// readNumber reads one number.
func readNumber(text string) []byte {
	d := der(text)
	number, ok := d.integer()
	if !ok {
		return nil
	}
	return append([]byte{}, number...)
}
