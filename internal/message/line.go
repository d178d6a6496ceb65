package message

import (
	"strings"
	"unicode"
)

// Line is a text from elsewhere on one line, without what a terminal would obey: at most n
// characters, and an ellipsis.
func Line(text string, n int) string {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text))
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n]) + "…"
	}
	return text
}
