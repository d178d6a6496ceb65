// Package quote shows the values of settings in messages. People put secrets into the wrong
// variable, and messages end up in logs. So a text that may be a secret is not shown.
package quote

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"coze-token/internal/message"
)

// Text is a text in quotes, on one line. If it may be a secret, it is only its length.
func Text(text string) message.Text {
	return show(text, !Hidden(text))
}

// Path is the same for the name of a file, which often has long words.
func Path(name string) message.Text {
	isPath := name != "" && strings.Contains("/.~", name[:1])
	return show(name, !Hidden(name) || isPath && !isLong(name))
}

// Name is the same for the name of a member, which often is several words in one.
func Name(name string) message.Text {
	return show(name, !Hidden(name) || isWords(name) && !isLong(name))
}

func show(text string, shown bool) message.Text {
	if shown {
		return message.Verbatim(strconv.Quote(text))
	}
	return message.New("a text of %d characters", utf8.RuneCountInString(text))
}

// isWords reports whether a name is words of two letters or more, capitalized or not, with an
// underscore and at most one digit between or after them, as in private_key_2. Of pieces of base64,
// one in 10,000 looks like that at 17 characters, and one in 20,000,000 at 32.
func isWords(name string) bool {
	const small = "abcdefghijklmnopqrstuvwxyz"
	for rest := name; rest != ""; {
		if tail, ok := strings.CutPrefix(rest, "_"); ok {
			rest = tail
			if rest != "" && '0' <= rest[0] && rest[0] <= '9' {
				rest = rest[1:]
			}
			continue
		}
		if 'A' <= rest[0] && rest[0] <= 'Z' {
			rest = rest[1:]
		}
		word := rest
		if rest = strings.TrimLeft(rest, small); len(word)-len(rest) < 2 {
			return false
		}
	}
	return name != ""
}

// Hidden reports whether messages must not show a text, because it may be a secret: it is long, or
// one word in the letters of base64 or hexadecimal.
func Hidden(text string) bool { return isLong(text) || isRandom(text) }

// isLong reports whether a text is longer than what people type, or has the marks of PEM.
func isLong(text string) bool { return len(text) > 100 || strings.Contains(text, "-----") }

// isRandom reports whether a text is one word of more than 16 letters of base64, with two of
// capitals, small letters and digits. Hardly any value of a setting is. Parsers of lists see one
// line of a key at a time.
func isRandom(text string) bool {
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
	return len(text) > 16 && capital+small+digit > 1
}
