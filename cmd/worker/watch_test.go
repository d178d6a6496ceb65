package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// `wrangler dev` builds again when a file changes that is compiled into the Worker.
func TestEverySourceIsWatched(t *testing.T) {
	config, err := os.ReadFile(filepath.Join(root, "wrangler.jsonc"))
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`"watch_dir": \[([^\]]*)\]`).FindSubmatch(config)
	if list == nil {
		t.Fatal("wrangler.jsonc has no list watch_dir")
	}
	var watched []string
	for _, entry := range strings.Split(string(list[1]), ",") {
		watched = append(watched, strings.Trim(entry, " \n\""))
	}
	cmd := exec.Command("go", "list", "-deps", "-f",
		`{{with $p := .}}{{if not .Standard}}{{range .GoFiles}}{{$p.Dir}}/{{.}}{{"\n"}}{{end}}{{end}}{{end}}`, "./cmd/worker")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, file := range strings.Fields(string(out)) {
		file, err := filepath.Rel(root, file)
		if err != nil || strings.HasPrefix(file, "..") {
			continue // of another module
		}
		covered := false
		for _, entry := range watched {
			covered = covered || file == entry || strings.HasPrefix(file, entry+"/")
		}
		if !covered {
			t.Errorf("%s is not watched: add it to watch_dir in wrangler.jsonc", file)
		}
	}
}
