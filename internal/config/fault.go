package config

import "strings"

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

// holdsKey says whether a text holds a private key: in PEM, as it is or in base64, or the base64 of its DER without the lines
// around it, as it is when a form or a shell took them for something else. Of bare DER it knows what RSA keys begin with,
// and certificates and public keys as well, which belong into no setting either.
func holdsKey(text string) bool {
	if strings.Contains(text, "PRIVATE KEY-----") {
		return true
	}
	if len(text) < leastKey {
		return false
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, `\n`, ""), `\r`, "")
	text = strings.Trim(strings.Join(strings.Fields(text), ""), "\"'`=")
	bare := strings.HasPrefix(text, "MII") || strings.HasPrefix(text, "LS0tLS1CRUdJTi") // 30 82, -----BEGIN
	return bare && !strings.ContainsFunc(text, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '+' || r == '/')
	})
}

// leastKey is fewer bytes than the base64 of any RSA key has.
const leastKey = 200
