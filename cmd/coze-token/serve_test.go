package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"coze-token/sandbox"
)

// startSandboxServer is a sandbox on loopback, and its app's settings as an environment.
func startSandboxServer(t testing.TB, faults ...string) (sb *sandbox.Sandbox, environ []string) {
	t.Helper()
	sb, err := sandbox.New(sandbox.Options{Key: scriptKey()})
	if err != nil {
		t.Fatal(err)
	}
	if err := sb.Fail(faults...); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sb)
	t.Cleanup(server.Close)
	for name, value := range sb.Settings(server.URL) {
		environ = append(environ, name+"="+value)
	}
	return sb, environ
}

// A signal lets the open request finish, refuses new ones, and ends the process well.
func TestGracefulShutdown(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			sb, environ := startSandboxServer(t, "latency=1500ms")
			cmd := exec.Command("coze-token", "serve")
			cmd.Env = append(environ, "LISTEN=127.0.0.1:0")
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { cmd.Process.Kill() })
			url := waitForURL(t, stderr)

			answered := make(chan error, 1)
			go func() {
				_, err := post(context.Background(), url, "user-1")
				answered <- err
			}()
			eventually(t, "Coze was asked", func() bool { return sb.Exchanges() == 1 })
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			eventually(t, "new connections are refused", func() bool {
				conn, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(url, "http:"), "/"))
				if err == nil {
					conn.Close()
				}
				return err != nil
			})
			if err := <-answered; err != nil {
				t.Errorf("the open request: %v", err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("serve: %v", err)
			}
		})
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("it never came that %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestServeTLS(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	der, err := certificate(scriptKey(), 1)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(scriptKey())
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, certFile, "CERTIFICATE", der)
	writePEM(t, keyFile, "PRIVATE KEY", keyDER)

	_, environ := startSandboxServer(t)
	var log logBuffer
	url := serve(t, &log, append(environ, "LISTEN=127.0.0.1:0", "TLS_CERT_FILE="+certFile, "TLS_KEY_FILE="+keyFile)...)
	if !strings.HasPrefix(url, "https://") {
		t.Fatalf("served at %s", url)
	}
	pool := x509.NewCertPool()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Post(url+"/", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 200 {
		t.Errorf("status %d", response.StatusCode)
	}

	old := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10,
		MaxVersion: tls.VersionTLS11}}
	if response, err := (&http.Client{Transport: old}).Post(url+"/", "", nil); err == nil {
		response.Body.Close()
		t.Error("TLS 1.1 is spoken")
	}
}

// certificate is a self-signed one for loopback, in DER.
func certificate(key crypto.Signer, serial int64) ([]byte, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: "127.0.0.1"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotAfter:     time.Now().Add(time.Hour),
	}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}

// A renewed certificate is served without a restart; a pair that does not fit is complained of, and
// the old one goes on.
func TestCertificateIsSwappedWithoutARestart(t *testing.T) {
	pollInterval = 20 * time.Millisecond
	t.Cleanup(func() { pollInterval = 10 * time.Second })
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	write := func(key crypto.Signer, serial int64) {
		der, err := certificate(key, serial)
		if err != nil {
			t.Fatal(err)
		}
		writePEM(t, certFile, "CERTIFICATE", der)
	}
	writeKey := func(key crypto.Signer) {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		writePEM(t, keyFile, "PRIVATE KEY", der)
	}
	write(scriptKey(), 1)
	writeKey(scriptKey())

	_, environ := startSandboxServer(t)
	var log logBuffer
	url := serve(t, &log, append(environ, "LISTEN=127.0.0.1:0", "TLS_CERT_FILE="+certFile, "TLS_KEY_FILE="+keyFile)...)
	serial := func() int64 {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"),
			&tls.Config{InsecureSkipVerify: true}) // any is welcome: it is looked at
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if serial() != 1 {
		t.Fatalf("the certificate is %d", serial())
	}

	write(other, 2)
	eventually(t, "a certificate without its key is complained of", func() bool {
		return strings.Contains(log.String(), "the old ones stay in force") &&
			strings.Contains(log.String(), "TLS_CERT_FILE: cannot be used with TLS_KEY_FILE")
	})
	if serial() != 1 {
		t.Errorf("the certificate is %d, whose key is not there", serial())
	}
	if strings.Contains(log.String(), "the settings were read again") {
		t.Errorf("it was said to be in force: %s", log.String())
	}

	writeKey(other)
	eventually(t, "the new certificate is served", func() bool { return serial() == 2 })
	eventually(t, "it is said until when", func() bool { return strings.Contains(log.String(), `"certificate_until":"`) })
}

func writePEM(t testing.TB, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The start-up line says what is served, for which app and region, and with which key; and a
// warning follows, which a person who reads Chinese gets in Chinese too.
func TestStartUpLine(t *testing.T) {
	sb, environ := startSandboxServer(t)
	var log logBuffer
	serve(t, &log, append(environ, "LISTEN=127.0.0.1:0", "LC_ALL=zh_CN.UTF-8")...)
	first, rest, _ := bytes.Cut([]byte(log.String()), []byte("\n"))
	for _, want := range []string{sb.App("").ClientID, `"region":"custom"`, "SHA256:", `"url":"http://127.0.0.1:`,
		`"version":"`} {
		if !strings.Contains(string(first), want) {
			t.Errorf("%s is not in %s", want, first)
		}
	}
	eventually(t, "open access is warned of", func() bool {
		_, rest, _ = bytes.Cut([]byte(log.String()), []byte("\n"))
		return bytes.Contains(rest, []byte("access is open")) && bytes.Contains(rest, []byte("\ncoze-token: 警告：未设鉴权"))
	})
}

// A server on all interfaces is announced by an address at which it can be asked, and by where it
// listens.
func TestAnnouncedURL(t *testing.T) {
	_, environ := startSandboxServer(t)
	var log logBuffer
	url := serve(t, &log, append(environ, "LISTEN=:0")...)
	if !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Errorf("the URL is %s", url)
	}
	if !strings.Contains(log.String(), `"listen":"[::]:`) && !strings.Contains(log.String(), `"listen":"0.0.0.0:`) {
		t.Errorf("that it listens on all interfaces is not said: %s", log.String())
	}
	if _, err := post(context.Background(), url, "user-1"); err != nil {
		t.Error(err)
	}
}

// "OPTIONS *", which net/http would answer by itself, is a path that does not exist. Whether it
// gets as far as a Worker is the platform's business, so this is no part of the contract.
func TestOptionsOfTheServer(t *testing.T) {
	_, environ := startSandboxServer(t)
	var log logBuffer
	conn, err := net.Dial("tcp", strings.TrimPrefix(serve(t, &log, append(environ, "LISTEN=127.0.0.1:0")...), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusNotFound || !bytes.Contains(body, []byte(`"code":"not_found"`)) {
		t.Errorf("status %d: %s", response.StatusCode, body)
	}
	for name, want := range map[string]string{"Content-Type": "application/json; charset=utf-8",
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
		if got := response.Header.Get(name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	if len(response.Header.Get("X-Request-ID")) != 26 {
		t.Errorf("X-Request-ID is %q", response.Header.Get("X-Request-ID"))
	}
}
