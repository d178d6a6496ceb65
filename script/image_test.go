//go:build linux

package script_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"coze-token/internal/redistest"
	"coze-token/sandbox"
)

// A builder is buildah with a storage of its own. It builds and runs without a daemon. Its
// containers have the network and the processes of this machine.
type builder struct {
	t      *testing.T
	global []string
}

func newBuilder(t *testing.T) *builder {
	t.Helper()
	need(t, "buildah")
	if os.Geteuid() != 0 {
		t.Skip("buildah is tried as root only")
	}
	dir := t.TempDir()
	return &builder{t, []string{"--storage-driver", "vfs", "--root", dir + "/root", "--runroot", dir + "/run"}}
}

// run is what buildah writes, warnings included.
func (b *builder) run(args ...string) string {
	b.t.Helper()
	return output(b.t, "", nil, "buildah", append(slices.Clone(b.global), args...)...)
}

// build makes an image of what is in a folder, by the Dockerfile.
func (b *builder) build(image, dockerfile, dir string, args ...string) string {
	b.t.Helper()
	return b.run(append(append([]string{"bud", "--isolation", "chroot", "--format", "docker", "--pull-never", "-t", image,
		"-f", dockerfile}, args...), dir)...)
}

// A container is made from an image. Its program is a file in root.
type container struct {
	b      *builder
	name   string
	root   string
	config imageConfig
}

type imageConfig struct {
	Architecture string `json:"architecture"`
	Config       struct {
		Env, Entrypoint, Cmd []string
		Healthcheck          struct{ Test []string }
	} `json:"config"`
}

func (b *builder) from(image string) *container {
	b.t.Helper()
	c := &container{b: b, name: image + "-container"}
	b.run("from", "--pull-never", "--name", c.name, image)
	c.root = strings.TrimSpace(b.run("mount", c.name))
	var found struct{ Docker imageConfig }
	if err := json.Unmarshal([]byte(b.run("inspect", "--type", "image", image)), &found); err != nil {
		b.t.Fatal(err)
	}
	c.config = found.Docker
	return c
}

// command runs a program in the container, as the image's user. environ is beside that of the image.
func (c *container) command(environ []string, program ...string) *exec.Cmd {
	args := append(slices.Clone(c.b.global), "run", "--isolation", "chroot")
	for _, v := range environ {
		args = append(args, "--env", v)
	}
	args = append(append(args, c.name, "--"), program...)
	return exec.Command("buildah", args...)
}

// check has the image's program serve a token. version is the program's.
func (c *container) check(version string) {
	t := c.b.t
	t.Helper()
	program := c.config.Config.Entrypoint
	if len(program) != 1 || !slices.Contains(c.config.Config.Env, "PORT=8787") {
		t.Fatalf("%+v", c.config)
	}
	build, err := buildinfo.ReadFile(filepath.Join(c.root, program[0]))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(build.Deps, func(m *debug.Module) bool { return strings.HasSuffix(m.Path, "/x509roots/fallback") }) {
		t.Error("there are no root certificates in the program, and none in the image")
	}
	out, err := c.command(nil, program[0], "version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "coze-token "+version+" ") {
		t.Errorf("version: %v: %s", err, out)
	}

	sb, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	coze := httptest.NewServer(sb)
	t.Cleanup(coze.Close)
	address := "127.0.0.1:" + redistest.FreePort(t)
	environ := []string{"LISTEN=" + address}
	for name, value := range sb.Settings(coze.URL) {
		environ = append(environ, name+"="+value)
	}
	var log bytes.Buffer
	serve := c.command(environ, append(slices.Clone(program), c.config.Config.Cmd...)...)
	serve.Stdout, serve.Stderr = &log, &log
	serve.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // buildah passes no signal on
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		syscall.Kill(-serve.Process.Pid, syscall.SIGTERM)
		serve.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	url := "http://" + address + "/"
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get(url + "readyz")
		if err == nil {
			response.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("it does not serve: %v", err)
			return
		}
	}
	response, err := http.Post(url, "", nil)
	if err != nil {
		t.Error(err)
		return
	}
	body, _ := io.ReadAll(response.Body)
	response.Body.Close()
	if response.StatusCode != http.StatusOK || !strings.Contains(string(body), `"access_token"`) {
		t.Errorf("no token: %d %s", response.StatusCode, body)
	}
	if uid := owner(t, address); uid != 65532 {
		t.Errorf("it runs as user %d", uid)
	}
	probe := c.config.Config.Healthcheck.Test
	if len(probe) < 2 || probe[0] != "CMD" {
		t.Errorf("HEALTHCHECK is %v", probe)
		return
	}
	if out, err := c.command(environ, probe[1:]...).CombinedOutput(); err != nil {
		t.Errorf("%v: %v: %s", probe, err, out)
	}
	out, err = c.command([]string{"LISTEN=127.0.0.1:1"}, probe[1:]...).CombinedOutput()
	if err == nil {
		t.Errorf("%v where nobody listens: %s", probe, out)
	}
}

// owner is the user whose process listens on an address of IPv4.
func owner(t *testing.T, address string) int {
	t.Helper()
	a := netip.MustParseAddrPort(address)
	ip := a.Addr().As4()
	slices.Reverse(ip[:]) // as the machine's number, and this machine is little-endian
	local := fmt.Sprintf("%s:%04X", strings.ToUpper(hex.EncodeToString(ip[:])), a.Port())
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); f[1] == local && f[3] == "0A" { // it listens
			uid, err := strconv.Atoi(f[7])
			if err != nil {
				t.Fatal(err)
			}
			return uid
		}
	}
	t.Fatalf("nobody listens on %s", address)
	return 0
}

// testReleasedImage packs an archive for Linux.
func testReleasedImage(t *testing.T, release, archive string) {
	b := newBuilder(t)
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join(release, archive))
	if err != nil {
		t.Fatal(err)
	}
	// To compile for another machine takes a minute. What is packed for it is the file of its name.
	for name, content := range map[string][]byte{
		archive: text, strings.Replace(archive, "amd64", "arm64", 1): tarball(t, "coze-token", "a program for arm64"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const dockerfile = "../deploy/package/Dockerfile"
	b.build("other", dockerfile, dir, "--platform", "linux/arm64")
	other := b.from("other")
	program, err := os.ReadFile(filepath.Join(other.root, "coze-token"))
	if err != nil || string(program) != "a program for arm64" || other.config.Architecture != "arm64" {
		t.Errorf("the image for arm64 is for %s, and its program %.40q, %v", other.config.Architecture, program, err)
	}
	if runtime.GOARCH != "amd64" {
		t.Skip("this machine cannot run the program")
	}
	b.build("released", dockerfile, dir, "--platform", "linux/amd64")
	b.from("released").check("v1.2.3")
}

func tarball(t *testing.T, name, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	compressed := gzip.NewWriter(&b)
	w := tar.NewWriter(compressed)
	err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text))})
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	for _, closer := range []io.Closer{w, compressed} {
		if err == nil {
			err = closer.Close()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The Dockerfile builds the program. In the place of the image with Go, which a machine without a
// network cannot have, is one that has this machine's Go. Modules come from where GOPROXY says.
func TestDockerfile(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles")
	}
	b := newBuilder(t)
	if link, err := os.Readlink("/bin"); err != nil || link != "usr/bin" {
		t.Skip("this machine's /bin is not in /usr")
	}
	env := map[string]string{}
	if err := json.Unmarshal([]byte(output(t, "..", nil, "go", "env", "-json", "GOROOT", "GOCACHE", "GOMODCACHE")), &env); err != nil {
		t.Fatal(err)
	}
	output(t, "..", nil, "go", "mod", "download")
	var modules atomic.Int64
	files := http.FileServer(http.Dir(filepath.Join(env["GOMODCACHE"], "cache/download")))
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".zip") {
			modules.Add(1)
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)

	base := t.TempDir()
	output(t, base, nil, "sh", "-c", `mkdir -p root/usr root/tmp root/go/root root/go/cache &&
		for link in bin lib lib64 sbin; do ln -s usr/$link root/$link; done && tar -C root -cf base.tar .`)
	text := "FROM scratch\nADD base.tar /\nENV PATH=/go/root/bin:/usr/bin:/bin GOTOOLCHAIN=local GOROOT=/go/root GOCACHE=/go/cache\n"
	if err := os.WriteFile(filepath.Join(base, "Dockerfile"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.build("docker.io/library/golang:1.26", filepath.Join(base, "Dockerfile"), base)

	dir := tagged(t)
	b.build("built", filepath.Join(dir, "Dockerfile"), dir, "--build-arg", "GOPROXY="+proxy.URL,
		"-v", "/usr:/usr:ro", "-v", env["GOROOT"]+":/go/root:ro", "-v", env["GOCACHE"]+":/go/cache")
	if modules.Load() == 0 {
		t.Error("no module came from GOPROXY")
	}
	b.from("built").check("devel")
}
