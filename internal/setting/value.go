package setting

import (
	"encoding/json"
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"coze-token/internal/fault"
	"coze-token/internal/message"
	"coze-token/internal/quote"
)

// A Value is the text of a setting on its way through its parser.
type Value struct {
	Row *Row
	// Name is the variable that the text stands in: one of the row's names.
	Name   string
	text   string
	reader *Reader
	whole  *Value // of which this is a part; nil: of none
	// exposed is the file that holds the text, if every user of this machine can read it.
	exposed string
	faulty  bool
	kept    bool
}

// Text is the text: not empty, without white space around it, and, but for secrets, without quotes
// around it.
func (v *Value) Text() string { return v.text }

// Item is one item of a list in v, for a parser of items. What is wrong with it is wrong with v.
func (v *Value) Item(text string) *Value {
	return &Value{Row: v.Row, Name: v.Name, text: text, reader: v.reader, whole: v}
}

// Part is a part of v that messages call by v's name and its own.
func (v *Value) Part(name string) *Value {
	return &Value{Row: v.Row, Name: v.Name + "." + name, reader: v.reader, whole: v}
}

// Fault reports what is wrong with the text. It must not quote a secret.
func (v *Value) Fault(problem, remedy message.Format, args ...any) {
	v.report(fault.New(problem, remedy, args...))
}

func (v *Value) report(f fault.Fault) {
	v.reader.report(v.Name, f)
	for ; v != nil; v = v.whole {
		v.faulty = true
	}
}

// Warn reports what works and is probably not meant.
func (v *Value) Warn(problem, remedy message.Format, args ...any) {
	v.reader.warn(v.Name, problem, remedy, args...)
}

// Report reports the faults that err consists of, if any.
func (v *Value) Report(err error) {
	for _, f := range fault.Of(err) {
		v.report(f)
	}
}

// ReportWarnings reports warnings that a parser found.
func (v *Value) ReportWarnings(warnings fault.List) {
	for _, w := range warnings {
		v.reader.warning(v.Name, w)
	}
}

// Keep says that the parsed value is of use in spite of a fault, which is of a part of it.
func (v *Value) Keep() { v.kept = true }

// OK reports whether nothing was found wrong with the text so far.
func (v *Value) OK() bool { return !v.faulty }

// Members are what an app of a service with several can set: [Reader.Members].
func (v *Value) Members() []string { return v.reader.Members() }

// IsMember reports whether an app can set the variable.
func (v *Value) IsMember(variable string) bool { return v.reader.isMember(variable) }

// Text parses a text of any form.
func Text(v *Value) string { return v.text }

// SecretText parses a secret of any form.
func SecretText(v *Value) Secret { return NewSecret(v.text) }

const (
	on  = "on"
	off = "off"
)

// Off is the word for "none" in settings that have a number otherwise.
const Off = off

// OnOff parses on or off, or what JSON has for them.
func OnOff(v *Value) bool {
	switch strings.ToLower(v.text) {
	case "true":
		return true
	case "false":
		return false
	}
	return Choice(on, off)(v) == on
}

// Choice makes a parser of one of a few words, in any case.
func Choice(words ...string) func(*Value) string {
	return func(v *Value) string {
		for _, word := range words {
			if strings.EqualFold(v.text, word) {
				return word
			}
		}
		last := len(words) - 1
		v.Fault("is %s, which is not one of its values",
			"use %s or %s", quote.Text(v.text), strings.Join(words[:last], ", "), words[last])
		return ""
	}
}

// Items parses a list with commas in it. A list that is set and has nothing in it is a fault: it
// means something else than a list that is not set.
func Items(v *Value) []string {
	var items []string
	for item := range strings.SplitSeq(v.text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	if items == nil {
		v.Empty()
	}
	return items
}

// Empty reports that the text is a list with nothing in it.
func (v *Value) Empty() { v.Fault("is a list with nothing in it", "say what is in it, or remove it") }

// maxWord is more bytes than any id has.
const maxWord = 256

// Word parses an identifier: printable ASCII without spaces, quotes or brackets.
func Word(v *Value) string {
	strange := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"'`<>{}", r) }
	switch {
	case len(v.text) > maxWord:
		v.Fault("is %d bytes long, more than any id", "copy the id alone from Coze's console", len(v.text))
	case strings.ContainsFunc(v.text, strange), strings.Trim(v.text, ".") == "": // dots alone would change a path
		v.Fault("is %s, which has characters that no id has",
			"copy the id alone from Coze's console, without quotes, brackets or spaces", quote.Text(v.text))
	}
	return v.text
}

const seconds message.Format = "a whole number of seconds"

// Seconds parses a whole number of seconds within the row's bounds.
func Seconds(v *Value) time.Duration { return time.Duration(v.Whole(seconds)) * time.Second }

// Whole parses a whole number within the row's bounds.
func Whole(v *Value) int { return int(v.Whole("a whole number")) }

// Whole parses a whole number within the row's bounds. Messages call it what. A number out of bounds
// is a fault and is never clamped: whoever wrote it expects it to hold.
func (v *Value) Whole(what message.Format) int64 {
	remedy := message.New("use %s from %d to %d", what, v.Row.Min, v.Row.Max)
	number, err := strconv.ParseInt(v.text, 10, 64)
	notDigit := func(r rune) bool { return r < '0' || r > '9' }
	digits := v.text != "" && !strings.ContainsFunc(strings.TrimPrefix(v.text, "-"), notDigit)
	switch {
	case digits && err != nil: // too many digits for an int64
		v.Fault("is %s, out of range", "%s", quote.Text(v.text), remedy)
	case !digits:
		if d, err := time.ParseDuration(v.text); err == nil && what == seconds && d%time.Second == 0 {
			remedy = message.New("%s: %s is %d", remedy, v.text, d/time.Second)
		}
		v.Fault("is %s, not %s", "%s", quote.Text(v.text), what, remedy)
	case number < v.Row.Min:
		v.Fault("is %d, below the minimum of %d", "%s", number, v.Row.Min, remedy)
	case number > v.Row.Max:
		v.Fault("is %d, above the maximum of %d", "%s", number, v.Row.Max, remedy)
	}
	return number
}

// JSON is the text as JSON. A host that reads YAML turns YAML into it.
func (v *Value) JSON() ([]byte, error) {
	if v.reader.options.YAML == nil || strings.HasPrefix(v.text, "{") {
		return []byte(v.text), nil
	}
	return v.reader.options.YAML([]byte(v.text))
}

// NotJSON says why a text could not be read as what it should be. The decoder's own words would
// quote the text.
func NotJSON(err error, text []byte, want message.Format) message.Text {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return message.New("is not valid JSON: wrong at byte %d of %d", syntax.Offset, len(text))
	}
	return message.New("is not %s", want)
}

// NoDuplicates reports a name that stands twice in one object, as package strictjson finds it: only
// one of two apps or two lists of keys would count.
func (v *Value) NoDuplicates(name string, twice bool, _ error) {
	if twice {
		v.Fault("has %s twice in one object, and only one of them would count",
			"remove one of the two, or give it another name", quote.Name(name))
	}
}

// ReadFile reads the file that the text names. It returns false after a fault.
func (v *Value) ReadFile() (content string, ok bool) { return v.readFile(v.text, v.Name) }

// readFile reads the file at path. value is the setting that would hold the content.
func (v *Value) readFile(path, value string) (content string, ok bool) {
	if v.reader.options.ReadFile == nil {
		v.Fault("names a file, and this host has no files", "put the value itself into %s", value)
		return "", false
	}
	if strings.Contains(path, "-----") || strings.ContainsAny(path, "\r\n\x00") || keyIn(path) != "" {
		const problem = "holds the content of a file, not its name"
		if value == v.Name {
			v.Fault(problem, "write the content into a file, and name that here")
		} else {
			v.Fault(problem, "put the content into %s, or name the file here", value)
		}
		return "", false
	}
	data, err := v.reader.options.ReadFile(path)
	if err == nil {
		content, err = DecodeText(data)
		v.Report(err)
		exposed := v.reader.options.Exposed
		if exposed != nil && (v.Row.Secret || keyIn(content) == "private key") && exposed(path) {
			v.exposed = path
		}
		return content, err == nil
	}
	remedy := message.Format("check the path, and that the user the service runs as may read the file")
	if strings.HasPrefix(path, "~") {
		remedy = "write the whole path: nothing replaces ~ here"
	}
	if errors.Is(err, fs.ErrNotExist) {
		v.Fault("there is no file %s", remedy, quote.Path(path))
		return "", false
	}
	reason := message.Message(message.Format("it could not be read"))
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		reason = message.Cause(err)
	}
	v.Fault("the file %s cannot be read: %s", remedy, quote.Path(path), reason)
	return "", false
}

// Quotes that people leave around values. The typographic ones come from chat programs and word
// processors.
var quotes = []struct{ open, close string }{{`"`, `"`}, {`'`, `'`}, {"`", "`"}, {"“", "”"}, {"‘", "’"}}

// unquoted removes the white space and one pair of quotes around a text, and warns of the quotes.
func (r *Reader) unquoted(variable, text string) string {
	text = strings.TrimSpace(strings.TrimPrefix(text, byteOrderMark))
	for _, q := range quotes {
		inner, opens := strings.CutPrefix(text, q.open)
		inner, closes := strings.CutSuffix(inner, q.close)
		if inner = strings.TrimSpace(inner); !opens || !closes || inner == "" {
			continue
		}
		r.warn(variable, "its value stands in quotes, which were left out", "remove the quotes")
		return inner
	}
	return text
}

// withoutName removes the setting's own name from the beginning of a text, and warns of it. People
// paste a whole line, NAME=value, where the value alone belongs.
func (r *Reader) withoutName(variable, name, text string) string {
	rest := strings.TrimPrefix(strings.TrimSpace(text), "export ")
	for _, own := range []string{variable, name} {
		after, ok := strings.CutPrefix(rest, own)
		if !ok || after == "" || after[0] != '=' && after[0] != ':' || blank(after[1:]) {
			continue
		}
		r.warn(variable, "its value begins with %s%s, which was left out",
			"remove that: the value alone belongs there", own, after[:1])
		return strings.TrimSpace(after[1:])
	}
	return text
}

// minKey is fewer bytes than the base64 of any RSA key has.
const minKey = 200

// keyIn says what a text holds: "private key", "public key", or "". It knows PEM, the base64 of
// PEM, and the base64 of DER without the lines around it, as RSA keys begin. A certificate begins
// like a private key, and belongs into no setting either.
func keyIn(text string) string {
	switch {
	case strings.Contains(text, "PRIVATE KEY-----"):
		return "private key"
	case strings.Contains(text, "PUBLIC KEY-----"):
		return "public key"
	case len(text) < minKey:
		return ""
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, `\n`, ""), `\r`, "")
	text = strings.Trim(strings.Join(strings.Fields(text), ""), "\"'`=")
	if strings.Trim(text, base64Letters) != "" {
		return ""
	}
	switch {
	case strings.HasPrefix(text, publicDER), strings.HasPrefix(text, "LS0tLS1CRUdJTiBQVUJMSUMg"): // -----BEGIN PUBLIC
		return "public key"
	case strings.HasPrefix(text, "MII"), strings.HasPrefix(text, "LS0tLS1CRUdJTi"): // 30 82, -----BEGIN
		return "private key"
	}
	return ""
}

// publicDER begins the base64 of a public RSA key with 2048 bits.
const publicDER = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"

const base64Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
