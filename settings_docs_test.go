package cozetoken_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	cozetoken "coze-token"
	"coze-token/internal/setting"
)

// The reference pages have a row for each setting, in any order, with its default, its bounds and
// its other names.
func TestReference(t *testing.T) {
	for _, page := range []struct{ path, required, none, bounds, native, workers string }{
		{"docs/settings.md", "**required**", "not set", "%d to %d", "Native server only", "Cloudflare Workers only"},
		{"docs/settings.zh-CN.md", "**必填**", "无", "%d～%d", "仅用于服务器版",
			"仅用于 Cloudflare Workers"},
	} {
		text, err := os.ReadFile(page.path)
		if err != nil {
			t.Fatal(err)
		}
		_, table, _ := strings.Cut(string(text), "<!-- settings -->\n")
		table, _, ok := strings.Cut(table, "<!-- /settings -->")
		if !ok {
			t.Fatalf("%s has lost its markers", page.path)
		}
		rows := map[string]string{} // :: setting → the cells after its name
		for line := range strings.Lines(table) {
			if rest, ok := strings.CutPrefix(line, "| `"); ok {
				name, cells, _ := strings.Cut(rest, "` | ")
				rows[name] = cells
			}
		}
		for _, row := range cozetoken.Rows {
			value := page.none
			switch {
			case row.Required != "":
				value = page.required
			case row.Default != "":
				value = "`" + row.Default + "`"
			}
			cells, ok := rows[row.Name]
			delete(rows, row.Name)
			if !ok || !strings.HasPrefix(cells, value+" | ") {
				t.Errorf("%s: %s is missing, or its default is not %s", page.path, row.Name, value)
			}
			var needs []string
			for _, name := range row.Names()[1:] {
				needs = append(needs, "`"+name+"`")
			}
			if row.Max != 0 {
				needs = append(needs, fmt.Sprintf(page.bounds, row.Min, row.Max))
			}
			if row.WorkersDefault != "" {
				needs = append(needs, row.WorkersDefault)
			}
			switch row.Host {
			case setting.Native:
				needs = append(needs, page.native)
			case setting.Workers:
				needs = append(needs, page.workers)
			}
			for _, need := range needs {
				if !strings.Contains(cells, need) {
					t.Errorf("%s: %s lacks %q", page.path, row.Name, need)
				}
			}
		}
		for name := range rows {
			t.Errorf("%s: %s is no setting", page.path, name)
		}
	}
}

// A setting that no code reads would be documented and do nothing. One that two features read would
// be two settings: each is a variable that only its own package can read.
func TestEverySettingIsRead(t *testing.T) {
	if names := cozetoken.Unread(); len(names) > 0 {
		t.Errorf("no feature reads %v", names)
	}
}

func TestRows(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range cozetoken.Rows {
		for _, name := range row.Names() {
			if seen[name] || name != strings.ToUpper(name) {
				t.Errorf("%s is there twice, or not in capitals", name)
			}
			seen[name] = true
		}
		if row.Required != "" && row.Default != "" || row.Min > row.Max {
			t.Errorf("%s is required and has a default, or has no number within its bounds", row.Name)
		}
	}
}
