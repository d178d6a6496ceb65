package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A user whom nginx has logged in (auth_request, with the configuration of docs/access.md) is that
// user, whatever the client says. Only the proxy is believed.
func TestUserHeaderBehindNginx(t *testing.T) {
	nginx := needNginx(t)
	if out, _ := exec.Command(nginx, "-V").CombinedOutput(); !strings.Contains(string(out), "http_auth_request_module") {
		t.Skip("this nginx has no auth_request")
	}
	sb, environ := startSandboxServer(t)
	var log logBuffer
	url := serve(t, &log, append(environ,
		"LISTEN=127.0.0.1:0", "USER_HEADER=X-Forwarded-User", "TRUSTED_PROXIES=127.0.0.2")...)

	// What oauth2-proxy answers at /oauth2/auth: 202 with the user, or 401.
	login := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie("_oauth2_proxy")
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if cookie.Value != "nobody" {
			w.Header().Set("X-Auth-Request-User", cookie.Value)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(login.Close)
	dir := shortDir(t)
	socket := filepath.Join(dir, "s")
	startNginx(t, nginx, dir, "unix", socket, serverOfDocs(t, socket, strings.NewReplacer(
		"http://127.0.0.1:8787/;", strings.TrimSuffix(url, "/")+"/; proxy_bind 127.0.0.2;",
		"http://127.0.0.1:4180/", login.URL+"/",
	)))
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	t.Cleanup(client.CloseIdleConnections)
	ask := func(client *http.Client, url string, header http.Header) (status int, body string) {
		t.Helper()
		r, err := http.NewRequest("POST", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		p, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(p)
	}
	alice := func(more http.Header) http.Header {
		if more == nil {
			more = http.Header{}
		}
		more["Cookie"] = []string{"_oauth2_proxy=alice"}
		return more
	}
	for name, c := range map[string]struct {
		header  http.Header
		status  int
		session string
	}{
		"logged in":                {alice(nil), 200, "alice"},
		"a forged user":            {alice(http.Header{"X-Forwarded-User": {"bob"}}), 200, "alice"},
		"two forged users":         {alice(http.Header{"X-Forwarded-User": {"bob", "carol"}}), 200, "alice"},
		"forged in lower case":     {alice(http.Header{"x-forwarded-user": {"bob"}}), 200, "alice"},
		"forged with underscores":  {alice(http.Header{"X_Forwarded_User": {"bob"}}), 200, "alice"},
		"the login's own header":   {alice(http.Header{"X-Auth-Request-User": {"bob"}}), 200, "alice"},
		"another user asked for":   {alice(http.Header{"X-User-Id": {"bob"}}), 403, ""},
		"a login without a user":   {http.Header{"Cookie": {"_oauth2_proxy=nobody"}, "X-Forwarded-User": {"bob"}}, 403, ""},
		"not logged in":            {http.Header{}, 401, ""},
		"not logged in and forged": {http.Header{"X-Forwarded-User": {"bob"}}, 401, ""},
	} {
		before := sb.Exchanges()
		status, body := ask(client, "http://www.example.com/coze-token", c.header)
		if status != c.status {
			t.Errorf("%s: %d %s", name, status, body)
			continue
		}
		if status != 200 {
			if sb.Exchanges() != before {
				t.Errorf("%s: Coze was asked", name)
			}
			continue
		}
		token, _, _ := strings.Cut(strings.TrimPrefix(body, `{"access_token":"`), `"`)
		if issue, ok := sb.Issued(token); !ok || issue.Session != c.session {
			t.Errorf("%s: the token is for %q", name, issue.Session)
		}
	}
	status, body := ask(http.DefaultClient, url, http.Header{"X-Forwarded-User": {"alice"}})
	if status != 403 || !strings.Contains(body, "TRUSTED_PROXIES") {
		t.Errorf("past the proxy: %d %s", status, body)
	}
}

// serverOfDocs is the server of nginx in docs/access.md, listening on the socket. addresses replaces
// those of the example.
func serverOfDocs(t *testing.T, socket string, addresses *strings.Replacer) string {
	t.Helper()
	example := regexp.MustCompile("(?s)```nginx\n(.*?)```").FindStringSubmatch(readFile(t, "../../docs/access.md"))
	if example == nil {
		t.Fatal("docs/access.md has no example of nginx")
	}
	server := addresses.Replace(example[1])
	server = regexp.MustCompile(`(?m)^.*\b(listen|ssl_certificate|ssl_certificate_key) .*\n`).ReplaceAllString(server, "")
	return strings.Replace(server, "server {", "server {\nlisten unix:"+socket+";", 1)
}

// needNginx skips a test where there is no nginx.
func needNginx(t *testing.T) string {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("there is no nginx on PATH: apt-get install nginx-light")
	}
	return nginx
}

// startNginx runs nginx with a server until t ends. The server listens on the address. Whatever else
// nginx needs is in dir.
func startNginx(t *testing.T, nginx, dir, network, address, server string) {
	t.Helper()
	temporary := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temporary += kind + "_temp_path " + filepath.Join(dir, kind) + ";\n"
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n"
	}
	config := filepath.Join(dir, "nginx.conf")
	text := user + "daemon off; pid " + filepath.Join(dir, "pid") + "; error_log stderr;\nevents {}\n" +
		"http {\naccess_log off;\n" + temporary + server + "}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log logBuffer
	cmd := exec.Command(nginx, "-p", dir, "-c", config)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	eventually(t, "nginx listens", func() bool {
		conn, err := net.Dial(network, address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}
