package config_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"coze-token/internal/config"
)

var update = flag.Bool("update", false, "write the tables of docs/settings*.md anew")

func TestDocs(t *testing.T) {
	for path, language := range map[string]config.Language{
		"../../docs/settings.md":       config.English,
		"../../docs/settings.zh-CN.md": config.Chinese,
	} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		const begin, end = "<!-- settings -->\n", "<!-- /settings -->"
		head, rest, ok := strings.Cut(string(data), begin)
		_, tail, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has lost its markers", path)
		}
		want := head + begin + config.Reference(language) + "\n" + end + tail
		switch {
		case string(data) == want:
		case *update:
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("%s is not what config.Table says: go test ./config -run TestDocs -update", path)
		}
	}
}

// The table is well formed, so that whatever reads it may trust it.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range config.Table {
		for _, name := range s.Names() {
			if seen[name] || name != strings.ToUpper(name) {
				t.Errorf("%s is there twice, or not in capitals", name)
			}
			seen[name] = true
		}
		if s.English == "" || s.Chinese == "" || strings.Contains(s.English+s.Chinese, "|") {
			t.Errorf("%s: its texts are incomplete or break the Markdown table", s.Name)
		}
		if !strings.HasSuffix(s.English, ".") || !strings.HasSuffix(s.Chinese, "。") {
			t.Errorf("%s: a text is no whole sentence", s.Name)
		}
		if s.Required && s.Default != "" {
			t.Errorf("%s is required and has a default", s.Name)
		}
	}
}
