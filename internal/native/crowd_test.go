package native_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"coze-token/internal/native"
)

// from connects from one of the addresses of this machine.
func from(t *testing.T, source, address string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: 10 * time.Second}
	conn, err := d.Dial("tcp", address)
	if err != nil {
		t.Skipf("this machine does not have the address %s: %v", source, err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// served reports whether a newcomer from 127.0.0.1 gets an answer.
func served(t *testing.T, address string, certificate func() *tls.Certificate) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	scheme := "http"
	if certificate != nil {
		scheme = "https"
	}
	response, err := client.Get(scheme + "://" + address)
	if err != nil {
		t.Errorf("somebody else is kept out: %v", err)
		return
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "hello" {
		t.Errorf("%q, %v", body, err)
	}
}

// Connections that send one byte keep nobody out: not those of one address, nor of several that
// have all places.
func TestConnectionsThatSendNothing(t *testing.T) {
	address := serve(t, hello, native.Options{MaxConnections: 32})
	for _, source := range []string{"127.0.0.9", "127.0.0.10", "127.0.0.11"} {
		for range 40 {
			io.WriteString(from(t, source, address), "P")
		}
		served(t, address, nil)
	}
}

// HTTP/2 clients that ask and do not read, because their window is 0, keep nobody out.
func TestConnectionsThatReadNothing(t *testing.T) {
	pair := httptest.NewTLSServer(hello)
	pair.Close()
	certificate := func() *tls.Certificate { return &pair.TLS.Certificates[0] }
	address := serve(t, hello, native.Options{MaxConnections: 32, Certificate: certificate})
	var headers bytes.Buffer
	encoder := hpack.NewEncoder(&headers)
	for name, value := range map[string]string{":method": "GET", ":path": "/", ":scheme": "https", ":authority": "x"} {
		encoder.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	for _, source := range []string{"127.0.0.9", "127.0.0.10"} {
		for range 20 {
			conn := tls.Client(from(t, source, address),
				&tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			io.WriteString(conn, http2.ClientPreface)
			framer := http2.NewFramer(conn, conn)
			framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			framer.WriteHeaders(http2.HeadersFrameParam{
				StreamID: 1, BlockFragment: headers.Bytes(), EndStream: true, EndHeaders: true,
			})
		}
		served(t, address, certificate)
	}
}

// An addressed connection comes from an address of the test's choice.
type addressed struct {
	net.Conn
	address net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.address }

// An address has half of the places, an IPv6 network of /64 too. Trusted proxies are not bounded.
// One that is served is never closed for another.
func TestShareOfAnAddress(t *testing.T) {
	for _, c := range []struct {
		name    string
		address func(i int) string
		want    int // of 30 that are served at once
	}{
		{"one address", func(int) string { return "192.0.2.1" }, 16},
		{"one IPv6 network", func(i int) string { return fmt.Sprintf("2001:db8::%d", i+1) }, 16},
		{"IPv6 networks", func(i int) string { return fmt.Sprintf("2001:db8:0:%d::1", i) }, 30},
		{"a proxy", func(int) string { return "10.0.0.1" }, 30},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newPipes()
				release := make(chan struct{})
				running := make(chan struct{}, 100)
				h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
					running <- struct{}{}
					<-release
				})
				done := make(chan error, 1)
				ctx, stop := context.WithCancel(t.Context())
				go func() {
					done <- native.Serve(ctx, l, h, native.Options{
						MaxConnections: 32, Log: slog.New(slog.DiscardHandler),
						Exempt: func(a netip.Addr) bool { return a == netip.MustParseAddr("10.0.0.1") },
					})
				}()
				for i := range 30 {
					client, server := net.Pipe()
					defer client.Close()
					l.accepted <- addressed{server, &net.TCPAddr{IP: net.ParseIP(c.address(i)), Port: 1}}
					go func() {
						io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
						io.Copy(io.Discard, client)
					}()
					synctest.Wait()
				}
				if n := len(running); n != c.want {
					t.Errorf("%d are served at once, not %d", n, c.want)
				}
				close(release)
				stop()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// When the process has as many open files as it may, a connection that waits makes room.
func TestNoMoreFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		failing := &noFiles{pipes: l}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- native.Serve(ctx, failing, hello, native.Options{
				MaxConnections: 32, Log: slog.New(slog.DiscardHandler),
			})
		}()
		a := l.visit()
		a.get("/")
		if got := a.state(); got != "served" {
			t.Fatal(got)
		}
		failing.left = 1
		b := l.visit()
		synctest.Wait()
		c := l.visit()
		c.get("/")
		if got := c.state(); got != "served" {
			t.Errorf("after EMFILE a newcomer is %s", got)
		}
		if got := a.state(); got != "closed" {
			t.Errorf("the idle one is %s", got)
		}
		b.Close()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// noFiles is a listener that fails as often as left says.
type noFiles struct {
	*pipes
	left int
}

func (l *noFiles) Accept() (net.Conn, error) {
	conn, err := l.pipes.Accept()
	if err == nil && l.left > 0 {
		l.left--
		conn.Close()
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return conn, err
}

// A body whose end the client marks is the last of its connection (request smuggling).
func TestChunkedEndsTheConnection(t *testing.T) {
	conn := dial(t, serve(t, hello, native.Options{MaxConnections: 32}))
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	got, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	if n := bytes.Count(got, []byte("HTTP/1.1 200")); n != 1 {
		t.Errorf("%d answers: %s", n, got)
	}
}
