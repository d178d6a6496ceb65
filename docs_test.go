package cozetoken_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
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
