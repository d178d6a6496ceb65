package worker

import (
	"crypto"
	"crypto/rsa"
	"math/big"
	"strings"
	"testing"
	"time"

	"coze-token/broker"
)

var (
	_ broker.Store  = Cache{}
	_ broker.Store  = KV("")
	_ crypto.Signer = (*Signer)(nil)
)

func TestWholeSeconds(t *testing.T) {
	for d, want := range map[time.Duration]uint32{
		-time.Hour: 0, 0: 0, 999 * time.Millisecond: 0, 1999 * time.Millisecond: 1, time.Hour: 3600, 1 << 62: 365 * 24 * 3600,
	} {
		if got := wholeSeconds(d); got != want {
			t.Errorf("%v: %d, want %d", d, got, want)
		}
	}
}

func TestCacheNamesStayOnTheirHost(t *testing.T) {
	for name, want := range map[string]string{
		"a_-Z9":         "https://s.invalid/a_-Z9",
		"/a":            "https://s.invalid/%2Fa",
		"@example.com/": "https://s.invalid/@example.com%2F",
		"?a#b":          "https://s.invalid/%3Fa%23b",
		"a\x00\r\nb":    "https://s.invalid/a%00%0D%0Ab",
	} {
		if got := (Cache{Space: "s"}).url(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	if got := (Cache{Space: "s", Host: "token.example.com"}).url("a"); got != "https://token.example.com/a" {
		t.Error(got)
	}
}

// What would reach the platform as something else is refused before it is asked: there is no bridge in this test.
func TestNamesThatCannotBeKept(t *testing.T) {
	ctx, long := t.Context(), strings.Repeat("x", 513)
	for _, name := range []string{"", ".", "..", "a\x00b", "a\nb", long} {
		if _, err := KV("KV").Get(ctx, name); err == nil {
			t.Errorf("KV takes %q", name)
		}
		if err := KV("KV").Put(ctx, name, nil, time.Hour); err == nil {
			t.Errorf("KV takes %q", name)
		}
	}
	_, err := RateLimit("L").Allow(ctx, "a\x00b")
	_, empty := Cache{Space: "s"}.Get(ctx, "")
	_, dots := Cache{Space: "s"}.Get(ctx, "..")
	_, spaceless := Cache{}.Get(ctx, "a")
	large := Cache{Space: "s"}.Put(ctx, "a", make([]byte, maxValue+1), time.Hour)
	for i, err := range []error{err, empty, dots, spaceless, large} {
		if err == nil {
			t.Errorf("%d is taken", i)
		}
	}
	// What is not kept is not sent either.
	if err := KV("KV").Put(ctx, "a", nil, time.Minute-1); err != nil {
		t.Error(err)
	}
	if err := (Cache{Space: "s"}).Put(ctx, "a", nil, time.Second-1); err != nil {
		t.Error(err)
	}
}

func TestSecretIsTheKeys(t *testing.T) {
	one, again, other := signerOf(t, 11, 13, 103), signerOf(t, 11, 13, 103), signerOf(t, 11, 17, 23)
	if a, b, c := string(one.Secret()), string(again.Secret()), string(other.Secret()); a != b || a == c || len(a) != 32 {
		t.Errorf("%x, %x, %x", a, b, c)
	}
	if got := broker.KeySecret(one); string(got) != string(one.Secret()) {
		t.Errorf("the broker sees %x", got)
	}
}

// signerOf makes a signer of a key that is RSA to the letter, for the public exponent 7.
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
