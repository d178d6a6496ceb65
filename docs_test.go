package cozetoken_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// testsByPackage are the names of all Go tests, each as "package.TestName" with the last part of
// its folder's path.
func testsByPackage(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && (name == "node_modules" || name != "." && name[0] == '.') {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(gotoken.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder := filepath.Base(filepath.Dir(path))
		if folder == "." {
			folder = "cozetoken"
		}
		if filepath.ToSlash(filepath.Dir(path)) == "cmd/worker" {
			folder = "cmd/worker" // beside the package worker
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				found[folder+"."+f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// contractParts are the parts of the contract suite.
func contractParts(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("internal/contract/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	parts := map[string]bool{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"([A-Z][a-zA-Z]+)"`).FindAllStringSubmatch(string(text), -1) {
			parts[m[1]] = true
		}
	}
	return parts
}

// The queries of the Workers pages have fields that audit records have, and values that these can
// have. Both pages have the same ones.
func TestQueriesAreOfAuditRecords(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| (`[^|]+`) \\| ")
	span := regexp.MustCompile("`([^`]+)`")
	fields := map[string]bool{}
	_, table, _ := strings.Cut(read(t, "docs/access.md"), "\n## Audit records\n")
	table, _, _ = strings.Cut(table, "\n## ")
	for _, m := range row.FindAllStringSubmatch(table, -1) {
		for _, name := range span.FindAllStringSubmatch(m[1], -1) {
			fields[name[1]] = true
		}
	}
	values := read(t, "docs/http.md") + read(t, "docs/access.md")
	sources, err := filepath.Glob("broker/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sources {
		values += read(t, name)
	}
	condition := regexp.MustCompile("`(\\w+)` (?:equals|starts with) `([^`]+)`")
	var first []string
	for _, page := range []string{"docs/workers.md", "docs/workers.zh-CN.md"} {
		text := read(t, page)
		queries := text[strings.Index(text, "<!-- queries -->"):strings.Index(text, "<!-- /queries -->")]
		var found []string
		for line := range strings.Lines(queries) {
			cells := strings.Split(line, " | ")
			if !strings.HasPrefix(line, "| ") || len(cells) < 3 {
				continue
			}
			rest := strings.Join(cells[1:], " | ")
			for _, m := range span.FindAllStringSubmatch(condition.ReplaceAllString(rest, "`$1`"), -1) {
				found = append(found, m[1])
				if !fields[m[1]] {
					t.Errorf("%s: audit records have no %s", page, m[1])
				}
			}
		}
		conditions := condition.FindAllStringSubmatch(text, -1)
		for _, m := range conditions {
			found = append(found, m[0])
			if !strings.Contains(values, m[2]) {
				t.Errorf("%s: no record has %s", page, m[0])
			}
		}
		if len(found) < 25 || len(conditions) < 8 {
			t.Errorf("%s has only %q", page, found)
		}
		if first != nil && !slices.Equal(first, found) {
			t.Errorf("the pages ask for\n%q\n%q", first, found)
		}
		first = found
	}
}

// Each test that the security pages name exists, and both pages name the same ones for each check.
func TestSecurityChecksNameTests(t *testing.T) {
	tests, parts := testsByPackage(t), contractParts(t)
	reference := regexp.MustCompile("`([^` ]+)`")
	named := map[string]string{} // :: check → what the first page names
	for _, page := range []string{"docs/security.md", "docs/security.zh-CN.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for line := range strings.Lines(string(text)) {
			cells := strings.Split(strings.TrimSpace(line), " | ")
			if len(cells) != 5 || !regexp.MustCompile(`^\| \d+$`).MatchString(cells[0]) {
				continue
			}
			var names []string
			for _, m := range reference.FindAllStringSubmatch(cells[4], -1) {
				name := m[1]
				ok := tests[name]
				if part, isPart := strings.CutPrefix(name, "Contract/"); isPart {
					ok = parts[part]
				} else if strings.HasSuffix(name, ".mjs") {
					_, err := os.Stat(name)
					ok = err == nil
				} else if !strings.Contains(name, ".") {
					continue // a function of the suite, or the suite
				}
				if !ok {
					t.Errorf("%s: check %s names %s, which does not exist", page, cells[0], name)
				}
				count++
				names = append(names, name)
			}
			all := strings.Join(names, " ")
			if before, ok := named[cells[0]]; ok && before != all {
				t.Errorf("check %s: the pages name\n%s\n%s", cells[0], before, all)
			}
			named[cells[0]] = all
		}
		if count < 60 {
			t.Errorf("%s names only %d tests", page, count)
		}
	}
}
