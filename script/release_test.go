//go:build unix

// Package script_test tests the scripts.
package script_test

import (
	"archive/zip"
	"bytes"
	"debug/buildinfo"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// output runs a command, which must succeed.
func output(t *testing.T, dir string, environ []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(append(os.Environ(), "LC_ALL=C"), environ...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// need skips the test where a program is not installed.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("there is no %s on PATH", name)
		}
	}
}

// tagged is a repository that holds the files as they are here, in one commit with the tag v1.2.3.
func tagged(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	git := []string{"GIT_AUTHOR_NAME=x", "GIT_AUTHOR_EMAIL=x@example.com", "GIT_COMMITTER_NAME=x",
		"GIT_COMMITTER_EMAIL=x@example.com", "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z",
		"GIT_COMMITTER_DATE=2026-01-02T03:04:05Z"}
	output(t, "..", nil, "sh", "-c",
		`git ls-files -co --exclude-standard -z | tar --null -T - -cf - | tar -C "$0" -xf -`, dir)
	output(t, dir, git, "git", "init", "-q")
	output(t, dir, git, "git", "add", "-A")
	output(t, dir, git, "git", "commit", "-q", "-m", "all")
	output(t, dir, git, "git", "tag", "v1.2.3")
	return dir
}

// A release has its version, is the same bytes twice, its packages can be installed, and its image
// runs.
func TestRelease(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles for a minute")
	}
	need(t, "bash", "git", "tar", "sha256sum", "zip")
	platforms := []string{"PLATFORMS=linux/amd64 windows/amd64"}
	out := t.TempDir()
	var sums [2]string
	for i := range sums { // each in a folder of its own: no path is in the bytes
		folder := filepath.Join(out, string('a'+rune(i)))
		output(t, tagged(t), platforms, "bash", "script/release", folder)
		text, err := os.ReadFile(filepath.Join(folder, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		sums[i] = string(text)
	}
	if sums[0] != sums[1] {
		t.Errorf("two releases of one commit differ:\n%s\n%s", sums[0], sums[1])
	}
	names := regexp.MustCompile(`(?m)^[0-9a-f]{64}  (.+)$`).FindAllStringSubmatch(sums[0], -1)
	want := []string{"coze-token-1.2.3-1.x86_64.rpm", "coze-token_1.2.3_amd64.deb", "coze-token_v1.2.3_linux_amd64.tar.gz",
		"coze-token_v1.2.3_windows_amd64.zip"}
	if len(names) != len(want) {
		t.Fatalf("%s", sums[0])
	}
	for i, name := range names {
		if name[1] != want[i] {
			t.Errorf("%s, not %s", name[1], want[i])
		}
	}
	release := filepath.Join(out, "a")
	archive := output(t, release, nil, "tar", "-tzf", want[2])
	for _, file := range []string{"./coze-token\n", "./LICENSE\n", "./README.md\n"} {
		if !strings.Contains(archive, file) {
			t.Errorf("the archive has no %s: %s", file, archive)
		}
	}
	testZip(t, filepath.Join(release, want[3]))
	t.Run("Debian", func(t *testing.T) { testDebian(t, filepath.Join(release, want[1])) })
	t.Run("RPM", func(t *testing.T) { testRPM(t, filepath.Join(release, want[0])) })
	t.Run("Image", func(t *testing.T) { testReleasedImage(t, release, want[2]) })
}

// testZip reads an archive for Windows, as a program other than zip does.
func testZip(t *testing.T, archive string) {
	t.Helper()
	files, err := zip.OpenReader(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	var names []string
	for _, f := range files.File {
		names = append(names, f.Name)
		if want := time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC); !f.Modified.Equal(want) { // in steps of 2 s
			t.Errorf("%s is of %v, not %v", f.Name, f.Modified, want)
		}
	}
	if want := []string{"CHANGELOG.md", "LICENSE", "README.md", "README.zh-CN.md", "coze-token.exe"}; !slices.Equal(names, want) {
		t.Errorf("%s has %v, not %v", archive, names, want)
	}
	program, err := files.Open("coze-token.exe")
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	text, err := io.ReadAll(program)
	if err != nil {
		t.Fatal(err)
	}
	build, err := buildinfo.Read(bytes.NewReader(text))
	if err != nil || build.Main.Version != "v1.2.3" || setting(build, "GOOS") != "windows" {
		t.Errorf("it is %v, %v", build, err)
	}
}

// setting is what a program was built with.
func setting(build *buildinfo.BuildInfo, name string) string {
	for _, s := range build.Settings {
		if s.Key == name {
			return s.Value
		}
	}
	return ""
}

// testDebian installs a package into a folder.
func testDebian(t *testing.T, pkg string) {
	need(t, "dpkg")
	root := t.TempDir()
	output(t, root, nil, "sh", "-c", `mkdir -p var/lib/dpkg/info var/lib/dpkg/updates && : > var/lib/dpkg/status`)
	output(t, root, nil, "dpkg", "--root="+root, "--force-not-root", "--force-script-chrootless", "--log=/dev/null",
		"-i", pkg)
	checkInstalled(t, root)
}

// testRPM installs a package into a folder. Its scripts are compared and not run: rpm runs them in
// the folder, which has no shell.
func testRPM(t *testing.T, pkg string) {
	need(t, "rpm")
	root := t.TempDir()
	output(t, root, nil, "rpm", "-i", "--dbpath", filepath.Join(root, "var/lib/rpm"), "--relocate", "/="+root,
		"--badreloc", "--nodeps", "--noscripts", pkg)
	checkInstalled(t, root)
	scripts := output(t, root, nil, "rpm", "-qp", "--scripts", pkg)
	for _, name := range []string{"postinstall", "preremove"} {
		text, err := os.ReadFile("../deploy/package/" + name + ".sh")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(scripts, string(text)) {
			t.Errorf("the package has no %s.sh: %s", name, scripts)
		}
	}
	if files := output(t, root, nil, "rpm", "-qp", "--configfiles", pkg); !strings.Contains(files, "/etc/coze-token/env\n") {
		t.Errorf("an update would replace the settings: %s", files)
	}
}

// checkInstalled looks at what a package has put into a folder.
func checkInstalled(t *testing.T, root string) {
	t.Helper()
	program := filepath.Join(root, "usr/bin/coze-token")
	if version := output(t, root, nil, program, "version"); !strings.HasPrefix(version, "coze-token v1.2.3 ") {
		t.Errorf("it is %s", version)
	}
	// The example settings are settings: all that is wrong is what has to be filled in.
	check := exec.Command("sh", "-c", `set -a; . "$0/etc/coze-token/env"; exec "$1" check --offline`, root, program)
	check.Env = []string{}
	text, err := check.CombinedOutput()
	if err == nil {
		t.Errorf("empty settings are good: %s", text)
	}
	for line := range strings.Lines(string(text)) {
		wrong := strings.HasPrefix(line, "FAIL") || strings.HasPrefix(line, "warn")
		if wrong && !regexp.MustCompile(`CLIENT_ID|KID|PRIVATE_KEY_FILE`).MatchString(line) {
			t.Error(line)
		}
	}

	need(t, "systemd-analyze")
	unit, err := os.ReadFile(filepath.Join(root, "usr/lib/systemd/system/coze-token.service"))
	if err != nil {
		t.Fatal(err)
	}
	here := filepath.Join(t.TempDir(), "coze-token.service")
	text = []byte(strings.ReplaceAll(string(unit), "/usr/bin/coze-token", program))
	if err := os.WriteFile(here, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if said := output(t, root, nil, "systemd-analyze", "verify", "--man=no", here); strings.Contains(said, here) {
		t.Errorf("systemd-analyze verify: %s", said)
	}
}
