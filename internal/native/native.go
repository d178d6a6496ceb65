//go:build !wasip1

// Package native is the host for ordinary machines: a server that is safe on the open internet, a
// transport for requests, and logs. It serves any [http.Handler] and knows no policy.
package native

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/term"

	"coze-token/internal/message"
	"coze-token/internal/plainjson"
	"coze-token/internal/setting"
)

// grace is how long open requests may go on after the signal to stop. Container platforms kill
// after 30 s.
const grace = 25 * time.Second

// Options are a server's.
type Options struct {
	// MaxConnections is how many connections may be open at once, half of them by one address (an
	// IPv6 address is its /64). For a further one, the server closes one whose client it waits for,
	// or waits until there is one. Optional: no limit.
	MaxConnections int
	// Exempt reports whether connections from an address are not bounded by address, because it is
	// a proxy's. Optional: none are.
	Exempt func(netip.Addr) bool
	// Certificate is called at each handshake, so that a new certificate needs no restart.
	// Optional: plain HTTP, for a proxy in front.
	Certificate func() *tls.Certificate
	// Stopping is called when the signal to stop has come. DrainDelay is how long requests are served
	// as before after that. Optional.
	Stopping   func()
	DrainDelay time.Duration
	// Log takes the server's own errors. Required.
	Log *slog.Logger
}

// Listen opens a TCP listener. Its errors give the reason, but no remedy: that depends on where the
// address came from.
func Listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err == nil {
		return l, nil
	}
	switch op, ok := errors.AsType[*net.OpError](err); {
	case errors.Is(err, syscall.EADDRINUSE):
		err = message.New("another program has this port")
	case errors.Is(err, syscall.EACCES):
		err = message.New("ports below 1024 need a privilege")
	case ok:
		err = message.Reason(op.Err) // without the address, which stands below
	}
	return nil, message.New("cannot listen on %s: %s", address, err)
}

// Certificate reads a certificate chain and its private key from two PEM files. If the names are
// empty, it returns nil.
func Certificate(certFile, keyFile string) (*tls.Certificate, error) {
	if certFile == "" {
		return nil, nil
	}
	var blocks [2][]byte
	for i, name := range []string{certFile, keyFile} {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		text, err := setting.DecodeText(data)
		if err != nil {
			return nil, err
		}
		blocks[i] = []byte(text)
	}
	pair, err := tls.X509KeyPair(blocks[0], blocks[1])
	return &pair, err
}

// Serve answers requests on l until ctx ends, and for DrainDelay after that. Then it accepts no new
// ones and waits for open ones, for up to 25 s. It returns nil if all of them finished.
func Serve(ctx context.Context, l net.Listener, h http.Handler, o Options) error {
	var draining atomic.Bool
	server := &http.Server{
		// A connection that is used while the server drains is closed after its answer, so that the
		// next request on it does not meet the end.
		Handler: working(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if draining.Load() {
				w.Header().Set("Connection", "close")
			}
			h.ServeHTTP(w, r)
		})),
		// A request is a line, a few headers and a small body. A client that takes longer to send
		// one only occupies a connection.
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      75 * time.Second, // longer than the longest UPSTREAM_TIMEOUT, 60 s
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),

		DisableGeneralOptionsHandler: true, // "OPTIONS *" goes to h too
	}
	if o.MaxConnections > 0 {
		l = newLimitListener(l, o.MaxConnections, o.Exempt)
		server.ConnContext, server.ConnState = connContext, connState
	}
	serve := server.Serve
	if o.Certificate != nil {
		server.TLSConfig = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return o.Certificate(), nil },
		}
		serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
	}
	failed := make(chan error, 1)
	go func() { failed <- serve(l) }()
	select {
	case err := <-failed:
		l.Close()
		return err
	case <-ctx.Done():
	}
	draining.Store(true)
	if o.Stopping != nil {
		o.Stopping()
	}
	if o.DrainDelay > 0 {
		o.Log.Info("stopping: requests are still served while traffic moves away", "for", o.DrainDelay.String())
		select {
		case err := <-failed:
			l.Close()
			return err
		case <-time.After(o.DrainDelay):
		}
	}
	o.Log.Info("stopping: open requests may finish, new ones are refused")
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		server.Close()
		return fmt.Errorf("requests were still open %v after the signal to stop: %w", grace, err)
	}
	return nil
}

// Transport sends requests to Coze and to others that the service asks. The proxy comes from
// HTTPS_PROXY and NO_PROXY in the environment.
//
// It bounds the time to connect. The time for the answer is bounded by the request's context: every
// caller sets a deadline.
func Transport() *http.Transport {
	return &http.Transport{
		Proxy:                  proxyFromEnvironment(),
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    100, // there is one host
		IdleConnTimeout:        90 * time.Second,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
	}
}

// Logger writes records of the level and above to w. The format is "text", "json" or "auto": text
// for a terminal, JSON for anything else.
func Logger(w io.Writer, level slog.Leveler, format string) *slog.Logger {
	if format == "auto" {
		terminal := w
		if q, ok := w.(*Queue); ok {
			terminal = q.to
		}
		if f, ok := terminal.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			format = "text"
		}
	}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
	}
	return jsonLogger(w, level)
}

func jsonLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	l := &lineWriter{to: w}
	others := slog.NewJSONHandler(l, &slog.HandlerOptions{Level: level})
	return slog.New(plainjson.NewHandler(others, true, func(_ slog.Level, line []byte) error {
		_, err := l.Write(line)
		return err
	}))
}

// A lineWriter writes one line after the other.
type lineWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (l *lineWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(line)
}
