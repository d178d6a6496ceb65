package main

import (
	"cmp"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
	"golang.org/x/text/width"

	"coze-token/internal/message"
	"coze-token/internal/message/chinese"
)

// chooseLanguage sets the language of what people read, and returns the arguments without --lang. It
// is the one of the environment, as POSIX orders its variables, unless --lang says another. The
// arguments are searched as a whole, so that it holds for the fault of any other flag.
func (p *process) chooseLanguage(args []string) (rest []string, code int) {
	locale := cmp.Or(p.env["LC_ALL"], p.env["LC_MESSAGES"], p.env["LANG"])
	for i := 0; i < len(args); i++ {
		name, value, given := strings.Cut(args[i], "=")
		if name != "--lang" && name != "-lang" {
			rest = append(rest, args[i])
			continue
		}
		if !given {
			if i++; i < len(args) {
				value = args[i]
			}
		}
		if primary(value) != "zh" && primary(value) != "en" {
			p.setLanguage(locale)
			return nil, p.usageError(message.New("--lang %q is not a language; there are zh and en", value))
		}
		locale = value
	}
	p.setLanguage(locale)
	return rest, exitOK
}

func (p *process) setLanguage(locale string) {
	if p.texts = nil; primary(locale) == "zh" {
		p.texts = chinese.All()
	}
}

// language is the language as a tag.
func (p *process) language() string {
	if p.texts == nil {
		return "en"
	}
	return "zh"
}

// primary is the language of a locale: zh of zh_CN.UTF-8 and of zh-Hans.
func primary(locale string) string {
	end := strings.IndexAny(locale, "_-.@")
	if end < 0 {
		end = len(locale)
	}
	return strings.ToLower(locale[:end])
}

// A span is a time in whole seconds: 15m0s in English.
type span time.Duration

func (d span) String() string { return time.Duration(d).String() }

// In implements [message.Message]. In other languages than English it has words for the units.
func (d span) In(texts message.Catalogue) string {
	if texts == nil {
		return d.String()
	}
	var parts []message.Text
	rest := time.Duration(d)
	for _, unit := range []struct {
		length time.Duration
		text   message.Format
	}{{time.Hour, "%d h"}, {time.Minute, "%d min"}, {time.Second, "%d s"}} {
		if n := rest / unit.length; n != 0 {
			parts = append(parts, message.New(unit.text, int(n)))
			rest %= unit.length
		}
	}
	if len(parts) == 0 {
		parts = append(parts, message.New("%d s", 0))
	}
	return message.Join(parts, " ").In(texts)
}

// A colour is a code of ANSI terminals.
type colour string

const (
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
)

// takesColour reports whether w is a terminal that shows colours, to a person who wants them
// (no-color.org).
func takesColour(w io.Writer, env map[string]string) bool {
	f, ok := w.(*os.File)
	return ok && env["NO_COLOR"] == "" && env["TERM"] != "" && env["TERM"] != "dumb" && term.IsTerminal(int(f.Fd()))
}

func paint(on bool, k colour, text string) string {
	if !on {
		return text
	}
	return "\x1b[" + string(k) + "m" + text + "\x1b[0m"
}

// pad fills a text up to a number of columns of a terminal, of which a Chinese character takes two.
func pad(text string, columns int) string {
	for _, r := range text {
		columns--
		switch width.LookupRune(r).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth:
			columns--
		}
	}
	return text + strings.Repeat(" ", max(0, columns))
}
