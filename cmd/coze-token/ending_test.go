//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A child is "coze-token serve" as a process of its own.
type child struct {
	*exec.Cmd
	url string
	log logBuffer
}

// startChild starts one and waits until it serves.
func startChild(t testing.TB, environ ...string) *child {
	t.Helper()
	c := &child{Cmd: exec.Command("coze-token", "serve")}
	c.Env = environ
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill() })
	c.url = strings.TrimSuffix(waitForURL(t, io.TeeReader(stderr, &c.log)), "/")
	return c
}

// metrics is the address of the child's metrics.
func (c *child) metrics() string {
	return regexp.MustCompile(`"msg":"metrics","url":"([^"]+)"`).FindStringSubmatch(c.log.String())[1]
}

// stop sends the signal to stop and fails if the process does not end well.
func (c *child) stop(t *testing.T) {
	t.Helper()
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("serve: %v\n%s", err, c.log.String())
	}
}

// While it drains, a service says that it is about to stop, and serves.
func TestDrain(t *testing.T) {
	t.Parallel()
	_, environ := startSandboxServer(t)
	c := startChild(t, append(environ, "LISTEN=127.0.0.1:0", "DRAIN_DELAY=2")...)
	if status, _ := get(t, c.url+"/readyz"); status != http.StatusOK {
		t.Fatalf("it is not ready: %d", status)
	}
	began := time.Now()
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it says that it stops", func() bool {
		status, body := get(t, c.url+"/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, `"code":"draining"`)
	})
	if status, _ := get(t, c.url+"/healthz"); status != http.StatusOK {
		t.Errorf("it is alive, and /healthz says %d", status)
	}
	response, err := http.Post(c.url, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK || !response.Close {
		t.Errorf("status %d, connection closed %v", response.StatusCode, response.Close)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < 2*time.Second || took > 20*time.Second {
		t.Errorf("it ended after %v", took)
	}
}

func get(t testing.TB, url string) (status int, body string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

// A replica is replaced under load, behind a proxy that asks /readyz. No request fails.
func TestReplaceUnderLoad(t *testing.T) {
	t.Parallel()
	_, environ := startSandboxServer(t)
	environ = append(environ, "LISTEN=127.0.0.1:0", "DRAIN_DELAY=1", "RATE_LIMIT=off")
	p := &balancer{t: t}
	old := startChild(t, environ...)
	p.add(old.url)
	front := newBalancer(t, p)

	var sent, failed atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				_, err := post(context.WithoutCancel(ctx), front, fmt.Sprint("user-", i, "-", n%10))
				sent.Add(1)
				if err != nil {
					failed.Add(1)
					t.Error(err)
					return
				}
			}
		})
	}
	for range 2 {
		before := sent.Load()
		eventually(t, "there is load", func() bool { return sent.Load() > before+100 })
		next := startChild(t, environ...)
		p.add(next.url)
		old.stop(t)
		old = next
	}
	before := sent.Load()
	eventually(t, "there is load", func() bool { return sent.Load() > before+100 })
	stop()
	wg.Wait()
	t.Logf("%d requests, %d failed, while two replicas were replaced", sent.Load(), failed.Load())
}

// A balancer sends each request to one of the replicas that say that they are ready.
type balancer struct {
	t    *testing.T
	mu   sync.Mutex
	all  []*url.URL
	next int
}

func (b *balancer) add(address string) {
	u, err := url.Parse(address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, u)
}

// probe removes the replicas that are not ready.
func (b *balancer) probe() {
	b.mu.Lock()
	replicas := slices.Clone(b.all)
	b.mu.Unlock()
	for _, u := range replicas {
		response, err := http.Get(u.String() + "/readyz")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				continue
			}
		}
		b.mu.Lock()
		b.all = slices.DeleteFunc(b.all, func(other *url.URL) bool { return other == u })
		b.mu.Unlock()
	}
}

func (b *balancer) pick() *url.URL {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	return b.all[b.next%len(b.all)]
}

func newBalancer(t *testing.T, b *balancer) (address string) {
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(b.pick()) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 100},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: proxy}
	go server.Serve(l)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
				b.probe()
			}
		}
	}()
	t.Cleanup(func() { stop(); <-done; server.Close() })
	return "http://" + l.Addr().String()
}

// systemd is told when the service is ready, reads its settings again, and stops.
func TestNotify(t *testing.T) {
	t.Parallel()
	name := filepath.Join(shortDir(t), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	next := func() string {
		t.Helper()
		socket.SetReadDeadline(time.Now().Add(10 * time.Second))
		b := make([]byte, 100)
		n, err := socket.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	_, environ := startSandboxServer(t)
	c := startChild(t, append(environ, "LISTEN=127.0.0.1:0", "NOTIFY_SOCKET="+name)...)
	expect := func(want ...string) {
		t.Helper()
		for _, want := range want {
			if got := next(); got != want {
				t.Errorf("%s, not %s", got, want)
			}
		}
	}
	expect("READY=1")
	if err := c.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	expect("RELOADING=1", "READY=1")
	c.stop(t)
	expect("STOPPING=1")
}

// shortDir is a folder whose path leaves room for the name of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ct")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// On a Unix socket behind a real nginx: the client's address is what nginx says it is, the socket
// has its mode, a second service does not take it, and one that was killed leaves it to the next.
func TestUnixSocketBehindNginx(t *testing.T) {
	t.Parallel()
	nginx := needNginx(t)
	_, environ := startSandboxServer(t)
	dir := shortDir(t)
	socket := filepath.Join(dir, "coze-token.sock")
	audit := filepath.Join(dir, "audit")
	environ = append(environ, "LISTEN=unix:"+socket, "SOCKET_MODE=0666", "TRUSTED_PROXIES=unix", "AUDIT_FILE="+audit)
	first := startChild(t, environ...)
	if want := "http://unix:" + socket + ":"; first.url != want {
		t.Errorf("it is announced as %s, not %s", first.url, want)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	if out, err := runChild(environ, "serve"); err == nil || !strings.Contains(out, "another program has this socket") {
		t.Errorf("a second service: %v, %s", err, out)
	}
	if out, err := runChild(environ, "health"); err != nil {
		t.Errorf("health: %v, %s", err, out)
	}

	address := freeAddress(t)
	startNginx(t, nginx, dir, "tcp", address, fmt.Sprintf(`
	server {
		listen %s;
		location / {
			proxy_pass http://unix:%s:/;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
		}
	}
`, address, socket))
	if _, err := post(t.Context(), "http://"+address, "user-1"); err != nil {
		t.Fatal(err)
	}
	var record struct{ Address string }
	eventually(t, "there is a record", func() bool {
		text, _ := os.ReadFile(audit)
		return json.Unmarshal(text, &record) == nil
	})
	if record.Address != "127.0.0.1" {
		t.Errorf("the record has the address %q", record.Address)
	}

	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.Wait()
	second := startChild(t, environ...)
	if _, err := post(t.Context(), "http://"+address, "user-1"); err != nil {
		t.Error(err)
	}
	second.stop(t)
	if _, err := os.Stat(socket); err == nil {
		t.Error("it left the socket behind")
	}
}

func runChild(environ []string, args ...string) (string, error) {
	cmd := exec.Command("coze-token", args...)
	cmd.Env = append(environ, "LC_ALL=C") // in English, whoever runs the test
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// What answers may be anything. Its text does not reach the terminal as it is.
func TestHealthOfAStranger(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "\x1b]0;title\x07a\ncoze-token: \u009b31m\x9bok\r\n")
	}))
	t.Cleanup(server.Close)
	out, err := runChild(nil, "health", server.URL)
	if want := "status 404: ]0;title a coze-token:  31m\ufffdok\n"; err == nil || !strings.Contains(out, want) {
		t.Errorf("%v, %q, want %q", err, out, want)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	_, environ := startSandboxServer(t)
	c := startChild(t, append(environ, "LISTEN=127.0.0.1:0", "DRAIN_DELAY=60")...)
	address := strings.TrimPrefix(c.url, "http://")
	for _, test := range []struct {
		environ []string
		args    []string
		want    string // empty: exit code 0
	}{
		{args: []string{c.url}},
		{args: []string{c.url + "/"}},
		{args: []string{c.url + "/healthz"}},
		{environ: []string{"LISTEN=" + address}},
		{environ: []string{"PORT=" + address[strings.LastIndexByte(address, ':')+1:]}},
		{args: []string{c.url + "/nothing"}, want: "status 404"},
		{args: []string{c.url + "/nothing", "--lang=zh"}, want: "没有这个路径"},
		{args: []string{"http://" + freeAddress(t)}, want: "no answer"},
		{environ: []string{"LISTEN=" + freeAddress(t)}, want: "no answer"},
		{args: []string{address}, want: "health: the URL is not one of HTTP"},
		{args: []string{c.url, "x"}, want: `"x" is one word too many`},
		{environ: []string{"LISTEN=8787"}, want: "LISTEN: is a port without a host"},
	} {
		out, err := runChild(test.environ, append([]string{"health"}, test.args...)...)
		if (err == nil) != (test.want == "") || !strings.Contains(out, test.want) || err == nil && out != "" {
			t.Errorf("%v %v: %v, %s", test.environ, test.args, err, out)
		}
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a service that drains is not ready", func() bool {
		out, err := runChild(nil, "health", c.url)
		return err != nil && strings.Contains(out, "status 503")
	})
	if out, err := runChild(nil, "health", c.url+"/healthz"); err != nil {
		t.Errorf("it is alive: %s", out)
	}
}
