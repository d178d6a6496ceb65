package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"coze-token/internal/fault"
	"coze-token/internal/guard"
	"coze-token/internal/message"
	"coze-token/internal/setting"
)

// KeyPrefix begins the keys that [NewKey] makes. So people and scanners recognise a leaked one, and
// a Bearer credential that begins so is never taken for a JWT.
const KeyPrefix = "ctk_"

// NewKey makes an API key with 260 random bits. It has letters, digits and the underscore, so that
// it survives every shell and file.
func NewKey() string { return KeyPrefix + rand.Text() + rand.Text() }

const hashPrefix = "sha256:"

// HashKey is what API_KEYS may hold in place of the key. A plain SHA-256 is enough: unlike
// passwords, keys are random.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hashPrefix + hex.EncodeToString(sum[:])
}

// Keys are the API keys of an app. Only their hashes are kept.
type Keys struct {
	redacted
	keys []key
}

type key struct {
	name    string
	sum     [sha256.Size]byte
	apps    []string // nil: all; "" is the app at /
	origins []string // nil: all
	last    string   // the last day on which it is good, as 2027-01-31 in UTC; empty: it does not end
	warned  *guard.Throttle
}

// Len is how many keys there are.
func (k *Keys) Len() int { return len(k.keys) }

// Callers are the callers of the keys, each with what it is limited to. k may be nil.
func (k *Keys) Callers() (callers []Caller) {
	if k == nil {
		return nil
	}
	for i := range k.keys {
		callers = append(callers, k.keys[i].caller())
	}
	return callers
}

// notice is how long before its end a key is warned of.
const notice = 30 * 24 * time.Hour

// Ending says which keys have ended or will within 30 days. k may be nil.
func (k *Keys) Ending(now time.Time) (warnings fault.List) {
	if k == nil {
		return nil
	}
	for i := range k.keys {
		k := &k.keys[i]
		switch {
		case k.ended(now):
			warnings.Add("the key %s ended on %s", "remove it, and give its caller a new one (coze-token key)", k.name, k.last)
		case k.ended(now.Add(notice)):
			warnings.Add("the key %s will end on %s",
				"add another under the same name (coze-token key makes one), and give that to its caller", k.name, k.last)
		}
	}
	return warnings
}

// ended reports whether the key's last day is over. Days that are written so compare as texts do.
func (k *key) ended(now time.Time) bool {
	return k.last != "" && now.UTC().Format(time.DateOnly) > k.last
}

// apiKeys is the [Method] of backends.
type apiKeys struct {
	*Keys
	now func() time.Time
	log *slog.Logger
}

// Identify implements [Method]. An unknown key is not an error here: it may be another method's
// credential.
func (k apiKeys) Identify(_ context.Context, c *Credentials) (Caller, bool, *Error) {
	if c.Sent == "" {
		return Caller{}, false, nil
	}
	found := k.find(c.Sent)
	if found == nil {
		return Caller{}, false, nil
	}
	if found.last == "" {
		return found.caller(), true, nil
	}
	now := k.now()
	if found.ended(now) {
		return Caller{}, false, refuse(http.StatusUnauthorized, APIKeyEnded, KeyEnded,
			"the API key %s ended on %s", "ask whoever runs the service for a new one", found.name, found.last)
	}
	if found.ended(now.Add(notice)) { // whoever watches the log need not have seen the start
		if _, ok := found.warned.Allow(now); ok {
			k.log.Warn("an API key is in use that will end", "key", found.name, "until", found.last)
		}
	}
	return found.caller(), true, nil
}

// Scheme implements [Method].
func (apiKeys) Scheme() string { return bearerScheme }

// Accepts implements [Method].
func (apiKeys) Accepts() message.Format { return "an API key, as Authorization: Bearer or X-API-Key" }

// find looks a credential up. It compares with every key, in constant time and to the end, so that
// its duration tells neither which key matches nor whether one does (security check 9).
func (k *Keys) find(credential string) *key {
	sum := sha256.Sum256([]byte(credential))
	at := -1
	for i := range k.keys {
		at = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], k.keys[i].sum[:]), i, at)
	}
	if at < 0 {
		return nil
	}
	return &k.keys[at]
}

func (k *key) caller() Caller {
	return Caller{Mode: ModeKey, Name: k.name, MayNameUsers: true, Apps: k.apps, Origins: k.origins}
}

// Bounds of keys, in characters. 32 hexadecimal digits are 128 bits. How random a key is cannot be
// seen, but a lack of different characters can.
const (
	minKey      = 32
	maxKey      = 512
	minDistinct = 8
	maxKeyName  = 31 // below minKey, so that a key in the name's place is not taken for a name and quoted
	maxKeys     = 1000
	maxAppName  = 64
)

// APIKeys are the keys of backends.
var APIKeys = setting.New(secretRow("API_KEYS"), parseKeys)

func parseKeys(v *setting.Value) *Keys {
	keys, err := ParseKeys(v.Text())
	v.Report(err)
	if err == nil {
		v.ReportWarnings(keys.Ending(time.Now()))
	}
	return keys
}

// ParseKeys reads the text of API_KEYS. Keys are separated by commas, semicolons or line ends. Each
// is
//
//	name=key
//	name=sha256:hex
//
// After a space may follow what the key is limited to, with "|" between several values:
//
//	name=key apps=/|sales origins=https://shop.example|https://www.shop.example
//
// and when it ends. This is the last day on which it is good, in UTC:
//
//	name=key until 2027-01-31
//
// "/" is the app that is served there. Two keys may have one name: so a key is replaced. A line
// that begins with # is a comment. The error, if there is one, is a [fault.List].
func ParseKeys(text string) (*Keys, error) {
	var entries []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for entry := range strings.FieldsFuncSeq(line, func(r rune) bool { return r == ',' || r == ';' }) {
			if entry = strings.TrimSpace(entry); entry != "" {
				entries = append(entries, entry)
			}
		}
	}
	var faults fault.List
	switch {
	case len(entries) == 0:
		faults.Add("holds no key", "add one (coze-token key makes one), or leave it out altogether")
	case len(entries) > maxKeys:
		faults.Add("holds %d keys, more than %d",
			"use a login or visitors for that many callers", len(entries), maxKeys)
		return nil, faults
	}
	keys := &Keys{}
	seen := map[[sha256.Size]byte]bool{}
	for i, entry := range entries {
		k, which, found := parseKey(entry, message.New("key %d", i+1))
		if len(found) == 0 && seen[k.sum] {
			found.Add("%s is the same key as another", "give each caller a key of its own (coze-token key makes one)", which)
		}
		seen[k.sum] = true
		faults = append(faults, found...)
		keys.keys = append(keys.keys, k)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return keys, nil
}

// parseKey reads one key. which is what messages call it, with its name once that is known.
func parseKey(entry string, which message.Text) (k key, _ message.Text, faults fault.List) {
	fields := strings.Fields(entry)
	name, secret, ok := strings.Cut(fields[0], "=")
	switch {
	case !ok || name == "" || secret == "":
		faults.Add("%s is not of the form name=key", "write name=key or name=sha256:hash, without spaces around the =", which)
		return k, which, faults
	case slices.Contains([]string{"apps", "origins", "until"}, strings.ToLower(name)):
		faults.Add("%s is named %s, which is a limit and not a key",
			"write the limits of a key after it, with a space between: name=key apps=a|b origins=https://x.example",
			which, strings.ToLower(name))
		return k, which, faults
	}
	k.name = name
	if !isName(name, maxKeyName) {
		faults.Add("%s has a name that is not one", `name it with 1 to 31 letters, digits, ".", "_", "-" or "@"`, which)
	} else if len(secret) > 8 { // a shorter one may be the padding of a key that stands in the name's place
		which = message.New("%s (%s)", which, name)
	}
	var f *fault.Fault
	if k.sum, f = hashOf(secret); f != nil {
		faults.Add("%s %s", "%s", which, f.Problem, f.Remedy)
	}
	for i := 1; i < len(fields); i++ {
		limit := fields[i]
		if limit == "until" && k.last == "" && i+1 < len(fields) {
			i++
			k.last, k.warned = fields[i], &guard.Throttle{}
			if _, err := time.Parse(time.DateOnly, k.last); err != nil {
				faults.Add("%s ends on a day that there is not", "write the last day on which it is good as until 2027-01-31",
					which)
			}
			continue
		}
		name, list, ok := strings.Cut(limit, "=")
		values := strings.Split(list, "|")
		switch {
		case ok && name == "apps" && k.apps == nil:
			k.apps = values
		case ok && name == "origins" && k.origins == nil:
			k.origins = values
		default:
			faults.Add("%s is followed by something that is not a limit", "write apps=…, origins=… and until 2027-01-31 "+
				"at most once each after a key, and a comma or a line end before the next key", which)
		}
	}
	for i, app := range k.apps {
		if app == "/" {
			k.apps[i] = ""
		} else if !isName(app, maxAppName) {
			faults.Add("%s is limited to an app whose name is not one",
				"name apps as the settings do, several separated by |, with / for the one that is served there", which)
			break
		}
	}
	for _, origin := range k.origins {
		if remedy := checkOrigin(origin); remedy != "" {
			faults.Add("%s is limited to an origin that no browser sends", remedy, which)
			break
		}
	}
	return k, which, faults
}

// hashOf is the hash of a key as it is configured: in clear, or hashed already.
func hashOf(text string) (sum [sha256.Size]byte, _ *fault.Fault) {
	if digits, hashed := strings.CutPrefix(text, hashPrefix); hashed {
		p, err := hex.DecodeString(digits)
		if err != nil || len(p) != len(sum) {
			f := fault.New("has a SHA-256 that is not 64 hexadecimal digits", "copy the line that coze-token key printed")
			return sum, &f
		}
		return [sha256.Size]byte(p), nil
	}
	const remedy = "make a key with: coze-token key"
	var f fault.Fault
	switch {
	case len(text) < minKey:
		f = fault.New("is %d characters long, which can be guessed: %d is the least", remedy,
			utf8.RuneCountInString(text), minKey)
	case len(text) > maxKey:
		f = fault.New("is longer than %d characters", remedy, maxKey)
	case repeats(text):
		f = fault.New("repeats the same few characters, which can be guessed", remedy)
	case !isToken(text):
		f = fault.New("has characters that a header cannot carry everywhere", remedy)
	case strings.HasPrefix(text, "eyJ") && strings.Count(text, ".") == 2:
		f = fault.New("is a JWT, which is not a key", remedy)
	default:
		return sha256.Sum256([]byte(text)), nil
	}
	return sum, &f
}

// repeats reports whether a secret consists of a few characters.
func repeats(text string) bool {
	distinct := map[rune]bool{}
	for _, r := range text {
		distinct[r] = true
	}
	return len(distinct) < minDistinct
}

// checkOrigin says what to do about a text that is not an origin as browsers send it (RFC 6454
// section 6.2): scheme, host, and a port that is not the scheme's own, in lower case.
func checkOrigin(text string) (remedy message.Format) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme == "" || u.Hostname() == "":
		return "write it as https://shop.example"
	case strings.Contains(text, "*"):
		return "write out each origin: a key takes no wildcards"
	case text != strings.ToLower(u.Scheme+"://"+u.Host):
		return "write it in lower case and end it with the host or the port, as https://shop.example"
	case u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80", strings.HasSuffix(u.Host, ":"):
		return "leave out the port that is the scheme's own"
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "write an international domain name in its xn-- form"
	}
	return ""
}
