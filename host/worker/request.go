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
	slash := strings.IndexAny(rest, "/?")
	if slash < 0 {
		slash = len(rest)
	}
	host, path := rest[:slash], rest[slash:]
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	u, err := url.ParseRequestURI(path)
	if err != nil {
		return nil, errFrame // without err, which quotes the URL
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
		name = textproto.CanonicalMIMEHeaderKey(name)
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
	if ip := header.Get("Cf-Connecting-Ip"); ip != "" {
		r.RemoteAddr = net.JoinHostPort(ip, "0")
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

func (b *body) fetch() ([]byte, error) {
	limit := b.bridge.options.MaxBody
	p, err := b.bridge.perform(b.ctx, kindBody, uint32Payload(uint32(limit)))
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
