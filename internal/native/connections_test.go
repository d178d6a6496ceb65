package native_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"coze-token/internal/native"
)

// A visitor is the client's end of a connection.
type visitor struct {
	net.Conn
	answers chan error // of each request; then the connection's end
}

// visit does not wait to be let in.
func (l *pipes) visit() *visitor {
	client, server := net.Pipe()
	go func() { l.accepted <- server }()
	v := &visitor{client, make(chan error, 10)}
	go func() {
		defer close(v.answers)
		for r := bufio.NewReader(client); ; {
			response, err := http.ReadResponse(r, nil)
			if err != nil {
				return
			}
			_, err = io.Copy(io.Discard, response.Body)
			v.answers <- err
		}
	}()
	return v
}

// get sends a request, and waits until nothing more is going to happen.
func (v *visitor) get(path string) {
	go io.WriteString(v, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
	synctest.Wait()
}

// state is what has come of the last request.
func (v *visitor) state() string {
	synctest.Wait()
	select {
	case err, open := <-v.answers:
		if !open {
			return "closed"
		}
		if err != nil {
			return err.Error()
		}
		return "served"
	default:
		return "waiting"
	}
}

func TestConnectionLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		release := make(chan struct{})
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/hold" {
				<-release
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error)
		go func() {
			served <- native.Serve(ctx, l, handler, native.Options{MaxConnections: 2, Log: slog.New(slog.DiscardHandler)})
		}()
		is := func(what string, v *visitor, want string) {
			t.Helper()
			if got := v.state(); got != want {
				t.Errorf("%s is %s, not %s", what, got, want)
			}
		}

		a, b := l.visit(), l.visit()
		a.get("/")
		is("the first", a, "served")
		b.get("/")
		is("the second", b, "served")
		a.get("/")
		is("the first, again", a, "served")
		c := l.visit()
		c.get("/hold")
		is("the one that has been idle for longest", b, "closed")
		is("the other one", a, "waiting")
		a.get("/hold")

		d, e := l.visit(), l.visit()
		d.get("/hold")
		e.get("/")
		is("one more than there may be, while none is idle,", d, "waiting")
		is("one that is at work", a, "waiting")
		release <- struct{}{}
		synctest.Wait()
		release <- struct{}{}
		synctest.Wait()
		// Those two have made room for the two that waited.
		release <- struct{}{}
		for _, v := range []*visitor{a, c, d} {
			is("who was at work", v, "served")
		}
		is("who waited", e, "served")

		for range 2 { // both slots are taken, and somebody waits
			v := l.visit()
			v.get("/hold")
		}
		f := l.visit()
		f.get("/")
		is("the last", f, "waiting")
		cancel()
		is("who waits when the server stops", f, "closed")
		close(release)
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// TLS, and HTTP/2 over it, wrap connections in others.
func TestConnectionLimitWithTLS(t *testing.T) {
	pair := httptest.NewTLSServer(hello)
	pair.Close()
	certificate := func() *tls.Certificate { return &pair.TLS.Certificates[0] }
	address := serve(t, hello, native.Options{MaxConnections: 1, Certificate: certificate})
	for _, protocol := range []string{"HTTP/2.0", "HTTP/1.1", "HTTP/2.0"} {
		transport := &http.Transport{
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
			ForceAttemptHTTP2: protocol == "HTTP/2.0",
		}
		t.Cleanup(transport.CloseIdleConnections)
		client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
		response, err := client.Get("https://" + address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, response.Body)
		if err = errors.Join(err, response.Body.Close()); err != nil || response.Proto != protocol {
			t.Fatalf("%s: %v", response.Proto, err)
		}
	}
}
