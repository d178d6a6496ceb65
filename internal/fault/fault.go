// Package fault has the one type for what is wrong with a configuration. A small parser makes a
// fault without knowing which setting it reads; whoever knows puts the setting's name into it.
package fault

import (
	"errors"
	"strings"
)

// A Fault is one thing that is wrong with what somebody configured. It never quotes a secret.
type Fault struct {
	Setting string // the variable or file at fault, as its author knows it; empty where that is not known yet
	Problem string // what is wrong with it
	Remedy  string // what to do about it
}

// New is a fault of a setting that is not known yet.
func New(problem, remedy string) Fault { return Fault{Problem: problem, Remedy: remedy} }

// Error is the fault on one line.
func (f Fault) Error() string {
	line := f.Problem + "; " + f.Remedy
	if f.Setting != "" {
		line = f.Setting + ": " + line
	}
	return line
}

// A List is all that is wrong. Its order is the order in which it is shown.
type List []Fault

// Error has one line for each fault.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, f := range l {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Add appends a fault of a setting that is not known yet.
func (l *List) Add(problem, remedy string) { *l = append(*l, New(problem, remedy)) }

// Err is l as an error: nil if nothing is wrong.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	return l
}

// Settings are the names of the settings at fault, each once.
func (l List) Settings() []string {
	var names []string
	seen := map[string]bool{}
	for _, f := range l {
		if !seen[f.Setting] {
			seen[f.Setting] = true
			names = append(names, f.Setting)
		}
	}
	return names
}

// Of returns the faults that err is made of. An error of another type becomes one fault with its
// text.
func Of(err error) List {
	if err == nil {
		return nil
	}
	if list, ok := errors.AsType[List](err); ok {
		return list
	}
	if f, ok := errors.AsType[Fault](err); ok {
		return List{f}
	}
	return List{New(err.Error(), "correct it")}
}
