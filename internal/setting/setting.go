// Package setting is the engine that reads settings from environment variables. It knows no
// setting.
//
// A feature declares its settings as variables beside the code that uses them, and reads them from
// a [Reader]:
//
//	var lifetime = setting.New(setting.Row{Name: "LIFETIME", Default: "60", Min: 1, Max: 600}, setting.Seconds)
//
//	func Read(r *setting.Reader) time.Duration { return lifetime.Get(r) }
//
// The program lists all settings once and opens a Reader over the environment. The Reader finds
// every fault, and each fault names the variable, what is wrong with it and what to do. No fault
// and no warning quotes the value of a secret. It quotes no value that is long or looks like a
// secret either, since people mix up variables.
//
// # Where a value comes from
//
// A setting's own name wins over its other names, and the environment wins over a configuration
// file. A variable that is empty or blank is not set: compose files and deployment forms write
// "nothing" so.
//
// # How a value is read
//
// White space around a value is dropped. One pair of quotes around all of it is dropped too, with a
// warning: docker --env-file and several dashboards keep the quotes that a shell would remove.
package setting

import "coze-token/internal/message"

// A Row says what a setting is. All of it but the name is optional.
type Row struct {
	// Name is the environment variable.
	Name string
	// Default is the value of a setting that is not set, as somebody would write it. Empty: none.
	Default string
	// WorkersDefault takes Default's place on Workers, where memory is short.
	WorkersDefault string
	// Min and Max are the bounds of a number, both included.
	Min, Max int64
	// Required is what to do about a setting that is missing. Empty: it need not be set.
	Required message.Format
	// Secret settings are never shown. They can also be read from the file that the variable
	// NAME_FILE names.
	Secret bool
	// HoldsKey says that a private key may stand in it. In other settings one is refused before it
	// is parsed.
	HoldsKey bool
	// Host is where the setting has a meaning. It is a fault elsewhere.
	Host Host
	// App says what the setting is to the apps of a service with several.
	App Scope
	// Others are further names. They are read when the setting's own name is not set, and exclude
	// one another.
	Others []Other
}

// A Host is a kind of program that can use a setting.
type Host int

// The hosts.
const (
	AnyHost Host = iota
	Native       // the native server
	Workers      // Cloudflare Workers
)

// A Scope says what a setting is to one of several apps. Any other value than these three is a
// group: an app that sets one setting of a group inherits none of the group.
type Scope string

// The scopes.
const (
	Service Scope = ""       // one for the whole service
	Own     Scope = "own"    // an app that does not set it has none
	Shared  Scope = "shared" // an app that does not set it has the service's
)

// An Other is a further name of a setting.
type Other struct {
	Name string
	// File says that the variable names a file with the value.
	File bool
	// Ambient says that platforms set the variable unasked. It is never a reason for a fault or a
	// warning.
	Ambient bool
	// Agrees reports whether two different texts of the setting's own name and of this one say the
	// same. Optional.
	Agrees func(own, other string) bool
}

// A Setting is a [Var] of any type.
type Setting interface {
	row() *Row
	parse(v *Value) any
}

// A Var is one setting, with the type of its value.
type Var[T any] struct {
	r  Row
	do func(*Value) T
}

// New declares a setting. parse reads its text. It reports what is wrong to the value, and what it
// returns then is not used.
func New[T any](row Row, parse func(*Value) T) *Var[T] { return &Var[T]{row, parse} }

// Get returns the value that r found: the zero value if the setting has neither a value nor a
// default, or is at fault.
func (s *Var[T]) Get(r *Reader) T {
	value, _ := s.Lookup(r)
	return value
}

// Lookup is Get, and reports whether there is a value.
func (s *Var[T]) Lookup(r *Reader) (T, bool) {
	r.got[s.r.Name] = true
	value, ok := r.values[s.r.Name].(T)
	return value, ok
}

func (s *Var[T]) row() *Row          { return &s.r }
func (s *Var[T]) parse(v *Value) any { return s.do(v) }

// A List is all settings of a program, in the order in which they are read and their faults are
// shown.
type List []Setting

// Rows are the settings' rows, for documentation and tests.
func (l List) Rows() []*Row {
	rows := make([]*Row, len(l))
	for i, s := range l {
		rows[i] = s.row()
	}
	return rows
}

// Names are all the variables that set the row, its own first.
func (row *Row) Names() []string {
	var names []string
	for _, rank := range row.ranks() {
		for _, other := range rank {
			names = append(names, other.Name)
		}
	}
	return names
}

// ranks are the variables of the setting. Those of one rank exclude one another. A later rank is
// read when no variable of an earlier one is set.
func (row *Row) ranks() [][]Other {
	own := []Other{{Name: row.Name}}
	if row.Secret {
		own = append(own, Other{Name: row.Name + "_FILE", File: true})
	}
	return [][]Other{own, row.Others}
}
