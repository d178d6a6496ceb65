//go:build unix

package redis_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coze-token/broker"
	"coze-token/broker/storetest"
	"coze-token/internal/redis"
	"coze-token/internal/redistest"
)

var _ broker.Claimer = (*redis.Store)(nil)

var certFile, keyFile string

// TestMain makes a certificate of 127.0.0.1 and lets it be one of the system's roots, which are
// read once a process.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "redis-test")
	if err != nil {
		panic(err)
	}
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	private, _ := x509.MarshalPKCS8PrivateKey(key)
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
	os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600)
	os.Setenv("SSL_CERT_FILE", certFile)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func open(t testing.TB, url string) *redis.Store {
	t.Helper()
	s, err := redis.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStore(t *testing.T) {
	server := redistest.Start(t, redistest.Options{Password: "p/w#?@ %", CertFile: certFile, KeyFile: keyFile})
	for name, url := range map[string]string{
		"tcp": server.URL, "socket": server.SocketURL, "tls": server.TLSURL, "database": server.URL + "/3",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, url)
			if err := s.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			storetest.Run(t, s, name+"/", time.Second)
		})
	}
}

// A value without a time to live is not kept.
func TestNothingIsKeptForEver(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	s := open(t, server.URL)
	for _, ttl := range []time.Duration{-1, 0, time.Microsecond, time.Millisecond - 1} {
		if err := s.Put(t.Context(), "a", []byte("x"), ttl); err != nil {
			t.Error(err)
		}
	}
	if got := server.Do(t.Context(), "DBSIZE"); got != "0" {
		t.Errorf("kept: %s", got)
	}
	s.Put(t.Context(), "a", []byte("x"), 1500*time.Microsecond+time.Hour)
	s.Claim(t.Context(), "c", "me", 0)
	s.Claim(t.Context(), "d", "me", time.Hour)
	allow(t.Context(), s, "l", 3, time.Minute)
	for key, want := range map[string]time.Duration{
		"coze-token:a": time.Hour, "coze-token:d": time.Hour, "coze-token:limit:l": 20 * time.Second,
	} {
		got, err := time.ParseDuration(server.Do(t.Context(), "PTTL", key) + "ms")
		if err != nil || got > want+time.Second || got < want-10*time.Second {
			t.Errorf("%s is kept for %v, %v", key, got, err)
		}
	}
	if got := server.Do(t.Context(), "EXISTS", "coze-token:c"); got != "0" {
		time.Sleep(5 * time.Millisecond)
		if got := server.Do(t.Context(), "EXISTS", "coze-token:c"); got != "0" {
			t.Errorf("a claim without a time is kept: %q", got)
		}
	}
}

// Others may write to the server too.
func TestGetIsBounded(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	s := open(t, server.URL)
	server.Do(t.Context(), "SETRANGE", "coze-token:a", "100000000", "x")
	if b, err := s.Get(t.Context(), "a"); err != nil || len(b) != 64<<10 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	server.Do(t.Context(), "LPUSH", "coze-token:b", "x")
	if _, err := s.Get(t.Context(), "b"); err == nil {
		t.Error("a list was taken for a value")
	}
}

func TestOpenSaysWhatToDo(t *testing.T) {
	const password = "hunter2"
	for url, want := range map[string]string{
		"":                                      "empty",
		" ":                                     "empty",
		"localhost:6379":                        "rediss://",
		"127.0.0.1:6379":                        "is not a URL",
		"http://:hunter2@h":                     "does not begin with",
		"redis://:hun#hunter2@h:6379":           "%23",
		"redis://:hunter2/x@h:6379":             "%2F",
		"redis://:hunter2%zz@h":                 "%25",
		"redis://hunter2@h":                     "behind a colon",
		"redis://:hunter2@:6379":                "names no host",
		"redis://:hunter2@h/hunter2":            "a database that is not a number",
		"redis://:hunter2@h/-1":                 "a database that is not a number",
		"redis://:hunter2@h/1/2":                "a database that is not a number",
		"rediss://:hunter2@h?skip_verify=true":  "leave them out",
		"redis://:hunter2@h?max_retries=9":      "leave them out",
		"unix://:hunter2@run/redis.sock":        "three slashes",
		"unix://:hunter2@/run/redis.sock?db=-2": "a database that is not a number",
		"redis:hunter2":                         "is not a URL",
	} {
		s, err := redis.Open(url)
		if err == nil {
			s.Close()
			t.Errorf("%q was taken", url)
		} else if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), password) {
			t.Errorf("%q: %v; want %q", url, err, want)
		}
	}
	for _, url := range []string{
		"redis://h", "redis://h:1/5", "rediss://user:pw@h", "unix:///s", "unix://:pw@/s?db=1", "redis://[::1]:6379",
		" redis://h\n",
		"redis://:@h", "redis://:p%2F%23w@h:6379/",
	} {
		if s, err := redis.Open(url); err != nil {
			t.Errorf("%q: %v", url, err)
		} else {
			s.Close()
		}
	}
}

func TestCheckSaysWhatToDo(t *testing.T) {
	server := redistest.Start(t, redistest.Options{Password: "right", CertFile: certFile, KeyFile: keyFile})
	for url, want := range map[string]string{
		strings.Replace(server.URL, "right", "hunter2", 1): "the right password",
		strings.Replace(server.URL, ":right@", "", 1):      "the right password",
		server.URL + "/99": "such as 0",
		strings.Replace(server.URL, "redis:", "rediss:", 1):               "TLS",
		strings.Replace(server.TLSURL, "rediss:", "redis:", 1):            "TLS",
		strings.Replace(server.TLSURL, "127.0.0.1", "[::ffff:7f00:1]", 1): "", // the same address
		strings.Replace(server.TLSURL, "127.0.0.1", "localhost", 1):       "another name",
		"redis://:hunter2@127.0.0.1:1":                                    "see that the server runs",
		"unix://:hunter2@/nowhere/s":                                      "see that the server runs",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		err := open(t, url).Check(ctx)
		cancel()
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", url, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v; want %q", url, err, want)
		}
	}
}

// A server that answers, and yet cannot be used.
func TestCheckFindsServersThatCannotBeUsed(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		do   []any
		want string
	}{
		"a cluster":  {[]string{"--cluster-enabled", "yes"}, nil, "a node of a cluster"},
		"a replica":  {[]string{"--replicaof", "127.0.0.1", "1"}, nil, "name the primary"},
		"full":       {nil, []any{"CONFIG", "SET", "maxmemory", "1"}, "raise maxmemory"},
		"no scripts": {[]string{"--rename-command", "EVALSHA", "", "--rename-command", "EVAL", ""}, nil, "lacks a command"},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t, redistest.Options{Args: c.args})
			if c.do != nil {
				server.Do(t.Context(), c.do...)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if err := open(t, server.URL).Check(ctx); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %q", err, c.want)
			}
		})
	}
}

// A certificate of an unknown authority is refused, and its server gets no password.
func TestTLSIsVerified(t *testing.T) {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "stranger"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, _ := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	pair := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan []byte, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				b := make([]byte, 100)
				n, _ := conn.Read(b)
				heard <- b[:n]
			}()
		}
	}()
	err = open(t, "rediss://:hunter2@"+l.Addr().String()).Check(t.Context())
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &unknown) || !strings.Contains(err.Error(), "SSL_CERT_FILE") {
		t.Errorf("err = %v", err)
	}
	if b := <-heard; len(b) > 0 {
		t.Errorf("a stranger heard %q", b)
	}
}

// A claim that a server carries out too late would have no owner, and others would wait for it.
func TestLateClaimsAreVoid(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	first, second := open(t, server.URL), open(t, server.URL)
	for _, s := range []*redis.Store{first, second} {
		if ok, err := s.Claim(t.Context(), fmt.Sprintf("%p", s), "me", time.Second); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	server.Hang()
	quickest := time.Hour // of three: what a busy machine adds it does not add each time
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		began := time.Now()
		if ok, err := first.Claim(ctx, "x", "first", time.Minute); ok || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, %v", ok, err)
		}
		quickest = min(quickest, time.Since(began))
		cancel()
	}
	if quickest > 300*time.Millisecond {
		t.Errorf("waited %v for a server that hangs", quickest)
	}
	server.GoOn()
	time.Sleep(100 * time.Millisecond)
	if ok, err := second.Claim(t.Context(), "x", "second", time.Minute); !ok || err != nil {
		t.Errorf("%v, %v: the name is taken by who gave up", ok, err)
	}
}

// A server that is down costs a caller one attempt to connect: the library would make five, 100 ms
// apart.
func TestOneAttemptToConnect(t *testing.T) {
	s := open(t, "redis://127.0.0.1:1")
	quickest := time.Hour // of ten: what a busy machine adds it does not add each time
	for range 10 {
		began := time.Now()
		if _, err := s.Get(context.Background(), "a"); err == nil {
			t.Fatal("who answered?")
		}
		quickest = min(quickest, time.Since(began))
	}
	if quickest > 90*time.Millisecond {
		t.Errorf("waited %v for a server that is down", quickest)
	}
}

// The library has a logger of its own, which writes where it found standard error when it was
// loaded: hence another process.
func TestNothingIsWrittenToStandardError(t *testing.T) {
	if os.Getenv("REDIS_TEST_CHILD") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestNothingIsWrittenToStandardError$")
		cmd.Env = append(os.Environ(), "REDIS_TEST_CHILD=1")
		out, err := cmd.CombinedOutput()
		said := strings.TrimSpace(string(out))
		if err != nil || said != "PASS" && !strings.HasPrefix(said, "PASS\ncoverage:") {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	server := redistest.Start(t, redistest.Options{})
	s := open(t, server.URL)
	s.Check(t.Context())
	server.Kill()
	for range 40 {
		s.Get(t.Context(), "a")
	}
}

func BenchmarkGet(b *testing.B) {
	server := redistest.Start(b, redistest.Options{})
	s := open(b, server.URL)
	s.Put(b.Context(), "a", make([]byte, 300), time.Hour)
	for b.Loop() {
		if _, err := s.Get(b.Context(), "a"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAllow(b *testing.B) {
	server := redistest.Start(b, redistest.Options{})
	s := open(b, server.URL)
	for b.Loop() {
		if _, _, _, err := allow(b.Context(), s, "a", 300, time.Minute); err != nil {
			b.Fatal(err)
		}
	}
}
