package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"coze-token/internal/contract"
	"coze-token/sandbox"
)

// TestContract checks the files that would be deployed, in the runtime that would run them.
func TestContract(t *testing.T) {
	contract.Run(t, &workerBuild{t: t, artefact: artefact(t)})
}

// artefact returns the folder with the files that wrangler would deploy.
func artefact(t *testing.T) string {
	t.Helper()
	dir, err := makeArtefact()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// makeArtefact builds anew, so that no test runs an old program.
var makeArtefact = sync.OnceValues(func() (dir string, err error) {
	if _, err := os.Stat(bin("wrangler")); err != nil {
		return "", errors.New("wrangler is not installed: run npm ci first, or make test, which does")
	}
	dir = filepath.Join(root, "build", "worker")
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	cmd := exec.Command(bin("wrangler"), "deploy", "--dry-run", "--outdir", dir)
	cmd.Dir = root
	cmd.Env = node()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("wrangler: %w\n%s", err, out)
	}
	return dir, nil
})

var root, _ = filepath.Abs("../..")

// startCoze serves a sandbox instead of Coze.
func startCoze(t *testing.T) (coze *sandbox.Sandbox, url string) {
	t.Helper()
	coze, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(coze)
	t.Cleanup(server.Close)
	return coze, server.URL
}

func bin(name string) string { return filepath.Join(root, "node_modules", ".bin", name) }

// node returns an environment in which npm's Node comes before the machine's, which may be too old.
func node() []string {
	path := filepath.Dir(bin("node")) + string(os.PathListSeparator) + os.Getenv("PATH")
	return append(os.Environ(), "PATH="+path, "WRANGLER_SEND_METRICS=false")
}

// workerBuild runs the artefact in workerd.
type workerBuild struct {
	t        *testing.T
	artefact string

	mu  sync.Mutex
	log bytes.Buffer
}

func (*workerBuild) StartDraining(*testing.T, map[string]string) (string, bool) { return "", false }

func (*workerBuild) Host() string { return "workers" }

func (b *workerBuild) Output() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.String()
}

func (b *workerBuild) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.Write(p)
}

func (b *workerBuild) Start(t *testing.T, settings map[string]string) string {
	t.Helper()
	vars := map[string]any{"LOG_LEVEL": "debug"}
	for name, text := range settings {
		vars[name] = text
	}
	return b.start(t, vars)
}

// start accepts variables of all types that wrangler.jsonc may give them.
func (b *workerBuild) start(t *testing.T, vars map[string]any) string {
	t.Helper()
	cmd := exec.Command(bin("node"), filepath.Join("test", "worker.mjs"), b.artefact)
	cmd.Dir = root
	cmd.Env = node()
	cmd.Stderr = b
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, b.Output())
		}
	})
	line, err := json.Marshal(vars)
	if err != nil {
		t.Fatal(err)
	}
	stdin.Write(append(line, '\n'))
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the Worker did not start: %v: %s", err, b.Output())
	}
	go io.Copy(io.Discard, stdout)
	return strings.TrimSpace(url)
}
