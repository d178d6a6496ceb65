package strictjson_test

import (
	"strings"
	"testing"

	"coze-token/internal/strictjson"
)

func TestDuplicate(t *testing.T) {
	for text, c := range map[string]struct{ exact, folded string }{
		`{"a":1,"b":{"a":2},"c":["a","a"]}`: {"", ""},
		`{"a":1,"a":2}`:                     {"a", "a"},
		`[{"x":{"a":1,"\u0061":2}}]`:        {"a", "a"},
		`{"aud":1,"Aud":2}`:                 {"", "Aud"}, // two claims of a JWT, but one member of a struct
		`{"keys":1,"\u212aey\u017f":2}`:     {"", "\u212aeyſ"},
		`{"é":1,"É":2}`:                     {"", "É"},
		`{"ß":1,"ss":2}`:                    {"", ""},
		`1`:                                 {"", ""},
	} {
		if name, found, err := strictjson.Duplicate([]byte(text)); name != c.exact || found != (c.exact != "") || err != nil {
			t.Errorf("%s: %q, %v, %v, want %q", text, name, found, err, c.exact)
		}
		name, found, err := strictjson.DuplicateFold([]byte(text))
		if name != c.folded || found != (c.folded != "") || err != nil {
			t.Errorf("%s, folded: %q, %v, %v, want %q", text, name, found, err, c.folded)
		}
	}
	for _, text := range []string{"", "{", `{"a":1}}`, "[]]", "[] []", "{} x", strings.Repeat("[", 10)} {
		if _, found, err := strictjson.Duplicate([]byte(text)); found || err == nil {
			t.Errorf("%q: %v, %v", text, found, err)
		}
	}
}

func TestDepth(t *testing.T) {
	nested := func(n int) []byte { return []byte(strings.Repeat(`[{"a":`, n/2) + "1" + strings.Repeat("}]", n/2)) }
	if _, _, err := strictjson.Duplicate(nested(100)); err != nil {
		t.Errorf("100 levels: %v", err)
	}
	for _, text := range [][]byte{nested(102), []byte(strings.Repeat("[", 1<<20))} {
		if _, _, err := strictjson.Duplicate(text); err == nil {
			t.Errorf("%d bytes of deeper levels are taken", len(text))
		}
	}
}
