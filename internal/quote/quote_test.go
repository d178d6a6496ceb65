package quote_test

import (
	"strconv"
	"strings"
	"testing"

	"coze-token/internal/quote"
)

func TestText(t *testing.T) {
	for _, shown := range []string{
		"", "loud", "15m",
		"99999999999999999999", "https://www.example.com/Path/Of2", "api.coze.cn", "<id>", "my secret", "a\nb", "小明",
		"a-long-name-of-small-letters", strings.Repeat("x ", 50),
	} {
		if got := quote.Text(shown).String(); got != strconv.Quote(shown) {
			t.Errorf("%q: %s", shown, got)
		}
	}
	for _, hidden := range []string{
		strings.Repeat("x ", 51), "-----BEGIN", "a\n-----END",
		"wHt9Z+q/3Jb0dKcXa", "wHt9Z-q_3Jb0dKcXa", "abcdefghijklmnoP=", // 17 of a key's base64
		"0123456789abcdef0123456789abcdef", "0123456789ABCDEF0",
	} {
		if got := quote.Text(hidden).String(); strings.Contains(got, hidden) || !strings.HasPrefix(got, "a text of ") {
			t.Errorf("%q: %s", hidden, got)
		}
	}
	if got := quote.Text(strings.Repeat("小", 40)).String(); got != "a text of 40 characters" {
		t.Errorf("got %s", got)
	}
}

func TestName(t *testing.T) {
	for name, shown := range map[string]bool{
		"assertionLifetime": true, "DefaultSessionName": true, "Assertion_Lifetime": true,
		"private_key_file_2": true, "kid": true, "token ttl": true, "": true,
		"wHt9Z+q/3Jb0dKcXa": false, "wHtZqJbdKcXaLmNoP": false, "MIIEvQIBADANBgkqhk": false,
		"abcdefghijklmnoP=": false, "0123456789abcdef0": false,
		"a_1_2_3_4_5_6_7_8_9": false, "-----BEGIN": false, strings.Repeat("someWords", 12): false,
	} {
		if got := quote.Name(name).String(); (got == strconv.Quote(name)) != shown {
			t.Errorf("%q: %s", name, got)
		}
	}
	if got := quote.Text("CorrectHorseBatteryStaple").String(); got != "a text of 25 characters" { // no name, so it may be a secret
		t.Errorf("got %s", got)
	}
}

func TestPath(t *testing.T) {
	for name, shown := range map[string]bool{
		"/run/secrets/CozePrivateKey2": true, "./CozePrivateKeyOfMine": true, "~/CozePrivateKeyOfMine": true,
		"keys/coze.pem": true, `C:\Keys\CozePrivateKey`: true,
		"CozePrivateKeyOfMine": false, "/" + strings.Repeat("x", 100): false, "/-----BEGIN": false,
	} {
		if got := quote.Path(name).String(); (got == strconv.Quote(name)) != shown {
			t.Errorf("%q: %s", name, got)
		}
	}
}
