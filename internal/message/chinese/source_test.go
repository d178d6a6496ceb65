package chinese_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/types"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"

	"coze-token/internal/message"
	"coze-token/internal/message/chinese"
)

// messages finds every constant of type message.Format in the source, for each host. :: format → where
func messages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, host := range []struct {
		env     []string
		pattern string
	}{
		{nil, "coze-token/..."},
		{[]string{"GOOS=wasip1", "GOARCH=wasm"}, "coze-token/cmd/worker"},
	} {
		list, err := packages.Load(&packages.Config{Mode: packages.LoadSyntax, Env: append(os.Environ(), host.env...)},
			host.pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list {
			for _, e := range p.Errors {
				t.Fatal(e)
			}
			if p.PkgPath == "coze-token/internal/message/chinese" {
				continue
			}
			for _, file := range p.Syntax {
				ast.Inspect(file, func(n ast.Node) bool {
					e, ok := n.(ast.Expr)
					if !ok {
						return true
					}
					v := p.TypesInfo.Types[e]
					if v.Value == nil || v.Value.Kind() != constant.String || !isFormat(v.Type) {
						return true
					}
					found[constant.StringVal(v.Value)] = p.Fset.Position(e.Pos()).String()
					return false // the parts of a constant are no messages
				})
			}
		}
	}
	return found
}

func isFormat(t types.Type) bool { return t.String() == "coze-token/internal/message.Format" }

// verb matches a verb of package fmt, with the number of its argument.
var verb = regexp.MustCompile(`%([-+# 0]*[0-9]*(?:\.[0-9]+)?)(?:\[(\d+)\])?([a-zA-Z%])`)

// verbs are the verbs of a format by their arguments.
func verbs(format string) (list []string, err error) {
	next := 1
	for _, m := range verb.FindAllStringSubmatch(format, -1) {
		if m[3] == "%" {
			continue
		}
		if m[2] != "" {
			fmt.Sscan(m[2], &next)
		}
		list = append(list, fmt.Sprintf("%d %s%s", next, m[1], m[3]))
		next++
	}
	if strings.Contains(verb.ReplaceAllString(format, ""), "%") {
		return nil, fmt.Errorf("it has a %% that begins no verb")
	}
	slices.Sort(list)
	return list, nil
}

// Every message has a translation, every translation its message, and both take the same arguments.
func TestTranslations(t *testing.T) {
	said := messages(t)
	if len(said) < 100 {
		t.Errorf("only %d messages were found in the source", len(said))
	}
	translated := map[string]bool{}
	for _, e := range slices.Concat(catalogues()...) {
		if translated[e[0]] {
			t.Errorf("two translations of %q", e[0])
		}
		translated[e[0]] = true
		if said[e[0]] == "" {
			t.Errorf("no code says %q", e[0])
		}
		if e[1] == "" {
			t.Errorf("the translation of %q is empty", e[0])
		}
		takes, err := verbs(e[0])
		if err != nil {
			t.Errorf("%q: %v", e[0], err)
		}
		also, err := verbs(e[1])
		if err != nil {
			t.Errorf("%q: %v", e[1], err)
		}
		if !slices.Equal(takes, also) {
			t.Errorf("%q takes the arguments %q, and its translation %q", e[0], takes, also)
		}
	}
	for english, where := range said {
		if !translated[english] && strings.ContainsFunc(verb.ReplaceAllString(english, ""), isLetter) {
			t.Errorf("%s: no translation of %q", where, english)
		}
	}
}

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

func catalogues() []message.Catalogue { return []message.Catalogue{chinese.All()} }

// The typography that Chinese pages have: full-width punctuation between Chinese, and a space between
// Chinese and Latin letters or digits.
func TestTypography(t *testing.T) {
	for _, wrong := range []struct{ pattern, what string }{
		{`\p{Han}[,;:!?()]|[,;:!?(][\p{Han}]`, "half-width punctuation beside Chinese"},
		{`\p{Han}\.( |$)`, "a full stop that is not 。"},
		{`\p{Han}[A-Za-z0-9]|[A-Za-z0-9]\p{Han}`, "no space between Chinese and Latin"},
		{`[，。；：、！？（）“”] | [，。；：、！？（）“”]`, "a space beside full-width punctuation"},
		{`  `, "two spaces"},
	} {
		re := regexp.MustCompile(wrong.pattern)
		for _, e := range slices.Concat(catalogues()...) {
			if strings.Contains(e[1], "\n  ") && wrong.what == "two spaces" { // a text in columns
				continue
			}
			if at := re.FindString(verb.ReplaceAllString(e[1], "□")); at != "" {
				t.Errorf("%q: %s: %q", e[1], wrong.what, at)
			}
		}
	}
}

// FuzzFormats: whatever the arguments are, both languages show them all, and no verb is left over.
func FuzzFormats(f *testing.F) {
	f.Add("KID", 2048)
	f.Add("%s\x00", -1)
	f.Fuzz(func(t *testing.T, text string, number int) {
		if strings.Contains(text, "%!") {
			return
		}
		for _, c := range catalogues() {
			for _, e := range c {
				list, _ := verbs(e[0])
				args := make([]any, len(list))
				for i, verb := range list {
					args[i] = text
					if strings.ContainsAny(verb[len(verb)-1:], "dUx") {
						args[i] = number
					}
				}
				said := message.New(message.Format(e[0]), args...)
				for _, shown := range []string{said.In(nil), said.In(c)} {
					if strings.Contains(shown, "%!") {
						t.Errorf("%q", shown)
					}
					if n := strings.Count(shown, text); text != "" && n < strings.Count(strings.Join(list, ","), " s") {
						t.Errorf("%q has the argument %d times", shown, n)
					}
				}
			}
		}
	})
}
