package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// A KeySpec is one API key as it is configured.
type KeySpec struct {
	redacted `json:"-"`
	// Name is for records: 1 to 31 letters, digits, ".", "_", "-" or "@". Two keys may share one, which is how a key is
	// replaced: both are the same caller while both live.
	Name string `json:"name"`
	// Key is the key, or "sha256:" and its hash in hexadecimal ([HashKey]).
	Key string `json:"key"`
	// Apps are the apps that the key is good for; "/" is the one at /, which has no name. Optional: all.
	Apps []string `json:"apps"`
	// Origins are the pages that the key may come from: scheme, host and port, as browsers send them. Optional: anything.
	Origins []string `json:"origins"`
}

// Bounds of a key that is configured in clear, in characters. 32 of hexadecimal are 128 bits, which is also what has to be
// random at least; how random they are cannot be seen, but a lack of different characters can.
const (
	minKey      = 32
	maxKey      = 512
	minDistinct = 8
	maxKeyName  = 31 // below minKey, so that a key in the name's place is not taken for a name, and quoted
	maxKeys     = 1000
)

// ParseKeys reads the text of API_KEYS. Keys are separated by commas, semicolons or line ends; each is
//
//	name=key
//	name=sha256:hex
//
// and may be followed, after spaces, by what it is limited to, several values separated by "|":
//
//	name=key apps=/|sales origins=https://shop.example|https://www.shop.example
//
// A line that begins with # says nothing. The error, if there is one, is [Faults].
func ParseKeys(text string) (*Keys, error) {
	var specs []KeySpec
	var faults Faults
	count := 0
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for entry := range strings.FieldsFuncSeq(line, func(r rune) bool { return r == ',' || r == ';' }) {
			if entry = strings.TrimSpace(entry); entry != "" {
				count++
				specs = append(specs, readEntry(entry, count, &faults))
			}
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return NewKeys(specs)
}

// readEntry reads one key of API_KEYS. number is its place.
func readEntry(entry string, number int, faults *Faults) (spec KeySpec) {
	which := fmt.Sprintf("key %d ", number)
	fields := strings.Fields(entry)
	name, secret, ok := strings.Cut(fields[0], "=")
	switch {
	case !ok || name == "" || secret == "":
		faults.add(which+"is not of the form name=key", "write name=key or name=sha256:hash, without spaces around the =")
		return spec
	case strings.EqualFold(name, "apps") || strings.EqualFold(name, "origins"):
		faults.add(which+"is named "+strings.ToLower(name)+", which is a limit and not a key", "write the limits of a key after it, with a space between: name=key apps=a|b origins=https://x.example")
		return spec
	}
	spec.Name, spec.Key = name, secret
	for _, limit := range fields[1:] {
		name, list, ok := strings.Cut(limit, "=")
		values := strings.Split(list, "|")
		switch {
		case ok && name == "apps" && spec.Apps == nil:
			spec.Apps = values
		case ok && name == "origins" && spec.Origins == nil:
			spec.Origins = values
		default:
			faults.add(which+"is followed by something that is not a limit", "write apps=… and origins=… at most once each after a key, and a comma or a line end before the next key")
		}
	}
	return spec
}

// NewKeys makes keys of their specifications. The error, if there is one, is [Faults].
func NewKeys(specs []KeySpec) (*Keys, error) {
	var faults Faults
	k := &Keys{}
	seen := map[[sha256.Size]byte]bool{}
	switch {
	case len(specs) == 0:
		faults.add("holds no key", "add one (coze-token key makes one), or leave it out altogether")
	case len(specs) > maxKeys:
		faults.add(fmt.Sprintf("holds %d keys, more than %d", len(specs), maxKeys), "use a login or visitors for that many callers")
		return nil, faults
	}
	for i, spec := range specs {
		before := len(faults)
		which := fmt.Sprintf("key %d ", i+1)
		if !isName(spec.Name, maxKeyName) {
			faults.add(which+"has a name that is not one", `name it with 1 to 31 letters, digits, ".", "_", "-" or "@"`)
		} else if len(spec.Key) > 8 { // else it may be a bit of padding, and what looks like a name the key
			which = fmt.Sprintf("key %d (%s) ", i+1, spec.Name)
		}
		sum, ok := readKey(which, spec.Key, &faults)
		if ok && seen[sum] {
			faults.add(which+"is the same key as another", "give each caller a key of its own (coze-token key makes one)")
		}
		seen[sum] = true
		if spec.Apps != nil && len(spec.Apps) == 0 || spec.Origins != nil && len(spec.Origins) == 0 {
			faults.add(which+"is limited to an empty list", "leave the list out, or say what is in it")
		}
		apps := slices.Clone(spec.Apps)
		for i, app := range apps {
			switch {
			case app == "/":
				apps[i] = ""
				continue
			case isName(app, maxAppName):
				continue
			}
			faults.add(which+"is limited to an app whose name is not one", "name apps as the settings do, several separated by |, with / for the one that is served there")
			break
		}
		for _, origin := range spec.Origins {
			if remedy := checkOrigin(origin); remedy != "" {
				faults.add(which+"is limited to an origin that no browser sends", remedy)
				break
			}
		}
		if len(faults) == before {
			k.keys = append(k.keys, key{name: spec.Name, sum: sum, apps: apps, origins: spec.Origins})
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return k, nil
}

// readKey is the hash of a key as it is configured.
func readKey(which, text string, faults *Faults) (sum [sha256.Size]byte, ok bool) {
	if digits, hashed := strings.CutPrefix(text, hashPrefix); hashed {
		p, err := hex.DecodeString(digits)
		if err != nil || len(p) != len(sum) {
			faults.add(which+"has a SHA-256 that is not 64 hexadecimal digits", "copy the line that coze-token key printed")
			return sum, false
		}
		return [sha256.Size]byte(p), true
	}
	const remedy = "make a key with: coze-token key"
	distinct := map[rune]bool{}
	for _, r := range text {
		distinct[r] = true
	}
	switch {
	case len(text) < minKey:
		faults.add(fmt.Sprintf("%sis %d characters long, which can be guessed: %d is the least", which, utf8.RuneCountInString(text), minKey), remedy)
	case len(text) > maxKey:
		faults.add(fmt.Sprintf("%sis longer than %d characters", which, maxKey), remedy)
	case len(distinct) < minDistinct:
		faults.add(which+"repeats the same few characters, which can be guessed", remedy)
	case !isToken(text):
		faults.add(which+"has characters that a header cannot carry everywhere", remedy)
	case strings.HasPrefix(text, "eyJ") && strings.Count(text, ".") == 2:
		faults.add(which+"is a JWT, which is not a key", remedy)
	default:
		return sha256.Sum256([]byte(text)), true
	}
	return sum, false
}

// maxAppName is the longest name of an app, in bytes.
const maxAppName = 64

// isName says whether text is a name: ASCII that needs no escape in a header, a path or a record.
func isName(text string, most int) bool {
	return text != "" && len(text) <= most && !strings.ContainsFunc(text, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-@", r))
	})
}

// checkOrigin says what to do about a text that is not an origin as browsers send it (RFC 6454, section 6.2): a scheme,
// a host, and a port that is not the scheme's own; in lower case and with nothing after.
func checkOrigin(text string) (remedy string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme == "" || u.Host == "" || u.Hostname() == "":
		return "write it as https://shop.example"
	case strings.ContainsAny(text, "*"):
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
