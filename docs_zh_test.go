package cozetoken_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"coze-token/internal/zh"
)

// chinesePages are the paths of all Chinese pages.
func chinesePages(t *testing.T) []string {
	t.Helper()
	var pages []string
	for _, pattern := range []string{"*.zh-CN.md", "*/*.zh-CN.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	if len(pages) < 12 {
		t.Fatalf("only %q", pages)
	}
	return pages
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What is Chinese uses the words of the project, and Chinese punctuation.
func TestChineseWords(t *testing.T) {
	for _, page := range append(chinesePages(t), "cmd/coze-token/demo.html") {
		for _, fault := range zh.Check(page, read(t, page)) {
			t.Error(fault)
		}
	}
}

// A Chinese page has the headings, rows, list items and code of the English one, in its order.
func TestPagesHaveOneShape(t *testing.T) {
	part := regexp.MustCompile("^ *(#+ |```\\w*|\\* |\\d+\\. |\\|)")
	shape := func(page string) (parts []string) {
		fenced := false
		for line := range strings.Lines(read(t, page)) {
			found := strings.TrimSpace(part.FindString(line))
			if strings.HasPrefix(found, "```") {
				fenced = !fenced
			} else if fenced {
				continue
			}
			if found == "|" {
				found = strings.Repeat("|", strings.Count(line, " | "))
			}
			if found != "" {
				parts = append(parts, found)
			}
		}
		return parts
	}
	for _, page := range chinesePages(t) {
		chinese, english := shape(page), shape(strings.Replace(page, ".zh-CN", "", 1))
		for i := range min(len(chinese), len(english)) {
			if chinese[i] != english[i] {
				t.Errorf("%s: part %d after %q is %q, in English %q", page, i, chinese[max(0, i-5):i], chinese[i], english[i])
				break
			}
		}
		if len(chinese) != len(english) {
			t.Errorf("%s has %d parts, the English page %d", page, len(chinese), len(english))
		}
	}
}

// Links lead to files and headings that exist.
func TestLinks(t *testing.T) {
	heading := regexp.MustCompile("(?m)^#+ +(.*)$")
	link := regexp.MustCompile(`\]\(([^)]*)\)`)
	fence := regexp.MustCompile("(?s)\n *```.*?\n *```")
	anchors := func(page string) (names []string) {
		for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(read(t, page), ""), -1) {
			names = append(names, strings.Map(func(r rune) rune {
				switch {
				case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
					return unicode.ToLower(r)
				case r == ' ':
					return '-'
				}
				return -1
			}, link.ReplaceAllString(m[1], "]")))
		}
		return names
	}
	for _, chinese := range chinesePages(t) {
		for _, page := range []string{chinese, strings.Replace(chinese, ".zh-CN", "", 1)} {
			for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(read(t, page), ""), -1) {
				path, anchor, _ := strings.Cut(m[1], "#")
				if strings.Contains(path, "://") {
					continue
				}
				file := filepath.Join(filepath.Dir(page), path)
				if path == "" {
					file = page
				}
				if _, err := os.Stat(file); err != nil {
					t.Errorf("%s: %s does not exist", page, m[1])
				} else if anchor != "" && !slices.Contains(anchors(file), anchor) {
					t.Errorf("%s: %s has no heading %s", page, file, anchor)
				}
			}
		}
	}
}
