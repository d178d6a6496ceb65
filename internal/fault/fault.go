// Package fault has the one type for what is wrong with a configuration. A small parser makes a
// fault without knowing which setting it reads; whoever knows puts the setting's name into it.
package fault

import (
	"errors"
	"strings"

	"coze-token/internal/message"
)

// A Fault is one thing that is wrong with what somebody configured. It never quotes a secret.
type Fault struct {
	Setting string       // the variable or file at fault, as its author knows it; empty where that is not known yet
	Problem message.Text // what is wrong with it
	Remedy  message.Text // what to do about it
}

// New is a fault of a setting that is not known yet. The arguments are those of the problem and then
// those of the remedy.
func New(problem, remedy message.Format, args ...any) Fault {
	var f Fault
	f.Problem, f.Remedy = message.Pair(problem, remedy, args...)
	return f
}

// Of is the fault as one of a setting.
func (f Fault) Of(setting string) Fault {
	f.Setting = setting
	return f
}

// Error is the fault on one line, in English.
func (f Fault) Error() string { return f.In(nil) }

// In implements [message.Message].
func (f Fault) In(c message.Catalogue) string {
	if f.Setting == "" {
		return message.New("%s; %s", f.Problem, f.Remedy).In(c)
	}
	return message.New("%s: %s; %s", f.Name(), f.Problem, f.Remedy).In(c)
}

// Name is what messages call the setting: a variable, or a member of a file.
func (f Fault) Name() message.Text {
	if member, file, ok := strings.Cut(f.Setting, " in "); ok {
		return message.New("%s in %s", message.Foreign(member), file)
	}
	return message.Verbatim(f.Setting)
}

// A List is all that is wrong. Its order is the order in which it is shown.
type List []Fault

// Error has one line for each fault, in English.
func (l List) Error() string { return l.In(nil) }

// In implements [message.Message].
func (l List) In(c message.Catalogue) string { return message.Join(l, "\n").In(c) }

// Add appends a fault of a setting that is not known yet.
func (l *List) Add(problem, remedy message.Format, args ...any) {
	*l = append(*l, New(problem, remedy, args...))
}

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
	return List{New("%s", "correct it", err)}
}
