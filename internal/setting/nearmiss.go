package setting

import (
	"slices"
	"strings"

	edlib "github.com/hbollon/go-edlib"

	"coze-token/internal/fault"
)

// Most programs silently ignore a misspelt variable, and people search for it for a long time. Here
// it is pointed out. An ordinary environment is full of other programs' variables and must give no
// false alarm.

// A miss is a misspelt variable, the name that was meant, and the setting of that name.
type miss struct {
	wrong, right string
	row          *Row // nil: reported already
}

// misses are in the order of their wrong names.
type misses []miss

// nearMisses searches the environment for misspelt variables.
func (l List) nearMisses(env map[string]string, o Options) misses {
	known := make(map[string]*Row, 2*len(l)) // a map that grows costs a Worker's start a millisecond
	var candidates []string
	for _, row := range l.Rows() {
		for _, rank := range row.ranks() {
			for _, other := range rank {
				known[other.Name] = row
				if !other.Ambient {
					candidates = append(candidates, other.Name)
				}
			}
		}
	}
	var names []string
	for name, text := range env {
		if known[name] == nil && !blank(text) && len(name) <= 60 && !slices.Contains(o.Foreign, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	slices.Sort(candidates)
	var found misses
	for _, wrong := range names {
		right := Nearest(wrong, candidates)
		if right == "" {
			other := o.Mistaken[strings.ToUpper(wrong)]
			if other == "" || known[other].setIn(env) {
				continue
			}
			right = other
		}
		found = append(found, miss{wrong, right, known[right]})
	}
	return found
}

// Nearest is the candidate that a wrong name was meant for, or "". It forgives more slips in longer
// names: none but case and punctuation up to 5 letters, one up to 8, two beyond. A prefix of COZE_
// is forgiven as well.
func Nearest(wrong string, candidates []string) string {
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
		slips := min(edlib.OSADamerauLevenshteinDistance(letters, target),
			edlib.OSADamerauLevenshteinDistance(unprefixed, target))
		if slips <= allowed && slips < bestSlips {
			best, bestSlips = candidate, slips
		}
	}
	return best
}

// plain is a name without what people mistake most: case, _, -, dots and spaces.
func plain(name string) string {
	return strings.NewReplacer("_", "", "-", "", ".", "", " ", "").Replace(strings.ToUpper(name))
}

// pop is the first variable that was meant for the row, and the name that was meant. There is no
// warning of it then.
func (m misses) pop(row *Row) (wrong, right string) {
	for i := range m {
		if m[i].row == row {
			m[i].row = nil
			return m[i].wrong, m[i].right
		}
	}
	return "", ""
}

func (m misses) warnings() (warnings fault.List) {
	for _, miss := range m {
		if miss.row != nil {
			warnings = append(warnings, fault.New("is not a setting", "did you mean %s?", miss.right).Of(miss.wrong))
		}
	}
	return warnings
}
