//go:build unix

// Package redistest runs a real redis-server for a test, and lets it fail in the ways that servers
// do.
package redistest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Server is a redis-server on 127.0.0.1 and on a Unix socket. It writes nothing to disk and ends
// with its test.
type Server struct {
	// URL and SocketURL are its addresses. They stay the same when it is killed and started again.
	URL, SocketURL string
	// TLSURL is its address with TLS, if it has a certificate.
	TLSURL string

	t      testing.TB
	args   []string // with the program first
	socket string
	cmd    *exec.Cmd
}

// Options say what a server demands. The zero value demands nothing.
type Options struct {
	Password string
	// CertFile and KeyFile, if given, add a port with TLS.
	CertFile, KeyFile string
	// Config, if given, is a configuration file. The server writes to it if it is a sentinel.
	Config string
	// Args are further arguments of the server.
	Args []string
}

// Start starts a server. If there is no program for it, the test fails, or is skipped with -short.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		program, err = exec.LookPath("valkey-server")
	}
	if err != nil && testing.Short() {
		t.Skip("no redis-server here")
	}
	if err != nil {
		t.Fatal("this test needs a redis-server or valkey-server on PATH: " +
			"apt-get install redis-server, brew install redis; or run go test -short")
	}
	dir, err := os.MkdirTemp("", "redis") // not t.TempDir: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Server{t: t, socket: filepath.Join(dir, "s")}
	port := FreePort(t)
	s.args = []string{program}
	if o.Config != "" {
		s.args = append(s.args, o.Config)
	}
	s.args = append(s.args, "--port", port, "--bind", "127.0.0.1", "--unixsocket", s.socket,
		"--dir", dir, "--save", "", "--appendonly", "no", "--loglevel", "warning")
	var user *url.Userinfo
	if o.Password != "" {
		s.args = append(s.args, "--requirepass", o.Password)
		user = url.UserPassword("", o.Password)
	}
	s.URL = (&url.URL{Scheme: "redis", User: user, Host: "127.0.0.1:" + port}).String()
	s.SocketURL = (&url.URL{Scheme: "unix", User: user, Path: s.socket}).String()
	if o.CertFile != "" {
		port := FreePort(t)
		s.args = append(s.args, "--tls-port", port, "--tls-cert-file", o.CertFile, "--tls-key-file", o.KeyFile,
			"--tls-ca-cert-file", o.CertFile, "--tls-auth-clients", "no")
		s.TLSURL = (&url.URL{Scheme: "rediss", User: user, Host: "127.0.0.1:" + port}).String()
	}
	s.args = append(s.args, o.Args...)
	s.Run()
	t.Cleanup(s.Kill)
	return s
}

// Sentinels are a primary, its replica, and a sentinel that watches them. They end with their test.
type Sentinels struct {
	// URL names them as REDIS_URL does.
	URL              string
	Primary, Replica *Server
}

// StartSentinel starts them. The sentinel takes a primary that does not answer for half a second for
// dead.
func StartSentinel(t testing.TB) *Sentinels {
	t.Helper()
	ctx := t.Context()
	primary := Start(t, Options{})
	host, port, _ := strings.Cut(primary.Address(), ":")
	replica := Start(t, Options{Args: []string{"--replicaof", host + " " + port, "--repl-diskless-sync-delay", "0"}})
	Until(t, "the replica follows", func() bool {
		return strings.Contains(replica.Do(ctx, "INFO", "replication"), "master_link_status:up")
	})
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, "sentinel monitor coze %s %s 1\n"+
		"sentinel down-after-milliseconds coze 500\nsentinel failover-timeout coze 3000\n", host, port), 0o600); err != nil {
		t.Fatal(err)
	}
	watch := Start(t, Options{Config: config, Args: []string{"--sentinel"}})
	Until(t, "Sentinel knows the replica", func() bool {
		_, port, _ := strings.Cut(replica.Address(), ":")
		return strings.Contains(watch.Do(ctx, "SENTINEL", "REPLICAS", "coze"), port)
	})
	return &Sentinels{URL: "redis+sentinel://" + watch.Address() + "/coze", Primary: primary, Replica: replica}
}

// Until waits for something, for a minute at most.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came that %s", what)
		}
	}
}

// Address is the server's host and port.
func (s *Server) Address() string {
	_, address, _ := strings.Cut(s.URL, "://")
	return address[strings.LastIndexByte(address, '@')+1:]
}

// FreePort is a port of 127.0.0.1 that nobody listens on.
func FreePort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// Run starts the server, also again after Kill, and waits until it answers.
func (s *Server) Run() {
	s.t.Helper()
	var output strings.Builder
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = &output, &output
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for range 500 {
		if s.answers() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.Kill()
	s.t.Fatalf("redis-server did not start: %s", output.String())
}

func (s *Server) answers() bool {
	conn, err := net.Dial("unix", s.socket)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.Write([]byte("PING\r\n"))
	_, err = conn.Read(make([]byte, 1))
	return err == nil
}

// Kill ends the server. Its data is lost.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Kill()
	s.cmd.Wait()
	s.cmd = nil
}

// Hang stops the server: its connections stay open, new ones are accepted, and nothing is answered.
func (s *Server) Hang() { s.signal(syscall.SIGSTOP) }

// GoOn ends Hang. The server does what it was asked meanwhile.
func (s *Server) GoOn() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// Do runs one command and returns the answer as text: "<nil>" if there is none.
func (s *Server) Do(ctx context.Context, words ...any) string {
	s.t.Helper()
	o, err := redis.ParseURL(s.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	client := redis.NewClient(o)
	defer client.Close()
	answer, err := client.Do(ctx, words...).Result()
	if err != nil && err != redis.Nil {
		s.t.Fatal(err)
	}
	return fmt.Sprint(answer)
}
