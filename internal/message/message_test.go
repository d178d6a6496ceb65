package message_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"coze-token/internal/message"
)

var german = message.Catalogue{
	{"%s is missing", "%s fehlt"},
	{"%[1]s has %[2]d keys", "%[2]d Schlüssel hat %[1]s"},
	{"%s has %d keys", "%[2]d Schlüssel hat %[1]s"},
	{"100%% of %s", "%s zu 100%%"},
	{"the name", "der Name"},
	{"; or ", "; oder "},
}

// A fault's two texts share one list of arguments.
func TestPair(t *testing.T) {
	p, r := message.Pair("100%% of %s and %d", "use %q, %v", "a", 1, "b", 2)
	if p.String() != "100% of a and 1" || r.String() != `use "b", 2` {
		t.Errorf("%q and %q", p, r)
	}
	if p, r = message.Pair("nothing", "nothing"); p.String()+r.String() != "nothingnothing" {
		t.Errorf("%q and %q", p, r)
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		text            message.Message
		english, german string
	}{
		{message.New("%s is missing", "KID"), "KID is missing", "KID fehlt"},
		{message.New("%s is missing", message.Format("the name")), "the name is missing", "der Name fehlt"},
		{message.New("%s is missing", message.New("the name")), "the name is missing", "der Name fehlt"},
		{message.New("%v is missing", "x"), "x is missing", "x is missing"}, // no translation
		{message.New("%s is missing", errors.New("the name")), "the name is missing", "the name fehlt"},
		{message.New("%s has %d keys", "a", 3), "a has 3 keys", "3 Schlüssel hat a"},
		{message.New("100%% of %s", "it"), "100% of it", "it zu 100%"},
		{message.Verbatim("100% of %s"), "100% of %s", "100% of %s"},
		{message.New("%s", message.Foreign("100% of %s")), "100% of %s", "100% of %s"},
		{message.New("%s is missing", message.Join([]message.Format{"the name", "x"}, "; or ")),
			"the name; or x is missing", "der Name; oder x fehlt"},
	} {
		if got := c.text.In(nil); got != c.english {
			t.Errorf("in English: %q, not %q", got, c.english)
		}
		if got := c.text.In(german); got != c.german {
			t.Errorf("in German: %q, not %q", got, c.german)
		}
	}
	if err := error(message.New("%s is missing", "KID")); err.Error() != "KID is missing" || fmt.Sprint(err) != err.Error() {
		t.Errorf("as an error: %q and %q", err.Error(), err)
	}
}

// What a header costs is bounded, however many languages it names.
func TestPrefersLooksAtSoMany(t *testing.T) {
	for before, want := range map[int]bool{99: true, 100: false, 100_000: false} {
		if got := message.Prefers("zh", []string{strings.Repeat(",", before) + "zh"}); got != want {
			t.Errorf("zh after %d others: %v", before, got)
		}
	}
}

// FuzzPrefers: a header that anybody may write never breaks anything, and names Chinese only if it has zh.
func FuzzPrefers(f *testing.F) {
	for _, line := range []string{"zh-CN,zh;q=0.9,en;q=0.8", "en", "*", "zh;q=0", ";;q=,", "zh;q=nan", "ZH ; Q=1.0"} {
		f.Add(line, "")
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		prefers := message.Prefers("zh", []string{one, two})
		if prefers && !strings.Contains(strings.ToLower(one+two), "zh") {
			t.Errorf("%q %q", one, two)
		}
		if prefers != message.Prefers("zh", []string{one + "," + two}) {
			t.Errorf("%q %q: one line and two differ", one, two)
		}
		if prefers != message.Prefers("zh", []string{"", one, " ,", two}) && strings.Count(one+two, ",") < 50 {
			t.Errorf("%q %q: empty languages count", one, two)
		}
		if message.Prefers("zh", []string{"zh", one}) != message.Prefers("zh", []string{"zh;q=1", one}) {
			t.Errorf("%q: zh and zh;q=1 differ", one)
		}
	})
}

// Of what systems say, the known end is translated, and what stands before it stays.
func TestReason(t *testing.T) {
	c := message.Catalogue{{"%s: %s", "%s – %s"}, {"connection refused", "abgelehnt"}}
	for err, want := range map[error]string{
		errors.New("dial tcp 127.0.0.1:1: connect: connection refused"): "dial tcp 127.0.0.1:1: connect – abgelehnt",
		errors.New("connection refused"):                                "abgelehnt",
		errors.New("no connection refused"):                             "no connection refused",
		errors.New("100% of %s"):                                        "100% of %s",
		fmt.Errorf("%w: connection refused", errors.New("%d")):          "%d – abgelehnt",
	} {
		r := message.Reason(err)
		if got := r.In(c); got != want || r.String() != err.Error() {
			t.Errorf("%q is %q and %q", err, r, got)
		}
	}
	if got := message.Reason(message.New("the name")).In(german); got != "der Name" {
		t.Errorf("a message is %q", got)
	}
}
