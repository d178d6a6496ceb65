package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"coze-token/coze"
	"coze-token/internal/quote"
)

// The quotes people leave around values. The typographic ones come from chat programs and word processors.
var quotes = []struct{ open, close string }{{`"`, `"`}, {`'`, `'`}, {"`", "`"}, {"“", "”"}, {"‘", "’"}}

// bare takes the white space and one pair of quotes off a value, and says so of the quotes.
func (d *draft) bare(name, text string) string {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\uFEFF"))
	for _, q := range quotes {
		if len(text) <= len(q.open)+len(q.close) || !strings.HasPrefix(text, q.open) || !strings.HasSuffix(text, q.close) {
			continue
		}
		inner := strings.TrimSpace(text[len(q.open) : len(text)-len(q.close)])
		if inner == "" {
			continue
		}
		d.warn(name, "its value stands in quotes, which were left out", "remove the quotes")
		return inner
	}
	return text
}

// word reads an identifier: printable ASCII without spaces, quotes or brackets. It returns "" after a fault.
func (d *draft) word(v value) string {
	text := v.text.Reveal()
	strange := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"'`<>{}", r) }
	switch {
	case len(text) > maxText:
		d.fault(v.name, fmt.Sprintf("is %d bytes long, more than any id", len(text)), "copy the id alone from Coze's console")
	case strings.ContainsFunc(text, strange), strings.Trim(text, ".") == "": // dots alone would walk about in a path
		d.fault(v.name, "is "+quote.Text(text)+", which has characters that no id has", "copy the id alone from Coze's console, without quotes, brackets or spaces")
	default:
		return text
	}
	return ""
}

// text reads what may be in any language: the rule for session names. It returns "" after a fault.
func (d *draft) text(v value) string {
	text := v.text.Reveal()
	if err := coze.CheckSession(text); err != nil {
		d.fault(v.name, err.Error(), "use 1 to 256 bytes of UTF-8 without control characters")
		return ""
	}
	return text
}

// seconds reads a number of whole seconds. Outside of its bounds it is a fault and never clamped: whoever wrote it
// expects it to hold.
func (d *draft) seconds(v value, least, most time.Duration) time.Duration {
	return time.Duration(d.whole(v, int64(least/time.Second), int64(most/time.Second), " of seconds")) * time.Second
}

// whole reads a whole number within bounds, and returns 0 after a fault.
func (d *draft) whole(v value, least, most int64, unit string) int64 {
	text := v.text.Reveal()
	remedy := fmt.Sprintf("use a whole number%s from %d to %d", unit, least, most)
	number, err := strconv.ParseInt(text, 10, 64)
	digits := text != "" && !strings.ContainsFunc(strings.TrimPrefix(text, "-"), func(r rune) bool { return r < '0' || r > '9' })
	switch {
	case digits && err != nil: // as a number it is out of int64's range
		d.fault(v.name, "is "+quote.Text(text)+", out of range", remedy)
	case !digits:
		if duration, err := time.ParseDuration(text); err == nil && unit != "" && duration%time.Second == 0 {
			remedy += ": " + text + " is " + seconds(duration)
		}
		d.fault(v.name, "is "+quote.Text(text)+", not a whole number"+unit, remedy)
	case number < least:
		d.fault(v.name, fmt.Sprintf("is %d, below the minimum of %d", number, least), remedy)
	case number > most:
		d.fault(v.name, fmt.Sprintf("is %d, above the maximum of %d", number, most), remedy)
	default:
		return number
	}
	return 0
}

// choice reads one of a few words, in any case.
func (d *draft) choice(v value, words ...string) string {
	text := v.text.Reveal()
	for _, word := range words {
		if strings.EqualFold(text, word) {
			return word
		}
	}
	last := len(words) - 1
	d.fault(v.name, "is "+quote.Text(text)+", which is not one of its values", "use "+strings.Join(words[:last], ", ")+" or "+words[last])
	return ""
}

// isOn reads on or off.
func (d *draft) isOn(v value) bool { return d.onOff(v) == on }

// onOff reads on or off, or what JSON has for them. Anything else is a fault, and "".
func (d *draft) onOff(v value) string {
	switch strings.ToLower(v.text.Reveal()) {
	case "true":
		return on
	case "false":
		return off
	}
	return d.choice(v, on, off)
}

// notJSON says why a value could not be read as what it should be. The decoder's own words would quote it.
func notJSON(err error, text []byte, want string) string {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("is not valid JSON: wrong at byte %d of %d", syntax.Offset, len(text))
	}
	return "is not " + want
}

// noDuplicates reports a member that a value in JSON has twice: of two apps or two lists of keys, one would be passed over. duplicate
// knows which names are the same to whoever reads the value.
func (d *draft) noDuplicates(v value, text []byte, duplicate func([]byte) (string, bool, error)) {
	if name, twice, _ := duplicate(text); twice {
		d.fault(v.name, "has "+quote.Name(name)+" twice in one object, and only one of them would count", "remove one of the two, or give it another name")
	}
}

// readFile reads the file that the variable name holds the path of. setting is what the file is for.
func (d *draft) readFile(name, setting, path string) (content string, ok bool) {
	if d.options.Edge || d.options.ReadFile == nil {
		d.fault(name, "names a file, and this host has no files", "put the value itself into "+setting)
		return "", false
	}
	if strings.Contains(path, "-----") || strings.ContainsAny(path, "\r\n\x00") || holdsKey(path) {
		remedy := "put the content into " + setting + ", or name the file here"
		if setting == name {
			remedy = "write the content into a file, and name that here"
		}
		d.fault(name, "holds the content of a file, not its name", remedy)
		return "", false
	}
	data, err := d.options.ReadFile(path)
	if err == nil {
		return string(data), true
	}
	remedy := "check the path, and that the user the service runs as may read the file"
	if strings.HasPrefix(path, "~") {
		remedy = "write the whole path: nothing replaces ~ here"
	}
	if errors.Is(err, fs.ErrNotExist) {
		d.fault(name, "there is no file "+quote.Path(path), remedy)
		return "", false
	}
	// The operating system's reason, without the path that it repeats.
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = at.Err
	} else {
		err = errors.New("it could not be read")
	}
	d.fault(name, "the file "+quote.Path(path)+" cannot be read: "+err.Error(), remedy)
	return "", false
}
