// Package quote shows the values of settings in messages. People put secrets into the wrong variable, and messages end up
// in logs: what may be one is not shown.
package quote

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxShown = 100 // bytes
	// maxWord is the length in bytes beyond which a word may be a secret, or a line of a key: parsers of lists see one line at
	// a time.
	maxWord = 16
)

// Text is a text in quotes and on one line, or, where it may be a secret, how long it is.
func Text(text string) string {
	if Hidden(text) {
		return fmt.Sprintf("a text of %d characters", utf8.RuneCountInString(text))
	}
	return strconv.Quote(text)
}

// Path is the same for the name of a file, whose words are often long.
func Path(name string) string {
	if strings.HasPrefix(name, "/") || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "~") {
		if !long(name) {
			return strconv.Quote(name)
		}
	}
	return Text(name)
}

// Name is the same for the name of a member, which is often several words in one: who misspelt it has to see it.
func Name(name string) string {
	if !long(name) && words.MatchString(name) {
		return strconv.Quote(name)
	}
	return Text(name)
}

// words are two letters or more, with a capital before them or not, and numbers as in private_key_2. Of pieces of keys in
// base64, one in 10,000 looks like that at 17 characters, and one in 20,000,000 at 32.
var words = regexp.MustCompile(`^([A-Z]?[a-z]{2,}|_[0-9]?)+$`)

// Hidden says whether messages must not show a text.
func Hidden(text string) bool { return long(text) || random(text) }

// long says whether a text is longer than what people type, or has the marks of PEM.
func long(text string) bool { return len(text) > maxShown || strings.Contains(text, "-----") }

// random says whether a text is one long word in the letters of base64 or hexadecimal, with two of
// capitals, small letters and digits, as hardly any value is.
func random(text string) bool {
	if len(text) <= maxWord {
		return false
	}
	var capital, small, digit int
	for _, r := range text {
		switch {
		case 'A' <= r && r <= 'Z':
			capital = 1
		case 'a' <= r && r <= 'z':
			small = 1
		case '0' <= r && r <= '9':
			digit = 1
		case !strings.ContainsRune("+/=-_", r):
			return false
		}
	}
	return capital+small+digit > 1
}
