package main_test

import (
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"coze-token/internal/message/chinese"
	"coze-token/sandbox"
	"coze-token/worker/linkcheck"
)

// The platform allows 64 MiB. These bounds make growth a decision: raise one with a reason.
const (
	// A program with net/http's types, JSON and slog has 4.3 MB.
	mostRaw  = 6_500_000
	mostGzip = 1_900_000
	// mostActive is the start's CPU time by wrangler's measurement, in milliseconds. The platform ends
	// a start at 1 s, and sometimes refuses Workers near 300 ms. The goal is 100. The bound is wide
	// because the machines that run tests are not the platform's.
	mostActive = 300
)

// readModule returns the artefact's WebAssembly, of which there is one file.
func readModule(t *testing.T) []byte {
	t.Helper()
	modules, err := filepath.Glob(filepath.Join(artefact(t), "*.wasm"))
	if err != nil || len(modules) != 1 {
		t.Fatalf("the artefact holds the modules %v, %v", modules, err)
	}
	module, err := os.ReadFile(modules[0])
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func TestSize(t *testing.T) {
	module := readModule(t)
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

// Beside clients and TLS, the Worker links nothing that costs more at its start than it is worth:
// WebCrypto signs and verifies, and internal/rsakey reads keys. To find out what links such a thing,
// build with -ldflags=-dumpdep. Go lies beneath GOMODCACHE here, as one does that Go has downloaded.
func TestLinksLittle(t *testing.T) {
	artefact(t) // reports what is not installed
	out, err := exec.Command("go", "env", "GOROOT", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Fields(string(out))
	file := filepath.Join(t.TempDir(), "names.wasm")
	cmd := exec.Command(bin("node"), filepath.Join("script", "build-worker.mjs"), file)
	cmd.Dir = root
	cmd.Env = append(node(), "GOMODCACHE="+filepath.Dir(at[0]), "GOPROXY=file://"+at[1]+"/cache/download")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	err = linkcheck.Module(file, "regexp.", "encoding_asn1.", "crypto_x509.", "crypto_ecdsa.", "crypto_elliptic.",
		"crypto_internal_fips140_nistec", "crypto_internal_fips140_edwards25519", "crypto_internal_fips140_bigmod.",
		"math_big.__Int_.String", "github.com_golang_jwt")
	if err != nil {
		t.Error(err)
	}
}

// Metrics are the native server's. The Worker links neither their library nor Redis's.
func TestLinksNoMetrics(t *testing.T) {
	list := exec.Command("go", "list", "-deps", "coze-token/cmd/worker")
	list.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		for _, foreign := range []string{"VictoriaMetrics", "valyala", "go-redis", "internal/metrics"} {
			if strings.Contains(pkg, foreign) {
				t.Errorf("it links %s", pkg)
			}
		}
	}
}

// startSettings writes a file with good settings: without them the measured Worker would only
// report that they are missing. It is for --secrets-file, because the measured start does not see
// --env-file.
func startSettings(t *testing.T) string {
	t.Helper()
	sb, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for name, value := range sb.Settings("http://127.0.0.1:1") {
		fmt.Fprintf(&lines, "%s=\"%s\"\n", name, strings.ReplaceAll(value, "\n", `\n`))
	}
	file := filepath.Join(t.TempDir(), "settings.env")
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

var active = regexp.MustCompile(`Active: ([0-9.]+) ms`)

func TestStart(t *testing.T) {
	artefact(t) // reports what is not installed
	settings := startSettings(t)
	best := math.Inf(1)
	for try := 0; try < 3 || best > mostActive && try < 6; try++ { // a busy machine gets more tries
		crowd := crowding()
		profile := filepath.Join(t.TempDir(), "start.cpuprofile")
		cmd := exec.Command(bin("wrangler"), "check", "startup", "--outfile", profile, "--args=--secrets-file "+settings)
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
		crowd = (crowd + crowding()) / 2
		t.Logf("the start was active for %v ms, while a processor did %.1f programs' work", ms, crowd)
		best = min(best, ms/crowd)
	}
	if best > mostActive {
		t.Errorf("the start was active for %.0f ms at best; the bound is %d", best, mostActive)
	}
}

// crowding measures how busy the machine is, because wrangler reports real time: the average time
// of a piece of work, divided by its shortest time. It is 1 on an idle machine. It is at most 4, so
// that the bound keeps a meaning.
func crowding() float64 {
	const times = 400
	work := make([]byte, 256<<10)
	quickest, all := time.Hour, time.Duration(0)
	for range times {
		began := time.Now()
		sha256.Sum256(work)
		took := time.Since(began)
		quickest, all = min(quickest, took), all+took
	}
	return min(float64(all)/float64(times*quickest), 4)
}

// The Worker contains the Chinese of what it answers, and not that of the command line.
func TestLinksItsTextsOnly(t *testing.T) {
	module := string(readModule(t))
	var answers strings.Builder
	for _, entry := range chinese.HTTP {
		if answers.WriteString(entry[1]); !strings.Contains(module, entry[1]) {
			t.Errorf("it lacks %q", entry[1])
		}
	}
	for _, entry := range chinese.Commands {
		part := strings.Contains(answers.String(), entry[1]) || len(entry[1]) < 20 // of an answer, or of anything
		if !part && strings.Contains(module, entry[1]) {
			t.Errorf("it contains %q", entry[1])
		}
	}
}
