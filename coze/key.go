package coze

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
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
// base64 of all that. Where it stands among other PEM blocks, such as certificates, it is found. The error is a [*KeyError].
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

const pemBegin, pemEnd, pemDashes = "-----BEGIN", "-----END", "-----"

// decodePEM finds the private key's PEM block, or, where there is no PEM, base64 of a PEM text or of bare DER, which has
// no kind.
func decodePEM(text string) (kind string, der []byte, err error) {
	if strings.Contains(text, pemBegin) {
		return decodeBlock(findBlock(text))
	}
	raw, err := decodeBase64(text)
	switch {
	case err != nil:
		return "", nil, notAKey()
	case bytes.Contains(raw, []byte(pemBegin)):
		return decodeBlock(findBlock(unquote(string(raw))))
	default:
		return "", raw, nil
	}
}

// A block is a PEM block as far as it is there.
type block struct {
	kind  string // "" where the BEGIN line is incomplete
	body  string
	ended bool
}

// findBlock finds the first block of a private key, and where there is none the first block: certificates, the public half
// and the parameters of a curve often stand before it. Blocks are read by their markers rather than their lines, because
// the lines are what gets lost.
func findBlock(text string) (first block) {
	for number := 0; ; number++ {
		_, rest, found := strings.Cut(text, pemBegin)
		if !found {
			return first
		}
		var b block
		if kind, body, ok := strings.Cut(rest, pemDashes); ok && strings.Trim(kind, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ") == "" {
			b.kind, rest = strings.TrimSpace(kind), body
		}
		end := strings.Index(rest, pemDashes)
		if end < 0 {
			end = len(rest)
		}
		b.body, text = rest[:end], rest[end:]
		b.ended = strings.HasPrefix(text, pemEnd)
		if strings.HasSuffix(b.kind, "PRIVATE KEY") {
			return b
		}
		if number == 0 {
			first = b
		}
	}
}

func decodeBlock(b block) (kind string, der []byte, err error) {
	switch {
	case b.kind == "":
		return "", nil, &KeyError{"the -----BEGIN line is incomplete", pasteWhole}
	case !b.ended:
		return "", nil, &KeyError{"the key is cut off: it begins but has no -----END line", pasteWhole + " (in a dotenv file, put it in double quotes)"}
	case b.kind == "ENCRYPTED PRIVATE KEY" || strings.Contains(b.body, "ENCRYPTED"):
		return "", nil, &KeyError{"the private key is encrypted with a passphrase", "decrypt it first: openssl pkey -in encrypted.pem -out private_key.pem"}
	}
	der, err = decodeBase64(b.body)
	if err != nil {
		return "", nil, &KeyError{"the text between the BEGIN and END lines is not base64", pasteWhole}
	}
	return b.kind, der, nil
}

func decodeBase64(text string) ([]byte, error) {
	text = strings.Join(strings.Fields(text), "")
	text = strings.TrimRight(text, "=")
	return base64.RawStdEncoding.DecodeString(text)
}

func parseDER(kind string, der []byte) (*rsa.PrivateKey, error) {
	switch kind {
	case "", "PRIVATE KEY", "RSA PRIVATE KEY":
	case "EC PRIVATE KEY":
		return nil, wrongAlgorithm("an EC key")
	case "DSA PRIVATE KEY":
		return nil, wrongAlgorithm("a DSA key")
	case "OPENSSH PRIVATE KEY":
		return nil, &KeyError{"this is an OpenSSH key", makeAnother}
	case "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE":
		return nil, publicHalf(kind)
	default:
		return nil, &KeyError{"this is a PEM block of another kind than a private key", pasteWhole}
	}
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if key, ok := key.(*rsa.PrivateKey); ok {
			return key, nil
		}
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if other := otherAlgorithm(der); other != "" {
		return nil, wrongAlgorithm(other)
	}
	if _, err := x509.ParseECPrivateKey(der); err == nil {
		return nil, wrongAlgorithm("an EC key")
	}
	if _, err := x509.ParsePKIXPublicKey(der); err == nil {
		return nil, publicHalf("PUBLIC KEY")
	}
	if kind == "" && !bytes.HasPrefix(der, []byte{0x30, 0x82}) { // as a sequence of more than 255 bytes begins
		return nil, notAKey()
	}
	// x509's own words are kept out: some of them describe the key's numbers.
	return nil, &KeyError{"the key is damaged: it is base64, but not an RSA private key", pasteWhole}
}

// otherAlgorithm says for which algorithm a key in PKCS#8 is, if it is one and not for RSA. x509 can read few of them, but
// each says what it is.
func otherAlgorithm(der []byte) string {
	var info struct { // RFC 5208, section 5
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return ""
	}
	switch info.Algorithm.Algorithm.String() {
	case "1.2.840.113549.1.1.1":
		return ""
	case "1.2.840.113549.1.1.10":
		return "an RSA-PSS key"
	case "1.2.840.10045.2.1": // of any curve, SM2's as well
		return "an EC key"
	case "1.2.840.10040.4.1":
		return "a DSA key"
	case "1.3.101.110":
		return "an X25519 key"
	case "1.3.101.111":
		return "an X448 key"
	case "1.3.101.112":
		return "an Ed25519 key"
	case "1.3.101.113":
		return "an Ed448 key"
	default:
		return "a key of another algorithm"
	}
}

func wrongAlgorithm(what string) error {
	return &KeyError{"this is " + what + ", and Coze takes plain RSA keys only (RS256)", makeAnother}
}

func notAKey() error {
	return &KeyError{"this is not a private key: there is no -----BEGIN line, and it is not the base64 of one either", pasteWhole}
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
