//go:build linux

package script_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	cozetoken "coze-token"
	"coze-token/internal/redistest"
	"coze-token/internal/testlog"
	"coze-token/sandbox"
)

// A box is a block of code on a page. mark is the paragraph below it that says that it is not tried.
type box struct{ text, mark string }

var (
	boxes = regexp.MustCompile("(?ms)^ *```\\w+\\n(.*?)^ *```\\n(?:\\n(\\*(?:Not tried|未).*?\\*)\\n)?")
	notes = regexp.MustCompile(`(?m) +(#|//) .*$`)
)

func boxesOf(t *testing.T, page string) (found []box) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range boxes.FindAllStringSubmatch(string(text), -1) {
		found = append(found, box{m[1], m[2]})
	}
	return found
}

// Each box on the page of deployment is run, in the page's order, or is marked as not tried. The
// Chinese page has the same boxes and marks.
func TestDeployPage(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles")
	}
	page, chinese := boxesOf(t, "../docs/deploy.md"), boxesOf(t, "../docs/deploy.zh-CN.md")
	if len(page) != len(chinese) {
		t.Errorf("the pages have %d and %d boxes", len(page), len(chinese))
	}
	sb, err := sandbox.New(sandbox.Options{ClientID: "1133483935040", KeyID: "q7Zk3vJ0fV5m2LrXwT9bYcN1eHsD8uPaGiKoR6tEyMQ"})
	if err != nil {
		t.Fatal(err)
	}
	coze := httptest.NewServer(sb)
	t.Cleanup(coze.Close)
	p := &pageRun{dir: tagged(t), coze: sb.Settings(coze.URL)}
	// How a box is tried, by how it begins.
	tries := map[string]func(t *testing.T, text string){
		"CGO_ENABLED=0 go build":         p.build,
		"script/release\n":               func(*testing.T, string) {}, // TestRelease
		"sudo install -m 755 coze-token": p.install,
		"CLIENT_ID=":                     p.environment,
		"[Unit]":                         p.unit,
		"User=coze-token\n":              p.olderUnit,
		"services:":                      p.compose,
		"server {":                       p.nginx,
		"LISTEN=unix:":                   p.socket,
		"token.example.com {":            p.caddy,
		"TRUSTED_PROXIES=127.0.0.1\n":    p.proxied,
		"# kustomization.yaml":           func(*testing.T, string) {}, // test/kubernetes.test.mjs
		"REDIS_URL=":                     p.settings,
		"upstream coze-token {":          p.upstreams,
		"proxy_pass http://coze-token;":  p.balanced,
	}
	tried := map[string]bool{}
	for i, b := range page {
		if i < len(chinese) {
			other := chinese[i]
			if notes.ReplaceAllString(b.text, "") != notes.ReplaceAllString(other.text, "") || (b.mark == "") != (other.mark == "") {
				t.Errorf("the pages differ in box %d:\n%s%s\n%s%s", i+1, b.text, b.mark, other.text, other.mark)
			}
		}
		var try func(*testing.T, string)
		for begins, f := range tries {
			if strings.HasPrefix(b.text, begins) {
				try, tried[begins] = f, true
			}
		}
		first, _, _ := strings.Cut(b.text, "\n")
		switch {
		case try == nil && b.mark == "":
			t.Errorf("no test runs the box %q, and no mark says so", first)
		case try != nil && b.mark != "":
			t.Errorf("the box %q is marked as not tried, and is tried", first)
		case try != nil:
			t.Run(regexp.MustCompile(`\W+`).ReplaceAllString(first, " "), func(t *testing.T) { try(t, b.text) })
		}
	}
	for begins := range tries {
		if !tried[begins] {
			t.Errorf("no box begins with %q", begins)
		}
	}
}

// A pageRun follows the page, in a folder that holds the repository.
type pageRun struct {
	dir  string            // has the repository, and what the page puts onto a machine
	coze map[string]string // the settings that have the sandbox in Coze's place

	env                         map[string]string // what later boxes need of earlier ones
	unitFile, server, caddyfile string
	upstream                    string // of nginx
}

// moved has the page's places in the folder.
func (p *pageRun) moved(text string) string {
	return strings.NewReplacer("/usr/local/bin/", p.dir+"/bin/", "/etc/coze-token", p.dir+"/etc").Replace(text)
}

func (p *pageRun) write(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (p *pageRun) build(t *testing.T, text string) { output(t, p.dir, nil, "sh", "-ec", text) }

func (p *pageRun) install(t *testing.T, text string) {
	if err := os.Mkdir(filepath.Join(p.dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.write(t, "private_key.pem", p.coze["PRIVATE_KEY"])
	output(t, p.dir, nil, "sh", "-ec", `sudo() { "$@"; }`+"\n"+p.moved(text))
	keys, err := os.ReadFile(filepath.Join(p.dir, "etc/new_key"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(keys)), "\n")
	line, ok := strings.CutPrefix(lines[len(lines)-1], "API_KEYS=")
	if len(lines) != 2 || !ok {
		t.Fatalf("the file with the key has %d lines", len(lines))
	}
	p.write(t, "etc/api_keys", line)
}

func (p *pageRun) environment(_ *testing.T, text string) { p.env = assignments(text) }

// assignments are the lines NAME=value.
func assignments(text string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		found[name] = value
	}
	return found
}

// unit has systemd check the unit, and the program the settings that it starts with.
func (p *pageRun) unit(t *testing.T, text string) {
	p.unitFile = text
	p.checkUnit(t, text)
}

func (p *pageRun) checkUnit(t *testing.T, text string) {
	t.Helper()
	environ := []string{}
	for name, value := range p.env {
		environ = append(environ, name+"="+value)
	}
	for _, m := range regexp.MustCompile(`(?m)^Environment=(.*)$`).FindAllStringSubmatch(text, -1) {
		environ = append(environ, strings.ReplaceAll(p.moved(m[1]), "%d", p.dir+"/etc"))
	}
	check := exec.Command(p.dir+"/bin/coze-token", "check", "--offline")
	check.Env = environ
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	need(t, "systemd-analyze")
	unit := p.write(t, "coze-token.service", p.moved(text))
	if said := output(t, p.dir, nil, "systemd-analyze", "verify", "--man=no", unit); strings.Contains(said, unit) {
		t.Errorf("systemd-analyze verify: %s", said)
	}
}

// olderUnit has lines of the unit replaced as the page says.
func (p *pageRun) olderUnit(t *testing.T, text string) {
	lines := strings.Split(p.unitFile, "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool {
		return strings.HasPrefix(line, "DynamicUser") || strings.HasPrefix(line, "LoadCredential") || strings.Contains(line, "%d")
	})
	p.checkUnit(t, strings.Replace(strings.Join(lines, "\n"), "[Service]\n", "[Service]\n"+text, 1))
}

// compose reads the file as Compose does, and starts Redis and the service's settings by it.
func (p *pageRun) compose(t *testing.T, text string) {
	var file struct {
		Services map[string]struct {
			Environment map[string]string
			Secrets     []string
			Healthcheck struct{ Test []string }
			Command     []string
		}
		Secrets map[string]struct{ File string }
	}
	if err := yaml.UnmarshalWithOptions([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	service := file.Services["coze-token"]
	contents := map[string]string{"./private_key.pem": p.coze["PRIVATE_KEY"], "./api_keys": "backend=sha256:" + strings.Repeat("0", 64)}
	_, warnings, err := cozetoken.Read(service.Environment, cozetoken.Options{ReadFile: func(name string) ([]byte, error) {
		name, ok := strings.CutPrefix(name, "/run/secrets/")
		content := contents[file.Secrets[name].File]
		if !ok || !slices.Contains(service.Secrets, name) || content == "" {
			return nil, fmt.Errorf("there is no secret %s", name)
		}
		return []byte(content), nil
	}})
	if err != nil || len(warnings) > 0 {
		t.Errorf("the service does not take what is set: %v, %v", err, warnings)
	}
	dockerfile, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	probe := service.Healthcheck.Test
	if len(probe) == 0 || !strings.Contains(string(dockerfile), `["`+strings.Join(probe[1:], `", "`)+`"]`) {
		t.Errorf("the image has no %v", probe)
	}
	command := file.Services["redis"].Command
	if len(command) == 0 || command[0] != "redis-server" {
		t.Fatalf("%v", command)
	}
	redistest.Start(t, redistest.Options{Args: command[1:]})
}

// settings has the service read what is set.
func (p *pageRun) settings(t *testing.T, text string) {
	env := maps.Clone(p.coze)
	maps.Copy(env, assignments(text))
	if _, warnings, err := cozetoken.Read(env, cozetoken.Options{}); err != nil || len(warnings) > 1 { // it is open
		t.Errorf("%v, %v", err, warnings)
	}
}

// serve starts the program with settings beside those of Coze, and returns where it serves and its
// log.
func (p *pageRun) serve(t *testing.T, settings map[string]string) (url string, log *logBuffer) {
	t.Helper()
	env := maps.Clone(p.coze)
	maps.Copy(env, settings)
	cmd := exec.Command(p.dir+"/coze-token", "serve")
	cmd.Env = []string{}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	log = start(t, cmd)
	serving := regexp.MustCompile(`"msg":"serving","url":"([^"]+)"`)
	eventually(t, log, func() bool { return serving.MatchString(log.String()) })
	return serving.FindStringSubmatch(log.String())[1], log
}

// nginx serves with TLS for the program, which learns the client's address.
func (p *pageRun) nginx(t *testing.T, text string) {
	p.server = text
	url, log := p.serve(t, map[string]string{"LISTEN": "127.0.0.1:0", "TRUSTED_PROXIES": p.env["TRUSTED_PROXIES"]})
	p.behindNginx(t, strings.Replace(text, "http://127.0.0.1:8787", strings.TrimSuffix(url, "/"), 1), log)
}

// behindNginx asks for a token through a server of nginx. Its certificate is one for a test.
func (p *pageRun) behindNginx(t *testing.T, server string, log *logBuffer) {
	t.Helper()
	need(t, "nginx")
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	defer certificate.Close()
	pair := certificate.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	files := p.write(t, "pair.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))+
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	address := "127.0.0.1:" + redistest.FreePort(t)
	server = regexp.MustCompile(`/etc/ssl/\S+\.pem`).ReplaceAllString(server, files)
	server = strings.Replace(server, "listen 443 ssl", "listen "+address+" ssl", 1)
	dir := t.TempDir()
	temporary := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temporary += kind + "_temp_path " + filepath.Join(dir, kind) + ";\n"
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n"
	}
	config := p.write(t, "nginx.conf", user+"daemon off; pid "+dir+"/pid; error_log stderr;\nevents {}\n"+
		"http {\naccess_log off;\n"+temporary+server+"}\n")
	start(t, exec.Command("nginx", "-p", dir, "-c", config))
	client := certificate.Client() // it trusts the certificate
	p.ask(t, client, "https://"+address+"/", log, "127.0.0.2")
}

// ask asks for a token from 127.0.0.2, and looks for the address in the audit record.
func (p *pageRun) ask(t *testing.T, client *http.Client, url string, log *logBuffer, address string) {
	t.Helper()
	transport := client.Transport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext
	if transport.TLSClientConfig != nil {
		transport.TLSClientConfig.ServerName = "example.com"
	}
	defer transport.CloseIdleConnections()
	var body []byte
	eventually(t, log, func() bool {
		response, err := (&http.Client{Transport: transport}).Post(url, "", nil)
		if err != nil {
			return false // the proxy starts
		}
		defer response.Body.Close()
		body, _ = io.ReadAll(response.Body)
		return true
	})
	if !strings.Contains(string(body), `"access_token"`) {
		t.Errorf("no token: %s", body)
	}
	eventually(t, log, func() bool { return strings.Contains(log.String(), `"address":"`+address+`"`) })
}

// socket puts a Unix socket between nginx and the program.
func (p *pageRun) socket(t *testing.T, text string) {
	dir, err := os.MkdirTemp("", "coze-token") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	settings := assignments(strings.ReplaceAll(text, "/run/coze-token", dir))
	settings["SOCKET_OWNER"] = ":" + strings.TrimSpace(output(t, "", nil, "id", "-gn")) // and not www-data
	_, log := p.serve(t, settings)
	page, err := os.ReadFile("../docs/deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	pass := regexp.MustCompile("`(proxy_pass http://unix:.*;)`").FindSubmatch(page)
	if pass == nil {
		t.Fatal("the page has no proxy_pass to a socket")
	}
	server := strings.Replace(p.server, "proxy_pass http://127.0.0.1:8787;",
		strings.ReplaceAll(string(pass[1]), "/run/coze-token", dir), 1)
	p.behindNginx(t, server, log)
}

func (p *pageRun) upstreams(_ *testing.T, text string) { p.upstream = text }

// balanced has nginx pass over a replica that is down.
func (p *pageRun) balanced(t *testing.T, text string) {
	url, log := p.serve(t, map[string]string{"LISTEN": "127.0.0.1:0", "TRUSTED_PROXIES": p.env["TRUSTED_PROXIES"]})
	upstream := strings.NewReplacer("10.0.0.1:8787", "127.0.0.1:"+redistest.FreePort(t),
		"10.0.0.2:8787", strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/")).Replace(p.upstream)
	p.behindNginx(t, upstream+strings.Replace(p.server, "proxy_pass http://127.0.0.1:8787;", text, 1), log)
}

func (p *pageRun) caddy(_ *testing.T, text string) { p.caddyfile = text }

// proxied has the service trust Caddy, which gets no certificate here.
func (p *pageRun) proxied(t *testing.T, text string) {
	settings := assignments(text)
	settings["LISTEN"] = "127.0.0.1:0"
	url, log := p.serve(t, settings)
	need(t, "caddy")
	address := "127.0.0.1:" + redistest.FreePort(t)
	config := strings.NewReplacer("token.example.com", "http://"+address, "127.0.0.1:8787",
		strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/")).Replace(p.caddyfile)
	config = "{\n\tadmin off\n}\n" + config
	cmd := exec.Command("caddy", "run", "--adapter", "caddyfile", "--config", p.write(t, "Caddyfile", config))
	cmd.Env = []string{"HOME=" + t.TempDir()}
	start(t, cmd)
	p.ask(t, &http.Client{Transport: &http.Transport{}}, "http://"+address+"/", log, "127.0.0.2")
}

// start starts a command, which ends with the test, and returns what it writes.
func start(t *testing.T, cmd *exec.Cmd) *logBuffer {
	t.Helper()
	log := &logBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return log
}

func eventually(t *testing.T, log *logBuffer, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came: %s", log)
		}
	}
}

type logBuffer = testlog.Buffer
