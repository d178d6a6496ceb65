package main_test

import (
	"compress/gzip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"coze-token/host/worker/linkgate"
)

// The platform takes 64 MiB, so these bounds are not its: they make growth a decision. Whoever raises one says why.
const (
	// Verifying logins (RSA, ECDSA, Ed25519), limits and the list of public suffixes brought 1.6 MB of the 9.2.
	mostRaw  = 10_000_000
	mostGzip = 2_750_000
	// mostActive is the start's CPU time by wrangler's measurement, in milliseconds. The platform ends a start at 1 s, and
	// Workers near 300 ms are refused now and then. The goal is 100; the bound is wide because machines that run tests are not
	// the platform's, and are busy.
	mostActive = 300
)

func TestSize(t *testing.T) {
	modules, err := filepath.Glob(filepath.Join(artefact(t), "*.wasm"))
	if err != nil || len(modules) != 1 {
		t.Fatalf("the artefact holds the modules %v, %v", modules, err)
	}
	module, err := os.ReadFile(modules[0])
	if err != nil {
		t.Fatal(err)
	}
	var packed counter
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	z.Write(module)
	z.Close()
	t.Logf("%d bytes, %d packed", len(module), packed)
	if len(module) > mostRaw || packed > mostGzip {
		t.Errorf("the module has %d bytes, %d packed; the bounds are %d and %d", len(module), packed, mostRaw, mostGzip)
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func TestLinksNoTransport(t *testing.T) {
	if err := linkgate.Check("coze-token/cmd/worker"); err != nil {
		t.Error(err)
	}
}

var active = regexp.MustCompile(`Active: ([0-9.]+) ms`)

func TestStart(t *testing.T) {
	artefact(t) // says what is missing
	best := 0.0
	for range 3 {
		cmd := exec.Command(bin("wrangler"), "check", "startup", "--outfile", filepath.Join(t.TempDir(), "start.cpuprofile"))
		cmd.Dir = root
		cmd.Env = node()
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("wrangler: %v\n%s", err, out)
		}
		found := active.FindSubmatch(out)
		if found == nil {
			t.Fatalf("wrangler no longer says how long the start was active: %s", out)
		}
		ms, err := strconv.ParseFloat(string(found[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("the start was active for %v ms", ms)
		if best == 0 || ms < best {
			best = ms
		}
	}
	if best > mostActive {
		t.Errorf("the start was active for %v ms at best; the bound is %d", best, mostActive)
	}
}
