package native_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"coze-token/internal/native"
)

// These tests wait for minutes on the clock of a bubble. Connections are pipes in memory.

// A pipes listener has a connection for each that is dialled.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func newPipes() *pipes { return &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})} }

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-l.accepted:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (l *pipes) dial() net.Conn {
	client, server := net.Pipe()
	l.accepted <- server
	return client
}

// A slow connection is closed, after a time that depends on what is slow. One that waits for Coze
// is not, for as long as UPSTREAM_TIMEOUT allows.
func TestTimeouts(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
	for name, c := range map[string]struct {
		send    string
		handler http.HandlerFunc
		want    time.Duration
	}{
		"a request that never comes":    {send: "", want: 5 * time.Second},
		"headers that never end":        {send: head, want: 5 * time.Second},
		"a body that never comes":       {send: head + "\r\n", want: 10 * time.Second},
		"an answer that nobody reads":   {send: head + "\r\nx", want: 75 * time.Second, handler: endless},
		"a connection that nobody uses": {send: head + "\r\nx", want: 120 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newPipes()
				ctx, cancel := context.WithCancel(t.Context())
				served := make(chan error, 1)
				ended := make(chan time.Duration, 1)
				began := time.Now()
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if _, err := io.ReadAll(r.Body); err != nil {
						ended <- time.Since(began)
						panic(http.ErrAbortHandler)
					}
					if c.handler != nil {
						c.handler(w, r)
						ended <- time.Since(began)
					}
				})
				go func() { served <- native.Serve(ctx, l, h, native.Options{Log: slog.New(slog.DiscardHandler)}) }()
				conn := l.dial()
				defer conn.Close()
				go io.WriteString(conn, c.send)
				if c.handler == nil {
					go func() {
						io.Copy(io.Discard, conn)
						select {
						case ended <- time.Since(began):
						default: // the handler knew before
						}
					}()
				}
				select {
				case got := <-ended:
					if got != c.want {
						t.Errorf("given up after %v, not %v", got, c.want)
					}
				case <-time.After(time.Hour):
					t.Error("waited for for ever")
				}
				conn.Close()
				cancel()
				if err := <-served; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// endless writes until it cannot.
func endless(w http.ResponseWriter, r *http.Request) {
	for {
		if _, err := w.Write(make([]byte, 4<<10)); err != nil {
			return
		}
	}
}

// How long an answer of Coze's may take is for the request's context alone: a minute, if
// UPSTREAM_TIMEOUT says so.
func TestTheContextBoundsAnAnswer(t *testing.T) {
	for _, c := range []struct{ takes, bound time.Duration }{
		{59 * time.Second, time.Minute},
		{time.Hour, time.Minute},
		{time.Hour, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			var coze sync.WaitGroup
			defer coze.Wait()
			transport := native.Transport()
			transport.Proxy = nil // of the machine that runs the tests
			transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
				client, server := net.Pipe()
				coze.Go(func() {
					defer server.Close()
					if _, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
						time.Sleep(c.takes)
						io.WriteString(server, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
					}
				})
				return client, nil
			}
			ctx, cancel := context.WithTimeout(t.Context(), c.bound)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, "POST", "http://coze.invalid/", nil)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			response, err := transport.RoundTrip(r)
			switch took := time.Since(began); {
			case c.takes < c.bound && err != nil:
				t.Errorf("an answer after %v, within %v, is lost: %v", c.takes, c.bound, err)
			case c.takes > c.bound && (!errors.Is(err, context.DeadlineExceeded) || took != c.bound):
				t.Errorf("an answer after %v is waited for for %v, not %v: %v", c.takes, took, c.bound, err)
			}
			if err == nil {
				response.Body.Close()
			}
		})
	}
}
