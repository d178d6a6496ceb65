package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	cozetoken "coze-token"
	"coze-token/coze"
	"coze-token/internal/auth"
	"coze-token/sandbox"
)

// A key file that changes is read again, by itself or on SIGHUP; a bad one is said to be so, and
// the old key stays.
func TestKeysAreSwappedWithoutARestart(t *testing.T) {
	pollInterval = 50 * time.Millisecond
	t.Cleanup(func() { pollInterval = 10 * time.Second })
	sb, err := sandbox.New(sandbox.Options{Key: scriptKey()})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sb)
	t.Cleanup(server.Close)
	settings := sb.Settings(server.URL)
	dir := t.TempDir()
	file := filepath.Join(dir, "apps.json")
	audit := filepath.Join(dir, "audit.log")

	second, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(second)
	if err != nil {
		t.Fatal(err)
	}
	secondPEM := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	const secondID = "aAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaA1"
	if err := sb.AddKey(settings["CLIENT_ID"], coze.Key{ID: secondID, Signer: second}); err != nil {
		t.Fatal(err)
	}
	write := func(kid, key string) {
		writeApps(t, file, map[string]any{"shop": map[string]string{"client_id": settings["CLIENT_ID"], "kid": kid,
			"private_key": key}})
	}
	write(settings["KID"], settings["PRIVATE_KEY"])

	var log logBuffer
	url := serve(t, &log, "LISTEN=127.0.0.1:0", "CACHE=off", "APPS_FILE="+file, "AUDIENCE="+settings["AUDIENCE"],
		"TOKEN_ENDPOINT="+settings["TOKEN_ENDPOINT"], "AUDIT_FILE="+audit)
	// One app and none at /: the start-up line's URL ends in its name.
	mint := func() string {
		if _, err := post(context.Background(), url, "user-1"); err != nil {
			t.Fatal(err)
		}
		last, _ := sb.Last()
		return last.JWTHeader["kid"].(string)
	}
	if kid := mint(); kid != settings["KID"] {
		t.Fatalf("signed with %s", kid)
	}

	write(secondID, "nonsense")
	eventually(t, "the bad file is complained of",
		func() bool { return strings.Contains(log.String(), "the old ones stay in force") })
	if kid := mint(); kid != settings["KID"] {
		t.Errorf("signed with %s after a bad file", kid)
	}
	if strings.Contains(log.String(), "nonsense") {
		t.Error("the bad key was logged")
	}

	write(secondID, secondPEM)
	eventually(t, "the new key is used", func() bool { return mint() == secondID })
	eventually(t, "the change is logged", func() bool {
		return strings.Contains(log.String(),
			"the settings were read again")
	})

	// SIGHUP reads again, and opens the audit file anew.
	if err := os.Rename(audit, audit+".1"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the audit file is there again", func() bool { _, err := os.Stat(audit); return err == nil })
	mint()
	var data []byte // an answer comes before its record
	eventually(t, "there is a record in it", func() bool {
		data,
			_ = os.ReadFile(audit)
		return bytes.Contains(data, []byte("\n"))
	})
	var record map[string]any
	if err := json.Unmarshal([]byte(strings.SplitN(string(data), "\n", 2)[0]), &record); err != nil {
		t.Fatal(err)
	}
	if record["outcome"] != "granted" || record["app"] != "shop" || record["caller_mode"] != "open" ||
		record["address"] != "127.0.0.1" || record["session_hash"] == nil {
		t.Errorf("the record says %v", record)
	}
	if strings.Contains(log.String(), `"outcome"`) {
		t.Error("audit records went to the log as well")
	}
	if info, err := os.Stat(audit); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the audit file is %v", info.Mode())
	}
}

// Who empties a list of callers does not open the service by it; and who opens it is told.
func TestReloadAndOpenAccess(t *testing.T) {
	pollInterval = 50 * time.Millisecond
	t.Cleanup(func() { pollInterval = 10 * time.Second })
	_, environ := startSandboxServer(t)
	settings := cozetoken.Environ(environ)
	file := filepath.Join(t.TempDir(), "apps.json")
	write := func(members map[string]any) {
		for _, setting := range []string{"CLIENT_ID", "KID", "PRIVATE_KEY"} {
			members[strings.ToLower(setting)] = settings[setting]
		}
		writeApps(t, file, map[string]any{"shop": members})
	}
	write(map[string]any{"api_keys": []string{"shop=" + auth.NewKey()}})

	var log logBuffer
	url := serve(t, &log, "LISTEN=127.0.0.1:0", "APPS_FILE="+file, "AUDIENCE="+settings["AUDIENCE"],
		"TOKEN_ENDPOINT="+settings["TOKEN_ENDPOINT"])
	isOpen := func() bool {
		_, err := post(context.Background(), url, "user-1")
		return err == nil
	}
	if isOpen() || strings.Contains(log.String(), "access is open") {
		t.Fatal("it was open from the start")
	}
	write(map[string]any{"api_keys": []string{}})
	eventually(t, "the empty list is complained of",
		func() bool { return strings.Contains(log.String(), "APPS_FILE.shop.api_keys: is empty") })
	if isOpen() {
		t.Error("an empty list of keys let everybody in")
	}
	write(map[string]any{}) // as if it was cut off before the list
	eventually(t, "the missing list is complained of",
		func() bool { return strings.Contains(log.String(), "/shop: would let anybody in") })
	if isOpen() {
		t.Error("a file without its list of keys let everybody in")
	}
	reloads := func() int { return strings.Count(log.String(), "the settings were read again") }
	before := reloads()
	members := map[string]any{"api_keys": []string{"other=" + auth.NewKey()}}
	for _, setting := range []string{"CLIENT_ID", "KID", "PRIVATE_KEY"} {
		members[strings.ToLower(setting)] = settings[setting]
	}
	writeApps(t, file, map[string]any{"other": members}) // shop is missing once
	eventually(t, "shop is gone", func() bool { return reloads() > before })
	faults := strings.Count(log.String(), "/shop: would let anybody in")
	write(map[string]any{})
	eventually(t, "it is complained of again",
		func() bool { return strings.Count(log.String(), "/shop: would let anybody in") > faults })
	if isOpen() {
		t.Error("an app that was missing once came back open")
	}
	write(map[string]any{"open_access": true})
	eventually(t, "it is open", isOpen)
	eventually(t, "that is warned of", func() bool { return strings.Contains(log.String(), "access is open") })
}

// writeApps replaces a file of apps in one step, as secret managers do.
func writeApps(t *testing.T, file string, apps map[string]any) {
	t.Helper()
	text, err := json.Marshal(apps)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// SIGHUP may come as soon as a line of the log says that there is a server. Here it comes in the
// middle of the announcement: there are more apps to announce than the pipe has room for, so the
// process waits there until it is read.
func TestHangupAtTheStart(t *testing.T) {
	sb, environ := startSandboxServer(t)
	settings := sb.Settings("http://127.0.0.1:1")
	apps := map[string]any{}
	for i := range 400 {
		apps["app-"+strconv.Itoa(i)] = map[string]string{"client_id": settings["CLIENT_ID"], "kid": settings["KID"],
			"private_key": settings["PRIVATE_KEY"]}
	}
	file := filepath.Join(t.TempDir(), "apps.json")
	writeApps(t, file, apps)

	cmd := exec.Command("coze-token", "serve")
	cmd.Env = append(environ, "LISTEN=127.0.0.1:0", "APPS_FILE="+file)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	log := bufio.NewReader(stderr)
	read := 0
	next := func(want string) {
		t.Helper()
		for {
			line, err := log.ReadString('\n')
			if err != nil {
				t.Fatalf("serve ended: %s%v", line, cmd.Wait())
			}
			if read += len(line); strings.Contains(line, want) {
				return
			}
		}
	}
	next(`"msg":"serving"`)
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	next("the settings were read again")
	if read < 128<<10 {
		t.Errorf("the announcement has %d bytes, which may fit into the pipe: the signal did not come in the middle of it",
			read)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, log)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// Keys are added and revoked in API_KEYS_FILE without a restart. A bad file keeps the old ones.
func TestAPIKeysAreReadAgain(t *testing.T) {
	pollInterval = 50 * time.Millisecond
	t.Cleanup(func() { pollInterval = 10 * time.Second })
	_, environ := startSandboxServer(t)
	file := filepath.Join(t.TempDir(), "api_keys")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	old, added := auth.NewKey(), auth.NewKey()
	write("shop=" + old)
	var log logBuffer
	url := serve(t, &log, append(environ, "LISTEN=127.0.0.1:0", "API_KEYS_FILE="+file)...)
	status := func(key string) int {
		t.Helper()
		r, err := http.NewRequest("POST", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-API-Key", key)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	if a, b := status(old), status(added); a != 200 || b != 401 {
		t.Fatalf("at the start: %d and %d", a, b)
	}
	write("shop=" + old + "\ndesk=" + added + " until " + time.Now().UTC().Format(time.DateOnly))
	eventually(t, "the key that was added is good", func() bool { return status(added) == 200 })
	eventually(t, "its end is warned of", func() bool { return strings.Contains(log.String(), "the key desk will end") })
	write("desk=" + added + "x\nshop=short")
	eventually(t, "the bad file is complained of",
		func() bool { return strings.Contains(log.String(), "the old ones stay in force") })
	if a, b := status(old), status(added); a != 200 || b != 200 {
		t.Errorf("after a bad file: %d and %d", a, b)
	}
	write("desk=" + added)
	eventually(t, "the key that was removed is not", func() bool { return status(old) == 401 })
	if strings.Contains(log.String(), old) || strings.Contains(log.String(), added) {
		t.Error("a key was logged")
	}
}
