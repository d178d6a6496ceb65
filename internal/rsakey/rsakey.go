// Package rsakey reads RSA private keys from what people paste into a setting, and says what is
// wrong with one. It is the same for both hosts. Of a key it returns the numbers: crypto/rsa signs
// with them natively and WebCrypto on Workers.
//
// It does without crypto/x509, which knows much more than this needs and would make the Worker's
// module half a megabyte larger.
package rsakey

import (
	"cmp"
	"encoding/base64"
	"math/big"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"coze-token/internal/fault"
	"coze-token/internal/message"
)

// A Key holds the numbers of an RSA key of two primes, as unsigned big-endian bytes without leading
// zeros. They belong together: their names are those of RFC 7518 section 6.3.
type Key struct{ N, E, D, P, Q, DP, DQ, QI []byte }

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

// Parse reads a key in one of the forms that coze.ParseKey documents. The error is a [fault.Fault]
// without a setting and never quotes the text.
func Parse(text string) (Key, error) {
	if len(text) > maxKeyBytes {
		return Key{}, fault.New("the value is %d bytes long, far more than an RSA key", pasteWhole, len(text))
	}
	text = unquote(text)
	if text == "" {
		return Key{}, fault.New("the value is empty", pasteWhole)
	}
	if strings.HasPrefix(text, "pat_") {
		return Key{}, fault.New("this is a personal access token (PAT), not a private key", makeAnother)
	}
	kind, der, err := decode(text)
	if err != nil {
		return Key{}, err
	}
	key, err := parseDER(kind, der)
	if err != nil {
		return Key{}, err
	}
	switch bits := new(big.Int).SetBytes(key.N).BitLen(); {
	case bits < minKeyBits:
		return Key{}, fault.New("the RSA key has %d bits, too few for RS256",
			"use one of 2048 bits or more: "+makeAnother, bits)
	case bits > maxKeyBits:
		return Key{}, fault.New("the RSA key has %d bits, more than the %d that are of use",
			"use one of 2048 to 4096 bits", bits, maxKeyBits)
	case !key.consistent():
		return Key{}, Damaged()
	}
	return key, nil
}

// consistent reports whether the numbers belong together. That the primes are prime is not tested.
func (k *Key) consistent() bool {
	number := func(p []byte) *big.Int { return new(big.Int).SetBytes(p) }
	one := big.NewInt(1)
	mod := func(x, m *big.Int) *big.Int { return new(big.Int).Mod(x, m) }
	product := func(x, y *big.Int) *big.Int { return new(big.Int).Mul(x, y) }
	n, e, d, p, q := number(k.N), number(k.E), number(k.D), number(k.P), number(k.Q)
	if e.BitLen() < 2 || e.BitLen() > 31 || p.Cmp(one) <= 0 || q.Cmp(one) <= 0 || product(p, q).Cmp(n) != 0 {
		return false
	}
	ed, p1, q1 := product(e, d), new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
	return mod(ed, p1).Cmp(one) == 0 && mod(ed, q1).Cmp(one) == 0 &&
		mod(d, p1).Cmp(number(k.DP)) == 0 && mod(d, q1).Cmp(number(k.DQ)) == 0 &&
		mod(product(q, number(k.QI)), p).Cmp(one) == 0 && number(k.QI).Cmp(p) < 0
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
		return "", nil, fault.New("the text between the BEGIN and END lines is not base64: %s", pasteWhole,
			oddCharacter(b.body))
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
func oddCharacter(text string) message.Text {
	at := strings.IndexFunc(text, func(r rune) bool {
		return !(unicode.IsSpace(r) || r < unicode.MaxASCII && strings.ContainsRune(base64Letters, r))
	})
	if at < 0 {
		return message.New("a character is missing, or there is one too many")
	}
	odd, _ := utf8.DecodeRuneInString(text[at:])
	switch odd {
	case '\\', '%', '&':
		return message.New("it has the character %q (%U), from an escape that could not be undone", odd, odd)
	case '*', '•', '…', '.':
		return message.New("it has the character %q (%U), as where a program hides or shortens a secret", odd, odd)
	}
	return message.New("it has the character %q (%U)", odd, odd)
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

func parseDER(kind string, p []byte) (Key, error) {
	switch kind {
	case "", "PRIVATE KEY", "RSA PRIVATE KEY":
	case "EC PRIVATE KEY":
		return Key{}, wrongAlgorithm("an EC key")
	case "DSA PRIVATE KEY":
		return Key{}, wrongAlgorithm("a DSA key")
	case "OPENSSH PRIVATE KEY":
		return Key{}, fault.New("this is an OpenSSH key", makeAnother)
	case "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE":
		return Key{}, publicHalf(kind)
	default:
		return Key{}, fault.New("this is a PEM block of another kind than a private key", pasteWhole)
	}
	switch algorithm, rest := structure(p); {
	case algorithm == rsaPrivate:
		return rsaNumbers(rest)
	case algorithm == publicKey:
		return Key{}, publicHalf("PUBLIC KEY")
	case algorithm != "":
		return Key{}, wrongAlgorithm(algorithm)
	}
	if kind == "" && !strings.HasPrefix(string(p), "\x30\x82") { // a sequence of over 255 bytes
		return Key{}, notAKey()
	}
	return Key{}, Damaged()
}

// What structure found, beside the names of other algorithms.
const (
	rsaPrivate message.Format = "an RSA key"
	publicKey  message.Format = "a public key"
)

// structure says what p is: the algorithm of a private key, or "" if it is none. Of an RSA key, it
// returns what is in it in PKCS#1.
func structure(p []byte) (algorithm message.Format, numbers der) {
	rest := der(p)
	all, ok := rest.next(tagSequence)
	if !ok || len(rest) > 0 {
		return "", nil
	}
	if first := all; algorithmOf(&first) != "" {
		if _, ok := first.next(tagBits); ok { // RFC 5280 section 4.1
			return publicKey, nil
		}
	}
	numbers = all
	if _, ok := all.integer(); !ok { // the version
		return "", nil
	}
	switch {
	case len(all) == 0:
		return "", nil
	case all[0] == tagInteger: // RFC 8017 appendix A.1.2
		return rsaPrivate, numbers
	case all[0] == tagBytes: // RFC 5915
		return "an EC key", nil
	}
	switch oid := algorithmOf(&all); {
	case oid == "":
		return "", nil
	case oid != oidRSA: // RFC 5208 section 5
		return cmp.Or(algorithms[oid], "a key of another algorithm"), nil
	}
	key, _ := all.next(tagBytes)
	if numbers, ok = key.next(tagSequence); !ok || len(key) > 0 {
		return "", nil
	}
	return rsaPrivate, numbers
}

// algorithmOf reads an AlgorithmIdentifier, and returns its OID, or "" if it is none.
func algorithmOf(d *der) (oid string) {
	identifier, _ := d.next(tagSequence)
	id, _ := identifier.next(tagOID)
	return string(id)
}

// rsaNumbers reads what is in a key in PKCS#1 (RFC 8017 appendix A.1.2).
func rsaNumbers(s der) (k Key, err error) {
	version, ok := s.integer()
	for _, to := range []*[]byte{&k.N, &k.E, &k.D, &k.P, &k.Q, &k.DP, &k.DQ, &k.QI} {
		if *to, ok = s.integer(); !ok {
			return Key{}, Damaged()
		}
	}
	switch {
	case string(version) == "\x01":
		return Key{}, fault.New("the RSA key has more than two primes", makeAnother)
	case len(version) > 0 || len(s) > 0:
		return Key{}, Damaged()
	}
	return k, nil
}

// oidRSA is the algorithm of RSA keys, 1.2.840.113549.1.1.1, as it stands in DER. So are those of
// algorithms.
const oidRSA = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"

var algorithms = map[string]message.Format{
	"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a": "an RSA-PSS key", // 1.2.840.113549.1.1.10
	"\x2a\x86\x48\xce\x3d\x02\x01":         "an EC key",      // 1.2.840.10045.2.1, of any curve, SM2's too
	"\x2a\x86\x48\xce\x38\x04\x01":         "a DSA key",      // 1.2.840.10040.4.1
	"\x2b\x65\x6e":                         "an X25519 key",  // 1.3.101.110
	"\x2b\x65\x6f":                         "an X448 key",    // 1.3.101.111
	"\x2b\x65\x70":                         "an Ed25519 key", // 1.3.101.112
	"\x2b\x65\x71":                         "an Ed448 key",   // 1.3.101.113
}

// Damaged is the fault of a key that can be read and is none.
func Damaged() error {
	return fault.New("the key is damaged: it is base64, but not an RSA private key", pasteWhole)
}

func wrongAlgorithm(what message.Format) error {
	return fault.New("this is %s, and Coze takes plain RSA keys only (RS256)", makeAnother, what)
}

func notAKey() error {
	return fault.New("this is not a private key: there is no -----BEGIN line, and it is not the base64 of one either",
		pasteWhole)
}

func publicHalf(kind string) error {
	return fault.New("this is the public half (%s), and signing takes the private one",
		"the public key stays in Coze's console; paste the private_key.pem that was downloaded when the pair was made",
		kind)
}
