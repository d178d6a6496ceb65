// Package strictjson finds what encoding/json ignores: two members of one name in an object.
// Parsers differ in which of the two counts.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// maxDepth is how deep values may be nested (RFC 8259 section 9). Each level is a call here, and
// again where encoding/json fills an any. The runtime of Workers has stack for a few thousand, and
// ends the whole program after that.
const maxDepth = 100

// Duplicate returns a name that comes twice in one object, at any depth. The error says that p is
// not one JSON value, or nested too deep.
func Duplicate(p []byte) (name string, found bool, err error) {
	return duplicate(p, func(name string) string { return name })
}

// DuplicateFold ignores case, as encoding/json does when it fills a struct.
func DuplicateFold(p []byte) (name string, found bool, err error) {
	return duplicate(p, func(name string) string { return strings.ToLower(strings.ToUpper(name)) })
}

func duplicate(p []byte, key func(name string) string) (name string, found bool, err error) {
	d := json.NewDecoder(bytes.NewReader(p))
	d.UseNumber() // numbers out of the range of float64 are valid
	if name, found, err = value(d, key, maxDepth); found || err != nil {
		return name, found, err
	}
	if _, err := d.Token(); err != io.EOF {
		return "", false, errors.New("something follows the JSON value")
	}
	return "", false, nil
}

// value reads one value, up to its end or the first duplicate. depth is how many levels there may
// be.
func value(d *json.Decoder, key func(name string) string, depth int) (name string, found bool, err error) {
	begin, err := d.Token()
	if err != nil || begin != json.Delim('{') && begin != json.Delim('[') {
		return "", false, err
	}
	if depth == 0 {
		return "", false, errors.New("the JSON value is nested too deep")
	}
	var names map[string]bool
	if begin == json.Delim('{') {
		names = map[string]bool{}
	}
	for d.More() {
		if names != nil {
			token, err := d.Token()
			if err != nil {
				return "", false, err
			}
			name := token.(string) // a decoder returns nothing else here
			if names[key(name)] {
				return name, true, nil
			}
			names[key(name)] = true
		}
		if name, found, err := value(d, key, depth-1); found || err != nil {
			return name, found, err
		}
	}
	_, err = d.Token() // the end
	return "", false, err
}
