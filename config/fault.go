package config

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Fault is one thing that is wrong with the settings.
type Fault struct {
	Name    string // the variable at fault, as it is set
	Problem string // what is wrong with it, without the value of a secret
	Remedy  string // what to do about it
}

// Error is the fault on one line.
func (f Fault) Error() string { return f.Name + ": " + f.Problem + "; " + f.Remedy }

// Faults are all that is wrong, in the order of [Table] and then of the rules between settings.
type Faults []Fault

// Error has one line per fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// Names are the variables at fault, each once: all that a stranger is told.
func (f Faults) Names() []string {
	var names []string
	seen := map[string]bool{}
	for _, fault := range f {
		if !seen[fault.Name] {
			seen[fault.Name] = true
			names = append(names, fault.Name)
		}
	}
	return names
}

// A Warning is something that works and is probably not meant.
type Warning struct {
	Name    string
	Problem string
	Remedy  string
}

// String is the warning on one line.
func (w Warning) String() string { return w.Name + ": " + w.Problem + "; " + w.Remedy }

// maxQuoted is the length in bytes up to which a value is quoted in a message.
const maxQuoted = 100

// quoted is a value as messages show it: on one line, and not at all when it is long or looks like a key, because it
// may be a secret that was put into the wrong variable.
func quoted(text string) string {
	switch {
	case strings.Contains(text, "-----"):
		return "what looks like a key"
	case len(text) > maxQuoted:
		return "a text of " + strconv.Itoa(utf8.RuneCountInString(text)) + " characters"
	default:
		return strconv.Quote(text)
	}
}
