package metrics

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// Both pages describe every metric, and none that there is not.
func TestPages(t *testing.T) {
	var want []string
	for _, f := range families {
		want = append(want, f.name)
	}
	slices.Sort(want)
	for _, page := range []string{"../../docs/metrics.md", "../../docs/metrics.zh-CN.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		name := regexp.MustCompile("`((?:coze_token|process|go)_[a-z_]+)`")
		for _, m := range name.FindAllStringSubmatch(string(text), -1) {
			got = append(got, m[1])
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s has\n%v, and there are\n%v", page, got, want)
		}
	}
}
