package main

import (
	"errors"
	"flag"
	"maps"
	"regexp"
	"slices"
	"testing"
	"time"

	"coze-token/coze"
	"coze-token/internal/message"
	"coze-token/internal/message/chinese"
)

// What a help text names, in either language: flags, variables, paths, exit codes and commands to copy.
var helpNames = regexp.MustCompile(`--[a-z]+|\b[A-Z][A-Z_]{3,}\b|/[a-z.]+\b|\b[0-9]+\b|\b(?:auto|debug|dotenv)\b`)

// Both languages say the same of a command, as far as names and numbers tell.
func TestHelpInBothLanguages(t *testing.T) {
	named := func(text string) []string {
		names := map[string]bool{}
		for _, name := range helpNames.FindAllString(text, -1) {
			names[name] = true
		}
		return slices.Sorted(maps.Keys(names))
	}
	words := regexp.MustCompile(`\.zh-CN|COMMAND|FLAGS`) // that differ
	for _, c := range append(commands(), command{name: "usage", help: usage}) {
		translated := chinese.Help(c.name)
		if c.name == "usage" {
			translated = chinese.Usage
		}
		if a, b := named(words.ReplaceAllString(c.help, "")), named(words.ReplaceAllString(translated, "")); !slices.Equal(a, b) {
			t.Errorf("%s: the English help names\n%q, the Chinese\n%q", c.name, a, b)
		}
	}
}

// Completion says of each flag what it is.
func TestFlagTexts(t *testing.T) {
	seen := map[string]bool{"lang": true}
	for _, c := range commands() {
		fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
		if c.flags != nil {
			c.flags(fs)
		}
		fs.VisitAll(func(f *flag.Flag) { seen[f.Name] = true })
	}
	if a, b := slices.Sorted(maps.Keys(seen)), slices.Sorted(maps.Keys(flagTexts)); !slices.Equal(a, b) {
		t.Errorf("the flags are %q, and described are %q", a, b)
	}
}

func TestPad(t *testing.T) {
	for text, want := range map[string]string{
		"": "     ", "ok": "ok   ", "正常": "正常 ", "a，b": "a，b ", "太长的文字": "太长的文字", "é": "é    ",
	} {
		if got := pad(text, 5); got != want {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		15 * time.Minute: "15 分钟", 0: "0 秒", 899 * time.Second: "14 分钟 59 秒", 23*time.Hour + 59*time.Second: "23 小时 59 秒",
	} {
		if got := message.New("%v", span(d)); got.In(chinese.All()) != want || got.String() != d.String() {
			t.Errorf("%v is %s and %s", d, got, got.In(chinese.All()))
		}
	}
}

// In English, commands say of Coze's failures what the log says.
func TestDescribe(t *testing.T) {
	for _, e := range []*coze.Error{
		{Kind: coze.Rejected, Status: 401, Code: "invalid_client", Message: "100% no", LogID: "20260101"},
		{Kind: coze.Unavailable, Message: "Coze could not be reached", Err: errors.New("dial tcp: refused")},
		{Kind: coze.Busy, Status: 429}, {Kind: coze.Timeout}, {Kind: coze.InvalidRequest, Err: errors.New("no key")},
	} {
		if got := describe(e).In(nil); got != e.Error() {
			t.Errorf("%q, and the log says %q", got, e.Error())
		}
	}
}
