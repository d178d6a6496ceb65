//go:build unix

// Package script_test tests the scripts.
package script_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// output runs a command, which must succeed.
func output(t *testing.T, dir string, environ []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), environ...)
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

// A release has its version, is the same bytes twice, and its package can be installed.
func TestRelease(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles for a minute")
	}
	need(t, "bash", "git", "tar", "sha256sum")
	platforms := []string{"PLATFORMS=linux/amd64"}
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
	want := []string{"coze-token-1.2.3-1.x86_64.rpm", "coze-token_1.2.3_amd64.deb", "coze-token_v1.2.3_linux_amd64.tar.gz"}
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
	t.Run("Debian", func(t *testing.T) { testDebian(t, filepath.Join(release, want[1])) })
}

// testDebian installs a package into a folder.
func testDebian(t *testing.T, pkg string) {
	need(t, "dpkg")
	root := t.TempDir()
	output(t, root, nil, "sh", "-c", `mkdir -p var/lib/dpkg/info var/lib/dpkg/updates && : > var/lib/dpkg/status`)
	output(t, root, nil, "dpkg", "--root="+root, "--force-not-root", "--force-script-chrootless", "--log=/dev/null",
		"-i", pkg)
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
