package coze

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"coze-token/internal/fault"
)

// A Key is one of an app's key pairs. It prints as its id and fingerprint, never as its private
// half.
type Key struct {
	// ID is the public key's fingerprint as Coze's console shows it, the assertion's kid.
	ID string
	// Signer holds the private half: an *rsa.PrivateKey, a key in a hardware module, or a
	// [crypto.MessageSigner] where the host can only sign whole messages.
	Signer crypto.Signer
}

// public is the public half. It is nil if there is no key: Public panics for a nil *rsa.PrivateKey.
func (k Key) public() crypto.PublicKey {
	if private, ok := k.Signer.(*rsa.PrivateKey); k.Signer == nil || ok && private == nil {
		return nil
	}
	return k.Signer.Public()
}

// String, Format and MarshalText keep the private half out of prints, logs and JSON.
func (k Key) String() string {
	if public := k.public(); public != nil {
		return k.ID + " " + Fingerprint(public)
	}
	return k.ID
}
func (k Key) Format(s fmt.State, verb rune) { fmt.Fprint(s, k.String()) }
func (k Key) MarshalText() ([]byte, error)  { return []byte(k.String()), nil }

// Fingerprint is the SHA-256 of the public key's DER form, which tells keys apart in logs. It is
// not Coze's kid, whose algorithm is not published.
func Fingerprint(public crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "unknown"
	}
	sum := sha256.Sum256(der)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// Bounds of a private key. Coze's console makes keys of 2048 bits. RFC 7518 section 3.3 forbids
// smaller ones for RS256. Larger ones than 8192 bits only slow every signature down.
const (
	minKeyBits  = 2048
	maxKeyBits  = 8192
	maxKeyBytes = 64 << 10
)

// Remedies.
const (
	pasteWhole = "paste the whole private_key.pem that Coze's console let you download, " +
		"from -----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----"
	makeAnother = "create a key pair in the OAuth app's settings in Coze's console and use the private key it downloads"
)

// ParseKey reads an RSA private key from what people paste into a setting: PEM in PKCS#8 (what
// Coze's console makes) or PKCS#1 (what older openssl makes), with real line ends, CRLF, literal
// \n, on a single line, in quotes, or as the base64 of all that. It may stand among other PEM
// blocks, such as certificates. The error is a [fault.Fault] without a setting and never quotes the
// text.
func ParseKey(text string) (*rsa.PrivateKey, error) {
	if len(text) > maxKeyBytes {
		return nil, fault.New(fmt.Sprintf("the value is %d bytes long, far more than an RSA key", len(text)), pasteWhole)
	}
	text = unquote(text)
	if text == "" {
		return nil, fault.New("the value is empty", pasteWhole)
	}
	kind, der, err := decode(text)
	if err != nil {
		return nil, err
	}
	key, err := parseDER(kind, der)
	if err != nil {
		return nil, err
	}
	switch bits := key.N.BitLen(); {
	case bits < minKeyBits:
		return nil, fault.New(fmt.Sprintf("the RSA key has %d bits, too few for RS256", bits),
			"use one of 2048 bits or more: "+makeAnother)
	case bits > maxKeyBits:
		return nil, fault.New(fmt.Sprintf("the RSA key has %d bits, more than the %d that are of use", bits, maxKeyBits),
			"use one of 2048 to 4096 bits")
	}
	return key, nil
}

// unquote removes what a shell, a file format, a form or a URL left around and inside the text. No
// key in PEM or base64 has a backslash or a percent sign, so what they escape is certain.
func unquote(text string) string {
	text = strings.Map(func(r rune) rune {
		switch r {
		case '\uFEFF', '\u200B', '\u200C', '\u200D', '\u2060', '\r': // marks and spaces without width
			return -1
		}
		return r
	}, text)
	if strings.Contains(text, `\`) {
		text = unescape(text)
	}
	if strings.Contains(text, "%") {
		form := strings.Contains(text, "BEGIN+") // where + is a space
		if plain, err := url.PathUnescape(text); err == nil && !form {
			text = strings.ReplaceAll(plain, "\r", "")
		} else if plain, err := url.QueryUnescape(text); err == nil && form {
			text = strings.ReplaceAll(plain, "\r", "")
		}
	}
	text = strings.TrimSpace(text)
	if n := len(text); n > 1 && strings.Contains("\"'`", text[:1]) && text[0] == text[n-1] {
		text = strings.TrimSpace(text[1 : n-1])
	}
	return text
}

// unescape undoes escapes of JSON, YAML and shells, however often they were applied. A backslash at
// the end of a line continues it there.
func unescape(text string) string {
	for strings.Contains(text, `\\`) {
		text = strings.ReplaceAll(text, `\\`, `\`)
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, `\`)
		b.WriteString(before)
		if !found || rest == "" {
			return b.String()
		}
		code, err := uint64(0), error(nil)
		switch {
		case rest[0] == 'n':
			b.WriteByte('\n')
		case rest[0] == 'r':
		case rest[0] == 'u' && len(rest) >= 5:
			if code, err = strconv.ParseUint(rest[1:5], 16, 16); err != nil || code > unicode.MaxASCII {
				return text
			}
			b.WriteByte(byte(code))
			rest = rest[4:]
		default: // the character itself: \/ \" \' and a line end
			b.WriteByte(rest[0])
		}
		text = rest[1:]
	}
}

const pemBegin, pemEnd, pemDashes = "-----BEGIN", "-----END", "-----"

// decode finds the PEM block of the private key. Without PEM, the text is the base64 of a PEM text
// or of bare DER, which has no kind.
func decode(text string) (kind string, der []byte, err error) {
	if !strings.Contains(text, pemBegin) {
		raw, err := decodeBase64(text)
		if err != nil {
			return "", nil, notAKey()
		}
		if text = unquote(string(raw)); !strings.Contains(text, pemBegin) {
			return "", raw, nil
		}
	}
	b := findBlock(text)
	switch {
	case b.kind == "":
		return "", nil, fault.New("the -----BEGIN line is incomplete", pasteWhole)
	case !b.ended:
		return "", nil, fault.New("the key is cut off: it begins but has no -----END line",
			pasteWhole+" (in a dotenv file, put it in double quotes)")
	case b.kind == "ENCRYPTED PRIVATE KEY" || strings.Contains(b.body, "ENCRYPTED"):
		return "", nil, fault.New("the private key is encrypted with a passphrase",
			"decrypt it first: openssl pkey -in encrypted.pem -out private_key.pem")
	}
	der, err = decodeBase64(b.body)
	if err != nil {
		problem := "the text between the BEGIN and END lines is not base64"
		return "", nil, fault.New(problem+oddCharacter(b.body), pasteWhole)
	}
	return b.kind, der, nil
}

func decodeBase64(text string) ([]byte, error) {
	text = strings.Join(strings.Fields(text), "")
	for _, lost := range []string{"n", "rn"} { // of \n and \r\n, whose backslashes a shell took
		if strings.HasPrefix(text, lost+"MI") {
			text = withoutLost(text, lost)
		}
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "-", "+"), "_", "/") // the alphabet for URLs
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
}

// withoutLost removes what is left of the line ends of PEM, which has 64 characters on a line. The
// text stays as it is unless each line begins with it.
func withoutLost(text, lost string) string {
	body, ok := strings.CutSuffix(text, lost)
	if !ok {
		return text
	}
	var b strings.Builder
	for body != "" {
		line, ok := strings.CutPrefix(body[:min(len(body), 64+len(lost))], lost)
		if !ok {
			return text
		}
		b.WriteString(line)
		body = body[len(lost)+len(line):]
	}
	return b.String()
}

// oddCharacter names the first character that no base64 has, and what probably put it there. It
// says nothing else of the text.
func oddCharacter(text string) string {
	at := strings.IndexFunc(text, func(r rune) bool {
		return !(unicode.IsSpace(r) || r < unicode.MaxASCII && strings.ContainsRune(base64Letters, r))
	})
	if at < 0 {
		return ": a character is missing, or there is one too many"
	}
	odd, _ := utf8.DecodeRuneInString(text[at:])
	problem := fmt.Sprintf(": it has the character %q (%U)", odd, odd)
	switch odd {
	case '\\', '%', '&':
		problem += ", from an escape that could not be undone"
	case '*', '•', '…', '.':
		problem += ", as where a program hides or shortens a secret"
	}
	return problem
}

const base64Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="

// A block is a PEM block, which may be incomplete.
type block struct {
	kind  string // "" if the BEGIN line is incomplete
	body  string
	ended bool
}

// findBlock finds the first block of a private key: certificates, the public half and the
// parameters of a curve often stand before it. Without one it returns the first block. Blocks are
// read by their markers, not by their lines, because the lines are what gets lost.
func findBlock(text string) (first block) {
	for number := 0; ; number++ {
		_, rest, found := strings.Cut(text, pemBegin)
		if !found {
			return first
		}
		var b block
		kind, body, ok := strings.Cut(rest, pemDashes)
		if ok && strings.Trim(kind, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ") == "" {
			b.kind, rest = strings.TrimSpace(kind), body
		}
		b.body, _, _ = strings.Cut(rest, pemDashes)
		text = rest[len(b.body):]
		b.ended = strings.HasPrefix(text, pemEnd)
		if strings.HasSuffix(b.kind, "PRIVATE KEY") {
			return b
		}
		if number == 0 {
			first = b
		}
	}
}

func parseDER(kind string, der []byte) (*rsa.PrivateKey, error) {
	switch kind {
	case "", "PRIVATE KEY", "RSA PRIVATE KEY":
	case "EC PRIVATE KEY":
		return nil, wrongAlgorithm("an EC key")
	case "DSA PRIVATE KEY":
		return nil, wrongAlgorithm("a DSA key")
	case "OPENSSH PRIVATE KEY":
		return nil, fault.New("this is an OpenSSH key", makeAnother)
	case "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE":
		return nil, publicHalf(kind)
	default:
		return nil, fault.New("this is a PEM block of another kind than a private key", pasteWhole)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if key, ok := key.(*rsa.PrivateKey); ok && err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if other := algorithm(der); other != "" {
		return nil, wrongAlgorithm(other)
	}
	if _, err := x509.ParseECPrivateKey(der); err == nil {
		return nil, wrongAlgorithm("an EC key")
	}
	if _, err := x509.ParsePKIXPublicKey(der); err == nil {
		return nil, publicHalf("PUBLIC KEY")
	}
	if kind == "" && !strings.HasPrefix(string(der), "\x30\x82") { // a sequence of over 255 bytes
		return nil, notAKey()
	}
	// The words of x509 are kept out: some describe the key's numbers.
	return nil, fault.New("the key is damaged: it is base64, but not an RSA private key", pasteWhole)
}

// algorithm names the algorithm of a key in PKCS#8 if it is not RSA. x509 can read only some of
// them.
func algorithm(der []byte) string {
	var info struct { // RFC 5208, section 5
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return ""
	}
	name, known := algorithms[info.Algorithm.Algorithm.String()]
	if !known {
		return "a key of another algorithm"
	}
	return name
}

var algorithms = map[string]string{
	"1.2.840.113549.1.1.1":  "", // RSA
	"1.2.840.113549.1.1.10": "an RSA-PSS key",
	"1.2.840.10045.2.1":     "an EC key", // of any curve, SM2's too
	"1.2.840.10040.4.1":     "a DSA key",
	"1.3.101.110":           "an X25519 key",
	"1.3.101.111":           "an X448 key",
	"1.3.101.112":           "an Ed25519 key",
	"1.3.101.113":           "an Ed448 key",
}

func wrongAlgorithm(what string) error {
	return fault.New("this is "+what+", and Coze takes plain RSA keys only (RS256)", makeAnother)
}

func notAKey() error {
	return fault.New("this is not a private key: there is no -----BEGIN line, and it is not the base64 of one either",
		pasteWhole)
}

func publicHalf(kind string) error {
	return fault.New("this is the public half ("+kind+"), and signing takes the private one",
		"the public key stays in Coze's console; paste the private_key.pem that was downloaded when the pair was made")
}
