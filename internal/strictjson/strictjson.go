// Package strictjson finds what encoding/json passes over: an object in which a name comes twice. Parsers differ in which of
// the two they heed, and whoever wrote both meant something by each.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode"
)

// Duplicate is a name that comes twice in one object, at any depth. The error says that p is not one JSON value.
func Duplicate(p []byte) (name string, found bool, err error) {
	return duplicate(p, func(name string) string { return name })
}

// DuplicateFold takes names that differ in case alone for the same, as encoding/json does when it fills a struct.
func DuplicateFold(p []byte) (name string, found bool, err error) { return duplicate(p, fold) }

// fold is the same for two names just if strings.EqualFold holds of them.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, name)
}

func duplicate(p []byte, key func(name string) string) (name string, found bool, err error) {
	type level struct {
		names map[string]bool // nil in an array
		value bool            // the next token is a member's value
	}
	var stack []level
	d := json.NewDecoder(bytes.NewReader(p))
	d.UseNumber()
	for first := true; first || len(stack) > 0; first = false {
		token, err := d.Token()
		if err != nil {
			return "", false, err
		}
		top := len(stack) - 1
		if token == json.Delim('}') || token == json.Delim(']') {
			stack = stack[:top]
			continue
		}
		if top >= 0 && stack[top].names != nil && !stack[top].value {
			name := token.(string) // a decoder gives nothing else in this place
			if stack[top].names[key(name)] {
				return name, true, nil
			}
			stack[top].names[key(name)] = true
			stack[top].value = true
			continue
		}
		if top >= 0 {
			stack[top].value = false
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, level{names: map[string]bool{}})
		case json.Delim('['):
			stack = append(stack, level{})
		}
	}
	if _, err := d.Token(); err != io.EOF {
		return "", false, errors.New("something follows the JSON value")
	}
	return "", false, nil
}
