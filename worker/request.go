package worker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// unknownLength is a request frame's number if the client announced no length.
const unknownLength = ^uint32(0)

// clientIP is the header in which Cloudflare puts the client's address.
const clientIP = "Cf-Connecting-Ip"

// newRequest makes the request that a handler expects of a server.
//
// The platform joins a repeated header with ", " before the Worker sees it, so every name has one
// value. Bytes of a header that are not UTF-8 arrive as U+FFFD. RemoteAddr is CF-Connecting-IP,
// which a client cannot set, with port 0. It is empty without that header.
func (b *bridge) newRequest(ctx context.Context, f frame) (*http.Request, error) {
	method, head, _ := strings.Cut(f.head, "\x00")
	target, head, ok := strings.Cut(head, "\x00")
	if !ok || method == "" {
		return nil, errFrame
	}
	_, rest, _ := strings.Cut(target, "://")
	slash := strings.IndexByte(rest, '/') // the platform has parsed the URL, so it has a path
	if slash < 0 {
		return nil, errFrame
	}
	host, path := rest[:slash], rest[slash:]
	u, err := parseTarget(path)
	if err != nil {
		return nil, errFrame // err would quote the URL
	}
	header, err := decodeHeader(head)
	if err != nil {
		return nil, err
	}
	delete(header, "Host") // as in net/http: it is in Request.Host

	r := (&http.Request{
		Method:        method,
		URL:           u,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          http.NoBody,
		ContentLength: int64(f.number),
		Host:          host,
		RequestURI:    path,
	}).WithContext(ctx)
	if ip := header[clientIP]; len(ip) == 1 {
		r.RemoteAddr = net.JoinHostPort(ip[0], "0")
	}
	if f.number != 0 {
		r.Body = &body{ctx: ctx, bridge: b}
	}
	if f.number == unknownLength {
		r.ContentLength = -1
	}
	return r, nil
}

// parseTarget is url.ParseRequestURI, which escapes a path to see whether it was escaped. A path
// without anything to escape, and without a query, is all that its URL has.
func parseTarget(target string) (*url.URL, error) {
	for i := range len(target) {
		c := target[i]
		letter, digit := c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9'
		if c != '/' && c != '-' && c != '_' && c != '.' && !letter && !digit {
			return url.ParseRequestURI(target)
		}
	}
	return &url.URL{Path: target}, nil
}

// A body is a request's body. It is carried over the bridge when it is first read.
type body struct {
	ctx    context.Context // the request's: a body cannot outlive it
	bridge *bridge
	data   io.Reader // nil before the first Read
}

// bodyTimeout bounds the wait for a body. A client that does not send the body which it announced
// keeps the request awake, and that costs CPU time.
const bodyTimeout = 10 * time.Second

func (b *body) Read(p []byte) (int, error) {
	if b.data == nil {
		data, err := b.fetch()
		if err != nil {
			data = failingReader{err}
		}
		b.data = data
	}
	return b.data.Read(p)
}

func (b *body) fetch() (io.Reader, error) {
	ctx, cancel := context.WithTimeout(b.ctx, bodyTimeout)
	defer cancel()
	p, err := b.bridge.perform(ctx, kindBody, uint32Payload(uint32(b.bridge.maxBody)))
	if err != nil {
		return nil, err
	}
	f, err := decodeFrame(p)
	if err != nil {
		return nil, err
	}
	return bodyReader(f.body, f.number != 0, b.bridge.maxBody), nil
}

func (b *body) Close() error {
	b.data = failingReader{errors.New("worker: request body read after it was closed")}
	return nil
}

// bodyReader reads what was carried of a body. If the rest was cut off, an *http.MaxBytesError
// follows.
func bodyReader(p []byte, cut bool, limit int64) io.Reader {
	if !cut {
		return bytes.NewReader(p)
	}
	return io.MultiReader(bytes.NewReader(p), failingReader{&http.MaxBytesError{Limit: limit}})
}

// A failingReader returns its error at every Read.
type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }
