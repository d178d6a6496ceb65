//go:build unix

// Package redistest runs a real redis-server for a test, and lets it down in the ways that servers do.
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
)

// A Server is a redis-server on 127.0.0.1 and on a Unix socket. It writes nothing to disk and ends with its test.
type Server struct {
	// URL and SocketURL are where it is. A server that was killed and started again is in the same place.
	URL, SocketURL string
	// TLSURL is where it speaks TLS, if it was given a certificate.
	TLSURL string

	t       testing.TB
	program string
	args    []string
	address string
	secure  string // with TLS; empty if there is none
	cmd     *exec.Cmd
}

// Options say what a server demands. The zero value demands nothing.
type Options struct {
	Password string
	// CertFile, KeyFile, if given, add a port with TLS.
	CertFile, KeyFile string
}

// Start starts a server. Without one on the machine the test fails, or is skipped with -short.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		if program, err = exec.LookPath("valkey-server"); err != nil {
			if testing.Short() {
				t.Skip("no redis-server here")
			}
			t.Fatal("this test needs a redis-server or valkey-server on PATH: apt-get install redis-server, brew install redis; or run go test -short")
		}
	}
	// A socket's path has at most 107 bytes, which a test's own folder may exceed.
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	address := freeAddress(t)
	socket := filepath.Join(dir, "s")
	s := &Server{t: t, program: program, address: address}
	_, port, _ := net.SplitHostPort(address)
	s.args = []string{
		"--port", port, "--bind", "127.0.0.1", "--unixsocket", socket, "--dir", dir, "--save", "", "--appendonly", "no", "--loglevel", "warning",
	}
	var user *url.Userinfo
	if o.Password != "" {
		s.args = append(s.args, "--requirepass", o.Password)
		user = url.UserPassword("", o.Password)
	}
	s.URL = (&url.URL{Scheme: "redis", User: user, Host: address}).String()
	s.SocketURL = (&url.URL{Scheme: "unix", User: user, Path: socket}).String()
	if o.CertFile != "" {
		secure := freeAddress(t)
		_, port, _ := net.SplitHostPort(secure)
		s.args = append(s.args, "--tls-port", port, "--tls-cert-file", o.CertFile, "--tls-key-file", o.KeyFile,
			"--tls-ca-cert-file", o.CertFile, "--tls-auth-clients", "no")
		s.secure = secure
		s.TLSURL = (&url.URL{Scheme: "rediss", User: user, Host: secure}).String()
	}
	s.Run()
	t.Cleanup(s.Kill)
	return s
}

func freeAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Run starts the server, anew after Kill, and waits until it listens.
func (s *Server) Run() {
	s.t.Helper()
	var said strings.Builder
	s.cmd = exec.Command(s.program, s.args...)
	s.cmd.Stdout, s.cmd.Stderr = &said, &said
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for range 500 {
		if listens(s.address) && (s.secure == "" || listens(s.secure)) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.Kill()
	s.t.Fatalf("redis-server did not start: %s", said.String())
}

func listens(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// Kill ends the server, and all that it knew.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Kill()
	s.cmd.Wait()
	s.cmd = nil
}

// Hang stops the server: it holds its connections, takes new ones, and answers nothing.
func (s *Server) Hang() { s.signal(syscall.SIGSTOP) }

// GoOn ends Hang. The server does what it was told meanwhile.
func (s *Server) GoOn() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// Do sends one command as text and returns the answer as it came on the wire.
func (s *Server) Do(ctx context.Context, words ...string) string {
	s.t.Helper()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	var b strings.Builder
	for _, command := range [][]string{words, {"QUIT"}} {
		fmt.Fprintf(&b, "*%d\r\n", len(command))
		for _, word := range command {
			b.WriteString("$" + strconv.Itoa(len(word)) + "\r\n" + word + "\r\n")
		}
	}
	conn.Write([]byte(b.String()))
	var answer strings.Builder
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		answer.Write(buf[:n])
		if err != nil {
			return strings.TrimSuffix(answer.String(), "+OK\r\n")
		}
	}
}
