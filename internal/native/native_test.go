package native_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"coze-token/internal/native"
)

func serve(t *testing.T, h http.Handler, o native.Options) (address string) {
	t.Helper()
	l, err := native.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Log = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- native.Serve(ctx, l, h, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(15 * time.Second))
	return conn
}

func TestHeaderCap(t *testing.T) {
	conn := dial(t, serve(t, hello, native.Options{}))
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Long: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", response.StatusCode)
	}
}

func TestListenSaysWhyItCannot(t *testing.T) {
	l, err := native.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for address, want := range map[string]string{
		l.Addr().String(): "another program has this port",
		"nonsense":        "missing port",
		"127.0.0.1:99999": "invalid port",
		"192.0.2.1:8787":  "assign requested address",
	} {
		l, err := native.Listen(address)
		if err == nil {
			l.Close()
			t.Errorf("%s was taken", address)
		} else if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v", address, err)
		} else if strings.Contains(err.Error(), "LISTEN") {
			t.Errorf("%s: %v: a setting that is not the caller's is blamed", address, err)
		}
	}
}

func TestLogFormat(t *testing.T) {
	for format, want := range map[string]string{"text": "msg=hello", "json": `"msg":"hello"`, "auto": `"msg":"hello"`} {
		var b strings.Builder
		native.Logger(&b, slog.LevelInfo, format).Info("hello")
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s: %s", format, b.String())
		}
	}
	var b strings.Builder
	native.Logger(&b, slog.LevelWarn, "json").Info("hello")
	if b.Len() > 0 {
		t.Errorf("below the level: %s", b.String())
	}
}
