package coze_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"coze-token/coze"
	"coze-token/internal/fault"
)

// rsaKey is one key for the whole package: making one takes a while, most of all under the race
// detector.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("PRIVATE KEY", der)
}

func TestParseKeyReadsWhatPeoplePaste(t *testing.T) {
	key := rsaKey()
	plain := pkcs8(t, key)
	pkcs1 := pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
	der, _ := pem.Decode([]byte(plain))
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	forms := map[string]string{
		"PKCS#8":                     plain,
		"PKCS#1":                     pkcs1,
		"literal \\n":                strings.ReplaceAll(plain, "\n", `\n`),
		"literal \\r\\n":             strings.ReplaceAll(plain, "\n", `\r\n`),
		"CRLF":                       strings.ReplaceAll(plain, "\n", "\r\n"),
		"CR":                         strings.ReplaceAll(plain, "\n", "\r\n\r"),
		"one line, spaces":           strings.ReplaceAll(plain, "\n", " "),
		"one line, nothing":          strings.ReplaceAll(plain, "\n", ""),
		"literal \\n, escaped twice": strings.ReplaceAll(plain, "\n", `\\n`),
		"escaped three times":        strings.ReplaceAll(plain, "\n", `\\\\n`),
		"a backslash on each line":   strings.ReplaceAll(plain, "\n", "\\\n"),
		"escaped slashes":            strings.ReplaceAll(strings.ReplaceAll(plain, "\n", `\n`), "/", `\/`),
		"JSON of a careful writer":   strings.NewReplacer("\n", `\n`, "=", `\u003d`, "+", `\u002B`).Replace(plain),
		"percent encoding":           url.PathEscape(plain),
		"a form's encoding":          url.QueryEscape(plain),
		"%0A":                        strings.ReplaceAll(plain, "\n", "%0A"),
		"backslashes lost":           strings.ReplaceAll(plain, "\n", "n"),
		"backslashes lost, CRLF":     strings.ReplaceAll(plain, "\n", "rn"),
		"spaces without width":       strings.ReplaceAll(plain, "\n", "\u200B\n"),
		"spaces that do not break":   strings.ReplaceAll(plain, "\n", "\u00A0"),
		"base64 of DER, for URLs":    base64.RawURLEncoding.EncodeToString(der.Bytes),
		"double quotes":              `"` + plain + `"`,
		"single quotes":              `'` + strings.TrimSpace(plain) + `'`,
		"quotes and \\n":             `"` + strings.ReplaceAll(plain, "\n", `\n`) + `"`,
		"indented":                   "  " + strings.ReplaceAll(plain, "\n", "\n    "),
		"byte order mark":            "\uFEFF" + plain,
		"text before":                "Bag Attributes\n    friendlyName: x\n" + plain,
		"base64 of PEM":              base64.StdEncoding.EncodeToString([]byte(plain)),
		"base64 of PEM, wrapped":     wrap(base64.StdEncoding.EncodeToString([]byte(plain)), 76),
		"base64 of PEM, unpadded":    base64.RawStdEncoding.EncodeToString([]byte(plain)),
		"base64 of PKCS#1 PEM":       base64.StdEncoding.EncodeToString([]byte(pkcs1)),
		"base64 of DER":              base64.StdEncoding.EncodeToString(der.Bytes),
		"after its public half":      pemOf("PUBLIC KEY", public) + plain,
		"before its public half":     plain + pemOf("PUBLIC KEY", public),
		"after a certificate":        pemOf("CERTIFICATE", public) + pemOf("CERTIFICATE", public) + pkcs1,
		"with all on one line":       strings.ReplaceAll(pemOf("PUBLIC KEY", public)+plain, "\n", ""),
		"base64 of both halves":      base64.StdEncoding.EncodeToString([]byte(pemOf("PUBLIC KEY", public) + plain)),
		"after half of another":      pemOf("PUBLIC KEY", public)[:100] + plain,
		"PKCS#1 labelled as PKCS#8":  pemOf("PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)),
		"PKCS#8 labelled as PKCS#1":  pemOf("RSA PRIVATE KEY", der.Bytes),
	}
	for name, text := range forms {
		t.Run(name, func(t *testing.T) {
			got, err := coze.ParseKey(text)
			if err != nil {
				t.Fatal(err)
			}
			if !got.Equal(key) {
				t.Error("another key came out")
			}
		})
	}
}

// pemOfLetters is a block of as many letters of base64, which five can be of no bytes.
func pemOfLetters(n int) string {
	return "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("A", n) + "\n-----END PRIVATE KEY-----\n"
}

func wrap(s string, n int) string {
	var b strings.Builder
	for i := 0; i < len(s); i += n {
		b.WriteString(s[i:min(i+n, len(s))] + "\n")
	}
	return b.String()
}

func TestParseKeySaysWhatIsWrong(t *testing.T) {
	key := rsaKey()
	plain := pkcs8(t, key)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(p256)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, _ := pem.Decode([]byte(plain))
	damaged := []byte(plain)
	damaged[200], damaged[201], damaged[202], damaged[203] = 'A', 'A', 'A', 'A'
	cases := []struct{ name, text, want string }{
		{"hidden", strings.Replace(plain, "MII", "***", 1), `has the character '*' (U+002A), as where a program hides`},
		{"shortened", plain[:300] + "…" + plain[400:],
			"has the character '…' (U+2026), as where a program hides or shortens"},
		{"a letter too many", pemOfLetters(5), "is missing, or there is one too many"},
		{"an escape of another kind", strings.Replace(plain, "\n", "&#10;", 3), "has the character '&'"},
		{"empty", "", "is empty"},
		{"only spaces", "  \n", "is empty"},
		{"empty quotes", `""`, "is empty"},
		{"no key at all", "my-secret-key!", "no -----BEGIN line"},
		{"a word", "nonsense", "no -----BEGIN line"},
		{"a kid", "q7Zk3vJ0fV5m2LrXwT9bYcN1eHsD8uPaGiKoR6tEyMQ", "no -----BEGIN line"},
		{"base64 of something else", base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("not a key "), 100)),
			"no -----BEGIN line"},
		{"base64 of damaged DER", base64.StdEncoding.EncodeToString(private.Bytes[:500]), "damaged"},
		{"a public key", pemOf("PUBLIC KEY", public), "public half"},
		{"a PKCS#1 public key", pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&key.PublicKey)), "public half"},
		{"a public key labelled private", pemOf("PRIVATE KEY", public), "public half"},
		{"a certificate", pemOf("CERTIFICATE", public), "public half"},
		{"an EC key", pkcs8(t, p256), "an EC key"},
		{"an EC key in SEC 1", pemOf("EC PRIVATE KEY", sec1), "an EC key"},
		{"an EC key, as openssl ecparam makes it", openssl(t, "", "ecparam", "-name", "prime256v1", "-genkey"), "an EC key"},
		{"an EC key of another curve", openssl(t, "", "genpkey", "-algorithm", "EC", "-pkeyopt",
			"ec_paramgen_curve:secp256k1"), "an EC key"},
		{"an EC key of another curve in SEC 1", openssl(t, "", "ecparam", "-name", "secp256k1", "-genkey", "-noout"),
			"an EC key"},
		{"the parameters of an EC key", openssl(t, "", "ecparam", "-name", "prime256v1"), "another kind"},
		{"base64 of an EC key's DER", base64.StdEncoding.EncodeToString(sec1), "an EC key"},
		{"an SM2 key", openssl(t, "", "genpkey", "-algorithm", "SM2"), "an EC key"},
		{"an Ed25519 key", pkcs8(t, ed), "an Ed25519 key"},
		{"an Ed25519 key after its public half", openssl(t, pkcs8(t, ed), "pkey", "-pubout") + pkcs8(t, ed),
			"an Ed25519 key"},
		{"an Ed448 key", openssl(t, "", "genpkey", "-algorithm", "ED448"), "an Ed448 key"},
		{"an X25519 key", openssl(t, "", "genpkey", "-algorithm", "X25519"), "an X25519 key"},
		{"an X448 key", openssl(t, "", "genpkey", "-algorithm", "X448"), "an X448 key"},
		{"an RSA-PSS key", openssl(t, "", "genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"),
			"an RSA-PSS key"},
		{"a DSA key", pemOf("DSA PRIVATE KEY", []byte("p, q, g, y, x")), "a DSA key"},
		{"a key of an algorithm to come", pemOf("PRIVATE KEY",
			mustDER(t, pkcs8Info{Algorithm: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4,
				3, 17}}, Key: []byte("x")})), "a key of another algorithm"},
		{"an OpenSSH key", pemOf("OPENSSH PRIVATE KEY", []byte("openssh-key-v1")), "OpenSSH"},
		{"a personal access token", "pat_0123456789abcdefABCDEF", "personal access token"},
		{"an encrypted PKCS#8 key", openssl(t, plain, "pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:x"),
			"encrypted"},
		{"an encrypted PKCS#1 key", openssl(t, plain, "rsa", "-traditional", "-aes128", "-passout", "pass:x"), "encrypted"},
		{"1024 bits", openssl(t, "", "genrsa", "1024"), "1024 bits"},
		{"512 bits", openssl(t, "", "genrsa", "512"), "512 bits"},
		{"cut off", plain[:len(plain)/2], "cut off"},
		{"cut off after its public half", pemOf("PUBLIC KEY", public) + plain[:len(plain)/2], "cut off"},
		{"cut off, and its public half", plain[:len(plain)/2] + "\n" + pemOf("PUBLIC KEY", public), "cut off"},
		{"only the first line", "-----BEGIN PRIVATE KEY-----", "cut off"},
		{"half of the first line", "-----BEGIN PRIVATE", "incomplete"},
		{"not base64", "-----BEGIN PRIVATE KEY-----\n<your key here>\n-----END PRIVATE KEY-----", "not base64"},
		{"nothing inside", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----", "damaged"},
		{"damaged", string(damaged), "damaged"},
		{"another block", pemOf("X509 CRL", public), "another kind"},
		{"huge", strings.Repeat("A", 100_000), "100000 bytes"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := coze.ParseKey(c.text)
			wrong, ok := errors.AsType[fault.Fault](err)
			if !ok || !strings.Contains(wrong.Problem.String(), c.want) || wrong.Remedy.String() == "" || wrong.Setting != "" {
				t.Errorf("got %+v; want a fault with %q in the problem", err, c.want)
			}
		})
	}
}

// pkcs8Info is PKCS#8's PrivateKeyInfo (RFC 5208, section 5).
type pkcs8Info struct {
	Version   int
	Algorithm pkix.AlgorithmIdentifier
	Key       []byte
}

func mustDER(t testing.TB, value any) []byte {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// openssl runs the command on text: what it makes is what users have.
func openssl(t testing.TB, text string, args ...string) string {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Stdin = strings.NewReader(text)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", args, err, stderr.Bytes())
	}
	return string(out)
}

func TestAKeyNeverPrintsItself(t *testing.T) {
	private := rsaKey()
	key := coze.Key{ID: "my-kid", Signer: private}
	app := coze.App{ClientID: "1", Keys: []coze.Key{key}}
	inJSON, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "key", key, "app", app)
	secrets := []string{private.D.String(), private.D.Text(16), private.Primes[0].String(),
		base64.StdEncoding.EncodeToString(private.D.Bytes())}
	for _, printed := range []string{
		fmt.Sprint(key), fmt.Sprintf("%+v %#v %s %q %x", key, key, key, key, key), string(inJSON), logged.String(),
		fmt.Sprintf("%v %+v %#v", app, app, app),
	} {
		for _, secret := range secrets {
			if strings.Contains(printed, secret) {
				t.Fatalf("the private key is in %.200q", printed)
			}
		}
		if !strings.Contains(printed, "my-kid") {
			t.Errorf("the key's id is not in %q", printed)
		}
	}
}

func TestAKeyWithoutAPrivateHalfPrintsToo(t *testing.T) {
	for _, signer := range []crypto.Signer{nil, (*rsa.PrivateKey)(nil)} {
		if got := (coze.Key{ID: "my-kid", Signer: signer}).String(); got != "my-kid" {
			t.Errorf("got %s", got)
		}
	}
}

func TestFingerprintIsOpenSSLs(t *testing.T) {
	der := openssl(t, pkcs8(t, rsaKey()), "pkey", "-pubout", "-outform", "DER")
	digest := openssl(t, der, "dgst", "-sha256", "-binary")
	want := "SHA256:" + base64.RawStdEncoding.EncodeToString([]byte(digest))
	if got := coze.Fingerprint(rsaKey().Public()); got != want {
		t.Errorf("got %s, openssl says %s", got, want)
	}
	if got := coze.Fingerprint(crypto.PublicKey("nonsense")); got != "unknown" {
		t.Errorf("got %s for what is no key", got)
	}
}

func FuzzParseKey(f *testing.F) {
	plain := pkcs8(f, rsaKey())
	f.Add(plain)
	f.Add(strings.ReplaceAll(plain, "\n", `\n`))
	f.Add(base64.StdEncoding.EncodeToString([]byte(plain)))
	f.Add("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----")
	f.Add("-----BEGIN ENCRYPTED PRIVATE KEY-----\n-----END")
	f.Add(`"\n\r"`)
	f.Fuzz(func(t *testing.T, text string) {
		key, err := coze.ParseKey(text)
		_, isFault := errors.AsType[fault.Fault](err)
		switch {
		case err == nil && key.N.BitLen() < 2048:
			t.Errorf("a key of %d bits was taken", key.N.BitLen())
		case err != nil && !isFault:
			t.Errorf("%v is no fault", err)
		case err != nil && len(text) > 100 && strings.Contains(err.Error(), text[len(text)/2:len(text)/2+40]):
			t.Errorf("the text is quoted: %v", err)
		}
	})
}
