package coze

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
)

// A Key is one of an app's key pairs. It prints as its id and fingerprint, never as its private half.
type Key struct {
	// ID is the public key's fingerprint as Coze's console shows it, the assertion's kid.
	ID string
	// Signer holds the private half: an *rsa.PrivateKey, a key in a hardware module, or, where the host can only sign
	// whole messages, a [crypto.MessageSigner].
	Signer crypto.Signer
}

// public is the public half, and nil where there is no key: of a nil *rsa.PrivateKey, Public would panic.
func (k Key) public() crypto.PublicKey {
	if private, ok := k.Signer.(*rsa.PrivateKey); k.Signer == nil || ok && private == nil {
		return nil
	}
	return k.Signer.Public()
}

// String names the key without giving it away.
func (k Key) String() string {
	public := k.public()
	if public == nil {
		return k.ID
	}
	return k.ID + " " + Fingerprint(public)
}

// GoString, LogValue and MarshalText keep the private half out of %#v, logs and JSON.
func (k Key) GoString() string              { return "coze.Key(" + k.String() + ")" }
func (k Key) LogValue() slog.Value          { return slog.StringValue(k.String()) }
func (k Key) MarshalText() ([]byte, error)  { return []byte(k.String()), nil }
func (k Key) Format(s fmt.State, verb rune) { fmt.Fprint(s, k.String()) }

// Fingerprint is the SHA-256 of the public key's DER form, for telling keys apart in logs. It is not Coze's kid, whose
// algorithm is not published.
func Fingerprint(public crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "unknown"
	}
	sum := sha256.Sum256(der)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// Bounds of a private key. Coze's console makes keys of 2048 bits; RFC 7518 section 3.3 forbids smaller ones for RS256.
// Larger ones than 8192 bits are refused because they only slow down every signature.
const (
	minKeyBits  = 2048
	maxKeyBits  = 8192
	maxKeyBytes = 64 << 10
)

// A KeyError says what is wrong with the text of a private key, and what to do about it. It never quotes the text.
type KeyError struct {
	Problem string
	Remedy  string
}

func (e *KeyError) Error() string { return e.Problem + "; " + e.Remedy }

const (
	pasteWhole  = "paste the whole private_key.pem that Coze's console let you download, from -----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----"
	makeAnother = "create a key pair in the OAuth app's settings in Coze's console and use the private key it downloads"
)

// ParseKey reads an RSA private key from what people paste into a setting: PEM in PKCS#8 (what Coze's console makes)
// or PKCS#1 (what older openssl makes), with real line ends, CRLF, literal \n, on a single line, in quotes, or as the
// base64 of all that. The error is a [*KeyError].
func ParseKey(text string) (*rsa.PrivateKey, error) {
	if len(text) > maxKeyBytes {
		return nil, &KeyError{fmt.Sprintf("the value is %d bytes long, far more than an RSA key", len(text)), pasteWhole}
	}
	text = unquote(text)
	if text == "" {
		return nil, &KeyError{"the value is empty", pasteWhole}
	}
	kind, der, err := decodePEM(text)
	if err != nil {
		return nil, err
	}
	key, err := parseDER(kind, der)
	if err != nil {
		return nil, err
	}
	switch bits := key.N.BitLen(); {
	case bits < minKeyBits:
		return nil, &KeyError{fmt.Sprintf("the RSA key has %d bits, too few for RS256", bits), "use one of 2048 bits or more: " + makeAnother}
	case bits > maxKeyBits:
		return nil, &KeyError{fmt.Sprintf("the RSA key has %d bits, more than the %d that are of use", bits, maxKeyBits), "use one of 2048 to 4096 bits"}
	}
	return key, nil
}

// unquote takes away what a shell, a dotenv file or a YAML file left around and inside the text.
func unquote(text string) string {
	text = strings.TrimPrefix(text, "\uFEFF")
	// Not a strings.Replacer: making one was a fifth of a Worker's start.
	text = strings.ReplaceAll(text, `\r`, "")
	text = strings.ReplaceAll(text, `\n`, "\n")
	text = strings.ReplaceAll(text, "\r", "")
	text = strings.TrimSpace(text)
	for _, quote := range []string{`"`, `'`, "`"} {
		if len(text) > 1 && strings.HasPrefix(text, quote) && strings.HasSuffix(text, quote) {
			return strings.TrimSpace(text[1 : len(text)-1])
		}
	}
	return text
}

// decodePEM finds the first PEM block, or, where there is none, base64 of a PEM text or of bare DER.
func decodePEM(text string) (kind string, der []byte, err error) {
	if strings.Contains(text, "-----BEGIN") {
		return decodeBlock(text)
	}
	raw, err := decodeBase64(text)
	switch {
	case err != nil:
		return "", nil, &KeyError{"this is not a PEM private key: there is no -----BEGIN line, and it is not base64 either", pasteWhole}
	case bytes.Contains(raw, []byte("-----BEGIN")):
		return decodeBlock(unquote(string(raw)))
	default:
		return "PRIVATE KEY", raw, nil
	}
}

// decodeBlock reads the PEM block by its markers rather than its lines, because the lines are what gets lost.
func decodeBlock(text string) (kind string, der []byte, err error) {
	_, rest, _ := strings.Cut(text, "-----BEGIN")
	kind, rest, ok := strings.Cut(rest, "-----")
	kind = strings.TrimSpace(kind)
	if !ok {
		return "", nil, &KeyError{"the -----BEGIN line is incomplete", pasteWhole}
	}
	body, _, ok := strings.Cut(rest, "-----END")
	if !ok {
		return "", nil, &KeyError{"the key is cut off: it begins but has no -----END line", pasteWhole + " (in a dotenv file, put it in double quotes)"}
	}
	if kind == "ENCRYPTED PRIVATE KEY" || strings.Contains(body, "ENCRYPTED") {
		return "", nil, &KeyError{"the private key is encrypted with a passphrase", "decrypt it first: openssl pkey -in encrypted.pem -out private_key.pem"}
	}
	der, decodeErr := decodeBase64(body)
	if decodeErr != nil {
		return "", nil, &KeyError{"the text between the BEGIN and END lines is not base64", pasteWhole}
	}
	return kind, der, nil
}

func decodeBase64(text string) ([]byte, error) {
	text = strings.Join(strings.Fields(text), "")
	text = strings.TrimRight(text, "=")
	return base64.RawStdEncoding.DecodeString(text)
}

func parseDER(kind string, der []byte) (*rsa.PrivateKey, error) {
	switch kind {
	case "PRIVATE KEY", "RSA PRIVATE KEY":
	case "EC PRIVATE KEY":
		return nil, wrongAlgorithm("an EC")
	case "OPENSSH PRIVATE KEY":
		return nil, &KeyError{"this is an OpenSSH key", makeAnother}
	case "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE":
		return nil, publicHalf(kind)
	default:
		return nil, &KeyError{"this is a PEM block of another kind than a private key", pasteWhole}
	}
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		switch key := key.(type) {
		case *rsa.PrivateKey:
			return key, nil
		case *ecdsa.PrivateKey:
			return nil, wrongAlgorithm("an EC")
		case ed25519.PrivateKey:
			return nil, wrongAlgorithm("an Ed25519")
		default:
			return nil, wrongAlgorithm("another")
		}
	}
	key, err := x509.ParsePKCS1PrivateKey(der)
	if err == nil {
		return key, nil
	}
	if _, err := x509.ParseECPrivateKey(der); err == nil {
		return nil, wrongAlgorithm("an EC")
	}
	if _, err := x509.ParsePKIXPublicKey(der); err == nil {
		return nil, publicHalf("PUBLIC KEY")
	}
	// x509's own words are kept out: some of them describe the key's numbers.
	return nil, &KeyError{"the key is damaged: it is base64, but not an RSA private key", pasteWhole}
}

func wrongAlgorithm(article string) error {
	return &KeyError{"this is " + article + " key, and Coze takes RSA keys only (RS256)", makeAnother}
}

func publicHalf(kind string) error {
	return &KeyError{fmt.Sprintf("this is the public half (%s), and signing takes the private one", kind),
		"the public key stays in Coze's console; paste the private_key.pem that was downloaded when the pair was made"}
}

// clip shortens foreign text for a message.
func clip(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n]) + "…"
}
