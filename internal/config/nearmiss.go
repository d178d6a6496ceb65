package config

import (
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// A misspelt variable is silently ignored by most programs, and looked for a long time. Here it is pointed out, as far as
// an ordinary environment, which is full of other programs' variables, gives no false alarm.

// otherNames are variables that people set for a setting whose spelling they are far from, and that other programs
// hardly use. They are pointed out only while the setting itself is not set.
var otherNames = map[string]string{
	"KEY_ID":                   "KID",
	"PUBLIC_KEY_ID":            "KID",
	"KEY_FINGERPRINT":          "KID",
	"JWT_KID":                  "KID",
	"PRIVATE_KEY_PATH":         "PRIVATE_KEY_FILE",
	"PRIVATE_KEY_FILE_PATH":    "PRIVATE_KEY_FILE",
	"OAUTH_CLIENT_ID":          "CLIENT_ID",
	"JWT_CLIENT_ID":            "CLIENT_ID",
	"JWT_OAUTH_CLIENT_ID":      "CLIENT_ID",
	"JWT_OAUTH_PRIVATE_KEY":    "PRIVATE_KEY",
	"JWT_OAUTH_PUBLIC_KEY_ID":  "KID",
	"TOKEN_TTL":                "TOKEN_DURATION",
	"TOKEN_URL":                "TOKEN_ENDPOINT",
	"COZE_API_URL":             baseName,
	"COZE_BASE_URL":            baseName,
	"COZE_ENDPOINT":            "TOKEN_ENDPOINT",
	"COZE_API_BASE_URL":        baseName,
	"COZE_TOKEN_URL":           "TOKEN_ENDPOINT",
	"COZE_JWT_OAUTH_KID":       "KID",
	"COZE_OAUTH_CLIENT_ID":     "CLIENT_ID",
	"COZE_OAUTH_PRIVATE_KEY":   "PRIVATE_KEY",
	"COZE_OAUTH_PUBLIC_KEY_ID": "KID",
}

// ordinary are names near to a setting's that other programs use, so that nothing can be concluded from them.
var ordinary = []string{"API_KEY"}

type miss struct{ wrong, right, setting string }

// misses are the misspelt variables, in the order of their names.
type misses []miss

// nearMisses looks through the environment once.
func nearMisses(env map[string]string) misses {
	known := map[string]*Setting{}
	for i := range Table {
		for _, name := range Table[i].Names() {
			known[name] = &Table[i]
		}
	}
	names := make([]string, 0, len(env))
	for name, text := range env {
		if known[name] == nil && !blank(text) && len(name) <= 60 && !slices.Contains(ordinary, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	candidates := make([]string, 0, len(known))
	for name := range known {
		if name != portName {
			candidates = append(candidates, name)
		}
	}
	slices.Sort(candidates)
	var found misses
	for _, wrong := range names {
		right := nearest(wrong, candidates)
		if right == "" {
			other := otherNames[strings.ToUpper(wrong)]
			if other == "" || known[other].setIn(env) {
				continue
			}
			right = other
		}
		found = append(found, miss{wrong, right, known[right].Name})
	}
	return found
}

// nearest is the known name that wrong was meant for, or "". The longer a name, the more slips are forgiven: none but
// case and punctuation up to 5 letters, one up to 8, two beyond. A prefix of COZE_ is forgiven as well.
func nearest(wrong string, candidates []string) string {
	letters := plain(wrong)
	unprefixed := strings.TrimPrefix(letters, "COZE")
	best, bestSlips := "", 3
	for _, candidate := range candidates {
		target := plain(candidate)
		if letters == target || unprefixed == target {
			return candidate
		}
		if strings.HasSuffix(strings.ToUpper(wrong), "_"+candidate) { // CF_ACCOUNT_ID is another program's
			continue
		}
		allowed := 2
		switch {
		case len(target) <= 5:
			continue
		case len(target) <= 8:
			allowed = 1
		}
		slips := min(levenshtein.ComputeDistance(letters, target), levenshtein.ComputeDistance(unprefixed, target))
		if slips <= allowed && slips < bestSlips {
			best, bestSlips = candidate, slips
		}
	}
	return best
}

// plain is a name without what is mistaken most: case, _, - and dots.
func plain(name string) string {
	return strings.NewReplacer("_", "", "-", "", ".", "", " ", "").Replace(strings.ToUpper(name))
}

// take is the first variable that was meant for the setting, and the name meant. It is not warned of any more.
func (m misses) take(s *Setting) (wrong, right string) {
	for i := range m {
		if m[i].setting == s.Name {
			m[i].setting = ""
			return m[i].wrong, m[i].right
		}
	}
	return "", ""
}

func (m misses) warnings() []Warning {
	var warnings []Warning
	for _, miss := range m {
		if miss.setting != "" {
			warnings = append(warnings, Warning{miss.wrong, "is not a setting", "did you mean " + miss.right + "?"})
		}
	}
	return warnings
}
