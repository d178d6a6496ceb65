package auth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"coze-token/internal/auth"
	"coze-token/internal/fault"
)

const (
	keyA = "kA7fQz0nW2rT5yU8iP1oL4kJ6hG9dS3a"
	keyB = "kB7fQz0nW2rT5yU8iP1oL4kJ6hG9dS3a"
)

func keys(t testing.TB, text string) *auth.Keys {
	t.Helper()
	k, err := auth.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestParseKeys(t *testing.T) {
	sum := sha256.Sum256([]byte(keyB))
	hash := hex.EncodeToString(sum[:])
	for _, text := range []string{
		"a=" + keyA + ",b=" + keyB,
		"a=" + keyA + "; b=" + keyB + ";",
		"a=" + keyA + "\r\nb=sha256:" + hash + "\r\n",
		"\n# of the shop\n  a=" + keyA + "\n\n# of the desk, since=May\nb=sha256:" + strings.ToUpper(hash) + "\n",
		"a=" + keyA + " apps=x|y\torigins=https://x.example|http://localhost:3000,b=" + auth.HashKey(keyB) + " apps=z",
	} {
		k := keys(t, text)
		for key, want := range map[string]string{keyA: "a", keyB: "b", keyA + "x": "", keyA[:31]: "", "": "", hash: "",
			"sha256:" + hash: ""} {
			if name, ok := k.Find(key); name != want || ok != (want != "") {
				t.Errorf("%q: %q is %q", text, key, name)
			}
		}
		if k.Len() != 2 {
			t.Errorf("%q: %d keys", text, k.Len())
		}
	}
	// A caller's key is replaced while the old one lives.
	k := keys(t, "a="+keyA+",a="+keyB)
	for _, key := range []string{keyA, keyB} {
		if name, _ := k.Find(key); name != "a" {
			t.Errorf("%s: %q", key, name)
		}
	}
}

func TestKeyFaults(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "no key"},
		{"# nothing\n,;\n", "no key"},
		{keyA, "key 1 is not of the form name=key"},
		{"=" + keyA, "key 1 is not of the form name=key"},
		{"a=", "key 1 is not of the form name=key"},
		{"a = " + keyA, "without spaces around the ="},
		{"a=" + keyA + ",b=short-and-secret",
			"key 2 (b) is 16 characters long, which can be guessed: 32 is the least; make a key with: coze-token key"},
		{"a=" + strings.Repeat("ab", 16), "repeats"},
		{"a=" + strings.Repeat("abcdefgh", 65), "longer than 512"},
		{`a="` + keyA + `"`, "characters that a header"},
		{"a=" + keyA + "ä", "characters that a header"},
		{"a=eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2lnbmF0dXJl", "JWT"},
		{"a=sha256:abc", "64 hexadecimal digits"},
		{"a=sha256:" + strings.Repeat("x", 64), "64 hexadecimal digits"},
		{"a=" + keyA + ",b=" + keyA, "key 2 (b) is the same key as another"},
		{"a=" + keyA + ",b=" + auth.HashKey(keyA), "key 2 (b) is the same key as another"},
		{"an/odd/name=" + keyA, "name"},
		{strings.Repeat("n", 32) + "=" + keyA, "name"},
		{"a=" + keyA + ";apps=x", "named apps, which is a limit"},
		{"a=" + keyA + " rate=5", "not a limit"},
		{"a=" + keyA + " b=" + keyB, "not a limit"},
		{"a=" + keyA + " apps=x apps=y", "not a limit"},
		{"a=" + keyA + " apps=", "app whose name is not one"},
		{"a=" + keyA + " apps=x|", "app whose name is not one"},
		{"a=" + keyA + " apps=/x", "app whose name is not one"},
		{"a=" + keyA + " origins=x.example", "origin that no browser sends; write it as https://"},
		{"a=" + keyA + " origins=https://x.example/", "end it with the host"},
		{"a=" + keyA + " origins=https://X.example", "lower case"},
		{"a=" + keyA + " origins=https://*.example", "wildcards"},
		{"a=" + keyA + " origins=https://x.example:443", "leave out the port"},
		{"a=" + keyA + " origins=null", "write it as"},
		{"a=" + keyA + " origins=https://bücher.example", "xn--"},
	} {
		k, err := auth.ParseKeys(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v (%v)", c.text, err, k)
			continue
		}
		for _, secret := range []string{keyA, keyB, "short-and-secret", "abababab"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q: the fault quotes a key: %v", c.text, err)
			}
		}
	}
	// A key with padding, whose name was forgotten, looks like name=value.
	for _, text := range []string{"c2VjcmV0LWtleS1oZXJl==", "c2VjcmV0LWtleS1oZXJlLWFuZC1tb3Jl=="} {
		if _, err := auth.ParseKeys(text); err == nil || strings.Contains(err.Error(), "c2Vj") {
			t.Errorf("%s: %v", text, err)
		}
	}
	_, err := auth.ParseKeys("a=x,b=y,c=" + keyA)
	if faults, ok := err.(fault.List); !ok || len(faults) != 2 {
		t.Errorf("not every fault is told at once: %v", err)
	}
}

func TestNewKey(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		key := auth.NewKey()
		if !strings.HasPrefix(key, "ctk_") || len(key) != 56 || seen[key] {
			t.Fatalf("%q", key)
		}
		seen[key] = true
		if name, ok := keys(t, "x="+key).Find(key); !ok || name != "x" {
			t.Fatalf("%q is not taken", key)
		}
		if name, ok := keys(t, "x="+auth.HashKey(key)).Find(key); !ok || name != "x" {
			t.Fatalf("%q is not taken by its hash", key)
		}
	}
}

// The duration of a look-up depends neither on which key matches nor on whether one does (security
// check 9). The code says so: there is one loop and no way out of it. This test would notice one
// that stops at the first match: with 1000 keys that is a factor of hundreds, and medians of
// interleaved rounds may differ by half before it complains.
func TestTimingOfKeys(t *testing.T) {
	var list []string
	made := make([]string, 1000)
	for i := range made {
		made[i] = fmt.Sprintf("%s%04d", keyA, i)
		list = append(list, fmt.Sprintf("k%d=%s", i, made[i]))
	}
	k := keys(t, strings.Join(list, "\n"))
	for i, key := range made {
		if name, ok := k.Find(key); !ok || name != fmt.Sprint("k", i) {
			t.Fatalf("%s is %q", key, name)
		}
	}
	asked := []string{made[0], made[500], made[999], fmt.Sprintf("%s%04d", keyB, 0)}
	took := make([][]time.Duration, len(asked))
	for range 301 {
		for i, key := range asked {
			began := time.Now()
			k.Find(key)
			took[i] = append(took[i], time.Since(began))
		}
	}
	least, most := time.Duration(math.MaxInt64), time.Duration(0)
	for _, rounds := range took {
		slices.Sort(rounds)
		median := rounds[len(rounds)/2]
		least, most = min(least, median), max(most, median)
	}
	if most > 2*least {
		t.Errorf("medians from %v to %v", least, most)
	}
}

func FuzzParseKeys(f *testing.F) {
	for _, text := range []string{"a=" + keyA, "a=" + auth.HashKey(keyB) + " apps=x|/",
		"a=" + keyA + " origins=https://x\nb=y;c", "#\n,=", "a=" + keyA + ",a=" + keyB} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := auth.ParseKeys(text)
		if (k == nil) == (err == nil) {
			t.Fatalf("%v, %v", k, err)
		}
		if err != nil {
			// What is long enough to be a key is not quoted.
			for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n,;=|", r) }) {
				if len(word) >= 32 && strings.Contains(err.Error(), word) {
					t.Errorf("a fault quotes %q", word)
				}
			}
			return
		}
		for _, guess := range []string{"", text, "a", strings.Repeat("x", 32)} {
			if _, ok := k.Find(guess); ok && !strings.Contains(text, guess) {
				t.Errorf("%q opens", guess)
			}
		}
	})
}

// A key is good to the end of its last day in UTC. After that the refusal names it.
func TestKeysEnd(t *testing.T) {
	k := keys(t, "shop="+keyA+" until 2027-01-31 apps=x, shop="+keyB)
	var log strings.Builder
	for at, want := range map[string]string{
		"2026-12-01T00:00:00Z": "", "2027-01-31T23:59:59Z": "", "2027-02-01T07:59:59+08:00": "",
		"2027-02-01T00:00:00Z": "the API key shop ended on 2027-01-31",
		"2028-01-01T00:00:00Z": "the API key shop ended on 2027-01-31",
	} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		a := auth.New(auth.Config{Keys: k}, auth.Options{
			Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		c := a.Credentials(bearer(keyA), auth.Trust{})
		if _, known := a.Key(c); known != (want == "") {
			t.Errorf("%s: known %t", at, known)
		}
		who, refusal := a.Authenticate(t.Context(), c)
		switch e := asError(refusal); {
		case want == "" && (refusal != nil || who.Name != "shop" || !slices.Equal(who.Apps, []string{"x"})):
			t.Errorf("%s: %v, %v", at, who, refusal)
		case want != "" && (e == nil || e.Status != 401 || e.Code != auth.APIKeyEnded || e.Problem.String() != want):
			t.Errorf("%s: %v", at, e)
		}
		if _, err := a.Authenticate(t.Context(), a.Credentials(bearer(keyB), auth.Trust{})); err != nil {
			t.Errorf("%s: the other key of that name: %v", at, err)
		}
	}
	if !strings.Contains(log.String(), "key=shop until=2027-01-31") || strings.Contains(log.String(), keyA) {
		t.Errorf("the log says %q", log.String())
	}
	day := func(text string) time.Time { d, _ := time.Parse(time.DateOnly, text); return d }
	for at, want := range map[string]string{"2026-12-01": "", "2027-01-05": "shop will end on 2027-01-31",
		"2027-02-01": "shop ended on 2027-01-31"} {
		if got := fmt.Sprint(k.Ending(day(at))); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %s", at, got)
		}
	}
	for _, text := range []string{"until", "until 2027-02-30", "until 31.1.2027", "until 2027-01-31 until 2027-01-31",
		"until=2027-01-31", "2027-01-31"} {
		if _, err := auth.ParseKeys("shop=" + keyA + " " + text); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
