// Package message has the texts that people read. The code says each in English, once, where it
// happens. The English format is the key under which a catalogue has its translation, as gettext
// does it. So a reader of the code sees what is said, and a text without a translation is English.
package message

import "fmt"

// A Format is an English text with the verbs of package fmt. Untyped constants become formats by
// themselves, and texts that are put together with + do not compile. The tests of package chinese
// find every constant of this type, and want a translation of it.
type Format string

// A Text is a format and its arguments. It may be used as an error.
type Text struct {
	format Format
	args   []any
}

// New is a text. An argument that is itself a [Message] is translated with it.
func New(f Format, args ...any) Text { return Text{f, args} }

// Verbatim is a text that is the same in every language.
func Verbatim(text string) Text { return New("%s", text) }

// Foreign is a text from elsewhere, which a catalogue may know. It is never a format: whatever is in
// it is shown as it is.
func Foreign(text string) Message { return foreign(text) }

type foreign string

func (f foreign) String() string        { return string(f) }
func (f foreign) In(c Catalogue) string { return c.find(Format(f)) }

// A Message can be said in several languages.
type Message interface {
	// In says it in the catalogue's language: English without a catalogue.
	In(Catalogue) string
}

// String is the text in English.
func (t Text) String() string { return t.In(nil) }

// Error is the text in English.
func (t Text) Error() string { return t.In(nil) }

// Unwrap are the errors among the arguments.
func (t Text) Unwrap() (causes []error) {
	for _, arg := range t.args {
		if err, ok := arg.(error); ok {
			causes = append(causes, err)
		}
	}
	return causes
}

// In implements [Message].
func (t Text) In(c Catalogue) string {
	args := t.args
	if c != nil {
		args = make([]any, len(t.args))
		for i, arg := range t.args {
			if m, ok := arg.(Message); ok {
				arg = m.In(c)
			}
			args[i] = arg
		}
	}
	return fmt.Sprintf(c.find(t.format), args...)
}

// MarshalText makes records have the text in English.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// In implements [Message], for a format that is an argument and takes none itself. Any text may be
// one: what no catalogue knows stays as it is.
func (f Format) In(c Catalogue) string { return c.find(f) }

// Pair makes two texts, whose formats take their arguments from one list, one after the other.
func Pair(first, second Format, args ...any) (Text, Text) {
	n := min(first.verbs(), len(args))
	return New(first, args[:n:n]...), New(second, args[n:]...)
}

// verbs is how many arguments the format takes.
func (f Format) verbs() (n int) {
	for i := 0; i < len(f); i++ {
		if f[i] != '%' {
			continue
		}
		if i++; i < len(f) && f[i] != '%' {
			n++
		}
	}
	return n
}

// Join is a list with a separator, which is translated too.
func Join[M Message](list []M, separator Format) Message {
	parts := make([]Message, len(list))
	for i, m := range list {
		parts[i] = m
	}
	return joined{parts, separator}
}

type joined struct {
	parts     []Message
	separator Format
}

func (j joined) String() string { return j.In(nil) }

func (j joined) In(c Catalogue) string {
	text := ""
	for i, m := range j.parts {
		if i > 0 {
			text += j.separator.In(c)
		}
		text += m.In(c)
	}
	return text
}

// A Catalogue has the texts of one language. It is data that the linker lays out, so it costs a
// start nothing, and a program that does not use it does not contain it. Nil is English.
//
// Each entry is an English format and its translation, which takes the same arguments, in another
// order where it says so: %[2]s.
type Catalogue [][2]string

// find goes through the catalogue. That takes a few microseconds, and few texts are ever shown.
func (c Catalogue) find(f Format) string {
	for i := range c {
		if c[i][0] == string(f) {
			return c[i][1]
		}
	}
	return string(f)
}
