package worker

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"
)

// unknownLength is a request frame's number when the client gave no length.
const unknownLength = ^uint32(0)

// newRequest makes the request that a server's handler expects.
//
// The platform joins a repeated header with ", " before the Worker sees it,
// so that every name has one value here. Header values arrive as the UTF-8 that was
// sent; bytes that are not UTF-8 were replaced by U+FFFD before the Worker saw
// them. RemoteAddr is Cloudflare's CF-Connecting-IP, which a client cannot
// set, with port 0; without it, empty.
func (b *bridge) newRequest(ctx context.Context, f frame) (*http.Request, error) {
	method, head, _ := cutField(f.head)
	target, head, ok := cutField(head)
	if !ok || method == "" {
		return nil, errFrame
	}
	_, rest, ok := strings.Cut(target, "://")
	if !ok {
		return nil, errFrame
	}
	// The platform has parsed the URL: it always has a path.
	slash := strings.IndexByte(rest, '/')
	if slash < 0 {
		return nil, errFrame
	}
	host, path := rest[:slash], rest[slash:]
	u, err := parsePath(path)
	if err != nil {
		return nil, err
	}

	fields := strings.Count(head, "\x00")
	values := make([]string, 0, fields/2) // one array for every header's one value
	header := make(http.Header, fields/2)
	for {
		name, after, ok := cutField(head)
		if !ok {
			break
		}
		value, after, ok := cutField(after)
		if !ok {
			return nil, errFrame
		}
		head = after
		if len(name) == 1 && 0 < name[0] && int(name[0]) <= len(b.names) {
			name = b.names[name[0]-1]
		} else {
			name = textproto.CanonicalMIMEHeaderKey(name)
		}
		if name == "Host" {
			continue // as in net/http: it is in Request.Host
		}
		values = append(values, value)
		n := len(values)
		if before := header[name]; before != nil {
			header[name] = append(before, value)
		} else {
			header[name] = values[n-1 : n : n]
		}
	}

	r := (&http.Request{
		Method:     method,
		URL:        u,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     header,
		Body:       http.NoBody,
		Host:       host,
		RequestURI: path,
	}).WithContext(ctx)
	if ip := header[clientIP]; len(ip) == 1 {
		r.RemoteAddr = net.JoinHostPort(ip[0], "0")
	}
	switch f.number {
	case 0:
	case unknownLength:
		r.ContentLength = -1
		r.Body = &body{ctx: ctx, bridge: b}
	default:
		r.ContentLength = int64(f.number)
		r.Body = &body{ctx: ctx, bridge: b}
	}
	return r, nil
}

// clientIP is the header in which Cloudflare says who asks.
const clientIP = "Cf-Connecting-Ip"

// parsePath is url.ParseRequestURI, which it leaves out for paths that have
// nothing to parse in them: nearly all.
func parsePath(path string) (*url.URL, error) {
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || '-' <= c && c <= '9' || c == '_' {
			continue
		}
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return nil, errFrame // without err, which quotes the URL
		}
		return u, nil
	}
	return &url.URL{Path: path}, nil
}

// A body is a request's body, carried over the bridge when it is first read
// and never past Options.MaxBody bytes. Past them, Read returns an
// *http.MaxBytesError, as if the handler had been wrapped in
// http.MaxBytesHandler; a handler with a smaller cap of its own sets it with
// http.MaxBytesReader as anywhere.
type body struct {
	ctx    context.Context // the request's: a body cannot outlive it
	bridge *bridge
	asked  bool
	data   []byte
	end    error // what follows data
}

var errBodyClosed = errors.New("worker: request body read after it was closed")

func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !b.asked {
		b.asked = true
		b.data, b.end = b.fetch()
	}
	if len(b.data) == 0 {
		return 0, b.end
	}
	n := copy(p, b.data)
	b.data = b.data[n:]
	return n, nil
}

// bodyTimeout bounds the wait for a body: a client that sends none of what it announced keeps the request awake,
// which costs CPU time.
const bodyTimeout = 10 * time.Second

func (b *body) fetch() ([]byte, error) {
	limit := b.bridge.options.MaxBody
	ctx, cancel := context.WithTimeout(b.ctx, bodyTimeout)
	defer cancel()
	p, err := b.bridge.perform(ctx, kindBody, uint32Payload(uint32(limit)))
	if err != nil {
		return nil, err
	}
	f, err := decodeFrame(p)
	if err != nil {
		return nil, err
	}
	if f.number != 0 {
		return f.body, &http.MaxBytesError{Limit: limit}
	}
	return f.body, io.EOF
}

func (b *body) Close() error {
	b.asked, b.data, b.end = true, nil, errBodyClosed
	return nil
}
