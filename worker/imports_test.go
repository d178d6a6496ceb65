package worker

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The package and its tests can be copied into another module: they import the standard library and
// one another.
func TestImportsTheStandardLibraryOnly(t *testing.T) {
	list := func(args ...string) []string {
		cmd := exec.Command("go", append([]string{"list"}, args...)...)
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		return strings.Fields(string(out))
	}
	self := list(".")[0]
	found := list("-deps", "-test", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./...")
	for _, pkg := range found {
		// What follows self is a folder, or in the names of tests ".test" or "_test".
		rest, own := strings.CutPrefix(strings.TrimLeft(pkg, "["), self)
		if !own || rest != "" && !strings.Contains("/._", rest[:1]) {
			t.Errorf("%s is imported", pkg)
		}
	}
	if len(found) < 4 {
		t.Errorf("found only %q", found)
	}
}
