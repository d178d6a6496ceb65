// Package native is the host for ordinary machines: a listener, a server that withstands the open internet, a
// transport for requests to Coze, and logs. It serves any [http.Handler] and knows no policy.
package native

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Bounds of the server. A request is a line, a few headers and next to no body, so whoever needs longer than this to
// send one is not a caller but a hole in the connection table.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 75 * time.Second // longer than the longest UPSTREAM_TIMEOUT, 60 s
	idleTimeout       = 120 * time.Second
	maxHeaderBytes    = 16 << 10
	// grace is how long open requests may go on after the signal to stop. Container platforms kill after 30 s.
	grace = 25 * time.Second
)

// Options say how to serve.
type Options struct {
	// MaxConnections is how many connections may be open at once. For a further one the connection that has been idle for
	// longest is closed; while none is idle, it waits. Zero means no ceiling.
	MaxConnections int
	// Certificate is what TLS is served with. It is asked at each handshake, so that a new one needs no restart. Optional:
	// without it, plain HTTP is served, for a proxy in front.
	Certificate func() *tls.Certificate
	// Log takes what the server itself complains of. Optional: slog.Default.
	Log *slog.Logger
}

// Listen opens a TCP listener. Its errors say why it cannot; what to do depends on where the address came from.
func Listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err == nil {
		return l, nil
	}
	switch op, ok := errors.AsType[*net.OpError](err); {
	case errors.Is(err, syscall.EADDRINUSE):
		err = errors.New("another program has this port")
	case errors.Is(err, syscall.EACCES):
		err = errors.New("ports below 1024 need a privilege")
	case ok:
		err = op.Err // without the address, which is said already
	}
	return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
}

// Certificate reads a certificate chain and its private key from two PEM files. Without names there is none.
func Certificate(certFile, keyFile string) (*tls.Certificate, error) {
	if certFile == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	return &pair, err
}

// Serve answers requests on l until ctx ends. Then it takes no new ones, lets open ones finish for up to 25 s, and
// returns nil if all did.
func Serve(ctx context.Context, l net.Listener, h http.Handler, o Options) error {
	log := o.Log
	if log == nil {
		log = slog.Default()
	}
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),

		DisableGeneralOptionsHandler: true, // "OPTIONS *" is answered by h, like everything else
	}
	if o.MaxConnections > 0 {
		c := newCeiling(l, o.MaxConnections)
		l, server.ConnState = c, c.watch
	}
	if o.Certificate != nil {
		server.TLSConfig = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return o.Certificate(), nil },
		}
	}
	failed := make(chan error, 1)
	go func() {
		if o.Certificate != nil {
			failed <- server.ServeTLS(l, "", "")
		} else {
			failed <- server.Serve(l)
		}
	}()
	select {
	case err := <-failed:
		l.Close()
		return err
	case <-ctx.Done():
	}
	log.Info("stopping: open requests may finish, new ones are refused")
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		server.Close()
		return fmt.Errorf("requests were still open %v after the signal to stop: %w", grace, err)
	}
	return nil
}

// Transport sends requests to Coze, and to whoever else the service asks. The proxy comes from HTTPS_PROXY and NO_PROXY in
// the environment.
//
// It bounds how long a connection may take. How long an answer may take is for the request's context to say, which every
// caller gives a deadline: a bound here would cut short a longer UPSTREAM_TIMEOUT.
func Transport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
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
