// Package plainjson writes JSON whose texts need no escapes, in a fraction of the time of
// encoding/json and log/slog. Nearly all that the service writes is such JSON. What is not, is left
// to those packages.
package plainjson

// Append writes text as a JSON string. ok is false if something in it would have to be escaped, or
// is not ASCII; then p is as it was.
func Append(p []byte, text string) (_ []byte, ok bool) {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return p, false
		}
	}
	return append(append(append(p, '"'), text...), '"'), true
}
