package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// A Transport sends requests with the platform's fetch. The zero value is good. It is safe for use
// by many goroutines.
//
// It is an http.RoundTripper, to be called directly: http.Client would link net/http's own
// transport and crypto/tls, 4.7 MB of module that can do nothing here. It follows no redirect. A
// request ends with its context. The platform sends no User-Agent of its own.
//
// The platform allows six connections at a time for each request that owns them, and for some hosts
// no port but the scheme's own. Compressed bodies arrive decompressed.
type Transport struct {
	// MaxBody is how much of a response's body is carried, in bytes. Reading past it returns an
	// *http.MaxBytesError. Optional: 1 MiB.
	MaxBody int64
}

// truncated marks, in a fetch result's number, that the body was longer than Transport.MaxBody.
const truncated = 1 << 16

// RoundTrip sends one request. Its errors name the host. They never quote a URL's path or query, a
// header or a body.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	fields, sent, err := flatten(r)
	if err != nil {
		return nil, err
	}
	limit := cmp.Or(t.MaxBody, 1<<20)
	p, err := theBridge().perform(r.Context(), kindFetch, appendFrame(nil, uint32(limit), fields, sent))
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("worker: fetch from %s: %w", r.URL.Host, err)
	}
	return decodeResponse(r, p, limit)
}

// flatten returns a request as a frame's fields and body. It closes the request's body, as
// RoundTrip must.
func flatten(r *http.Request) (fields []string, sent []byte, err error) {
	if r.Body != nil {
		sent, err = io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return nil, nil, fmt.Errorf("worker: reading the body to send: %w", err)
		}
	}
	if r.URL == nil || r.URL.Host == "" || r.URL.Scheme != "https" && r.URL.Scheme != "http" {
		return nil, nil, errors.New("worker: fetch needs an absolute http or https URL")
	}
	u := *r.URL
	u.Fragment, u.RawFragment = "", ""
	fields = []string{cmp.Or(r.Method, http.MethodGet), u.String()}
	for name, values := range r.Header {
		if !validName(name) {
			return nil, nil, errors.New("worker: invalid header name")
		}
		for _, v := range values {
			if !oneLine(v) {
				return nil, nil, fmt.Errorf("worker: invalid value of header %s", name)
			}
			fields = append(fields, name, v)
		}
	}
	return fields, sent, nil
}

// decodeResponse reads a fetch's result.
func decodeResponse(r *http.Request, p []byte, limit int64) (*http.Response, error) {
	f, err := decodeFrame(p)
	if err != nil {
		return nil, err
	}
	header, err := decodeHeader(f.head)
	if err != nil {
		return nil, err
	}
	status, cut := int(f.number&^truncated), f.number&truncated != 0
	resp := &http.Response{
		Status:        strconv.Itoa(status) + " " + http.StatusText(status),
		StatusCode:    status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		ContentLength: int64(len(f.body)),
		Body:          io.NopCloser(bodyReader(f.body, cut, limit)),
		Request:       r,
	}
	if header.Get("Content-Encoding") != "" {
		resp.Uncompressed = true
		header.Del("Content-Encoding")
		header.Del("Content-Length")
	}
	if cut {
		resp.ContentLength = -1
	}
	return resp, nil
}
