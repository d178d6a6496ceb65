package worker

import (
	"crypto"
	"crypto/rsa"
	"math/big"
	"strings"
	"testing"
	"time"
)

var _ crypto.MessageSigner = (*Signer)(nil)

func TestCacheNamesStayOnTheirHost(t *testing.T) {
	for name, want := range map[string]string{
		"a_-Z9":         "https://s.invalid/a_-Z9",
		"/a":            "https://s.invalid/%2Fa",
		"@example.com/": "https://s.invalid/@example.com%2F",
		"?a#b":          "https://s.invalid/%3Fa%23b",
		"a\x00\r\nb":    "https://s.invalid/a%00%0D%0Ab",
	} {
		if got := Cache("s").entry(name).name; got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

// The platform is not asked about a name that would reach it as another one: this test has no
// bridge.
func TestNamesThatCannotBeKept(t *testing.T) {
	ctx, long := t.Context(), strings.Repeat("x", 513)
	for _, name := range []string{"", ".", "..", "a\x00b", "a\nb", long} {
		if _, err := KV("KV").Get(ctx, name); err == nil {
			t.Errorf("KV accepts %q", name)
		}
		if err := KV("KV").Put(ctx, name, nil, time.Hour); err == nil {
			t.Errorf("KV accepts %q", name)
		}
	}
	_, err := RateLimit("L").Allow(ctx, "a\x00b")
	_, empty := Cache("s").Get(ctx, "")
	_, dots := Cache("s").Get(ctx, "..")
	_, nameless := Cache("").Get(ctx, "a")
	large := Cache("s").Put(ctx, "a", make([]byte, maxValue+1), time.Hour)
	for i, err := range []error{err, empty, dots, nameless, large} {
		if err == nil {
			t.Errorf("%d is accepted", i)
		}
	}
	// A value that would not be kept is not sent.
	if err := KV("KV").Put(ctx, "a", nil, time.Minute-1); err != nil {
		t.Error(err)
	}
	if err := Cache("s").Put(ctx, "a", nil, time.Second-1); err != nil {
		t.Error(err)
	}
}

func TestSecretDependsOnTheKey(t *testing.T) {
	one, again, other := signerOf(t, 11, 13, 103), signerOf(t, 11, 13, 103), signerOf(t, 11, 17, 23)
	if a, b, c := string(one.Secret()), string(again.Secret()), string(other.Secret()); a != b || a == c || len(a) != 32 {
		t.Errorf("%x, %x, %x", a, b, c)
	}
}

// signerOf makes a signer of a small key with the public exponent 7.
func signerOf(t *testing.T, p, q, d int64) *Signer {
	t.Helper()
	s, err := NewSigner(&rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: big.NewInt(p * q), E: 7},
		D:         big.NewInt(d),
		Primes:    []*big.Int{big.NewInt(p), big.NewInt(q)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
