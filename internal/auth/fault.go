package auth

import "strings"

// A Fault is one thing that is wrong with the settings of this package. It never quotes a secret.
type Fault struct {
	Problem string
	Remedy  string
}

// Error is the fault on one line.
func (f Fault) Error() string { return f.Problem + "; " + f.Remedy }

// Faults are all that is wrong. A constructor of this package that fails returns Faults.
type Faults []Fault

// Error has one line per fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

func (f *Faults) add(problem, remedy string) { *f = append(*f, Fault{problem, remedy}) }

// err is f as an error, which is nil where there is no fault.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
