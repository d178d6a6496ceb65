package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// A Transport sends requests with the platform's fetch. The zero value is good.
//
// It is an http.RoundTripper, to be called directly: http.Client would link
// net/http's own transport and crypto/tls, 4.7 MB of module that can do
// nothing here. No redirect is followed. A request ends with its context.
//
// The platform allows six connections at a time for each request that owns
// them, and no port but the scheme's own for some hosts. Compressed bodies come decompressed.
type Transport struct {
	// MaxBody is the most that is carried of an answer's body, in bytes.
	// Reading past it gives an *http.MaxBytesError. Optional; 1 MiB.
	MaxBody int64

	// UserAgent is sent where a request has none: the platform sends none
	// of its own. Optional; none is sent.
	UserAgent string
}

const defaultMaxAnswer = 1 << 20

// truncated marks, in a fetch result's number, that the body was over the cap.
const truncated = 1 << 16

// RoundTrip sends one request. Errors name the host and never quote a
// URL's path or query, a header or a body.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	payload, limit, err := t.encode(r)
	if err != nil {
		return nil, err
	}
	p, err := theBridge().perform(r.Context(), kindFetch, payload)
	if err != nil {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
		return nil, fmt.Errorf("worker: fetch from %s: %w", r.URL.Host, err)
	}
	return decodeResponse(r, p, limit)
}

// encode makes the payload of a fetch: the request as a frame whose number is
// the cap of the answer's body. It closes the request's body, as RoundTrip must.
func (t *Transport) encode(r *http.Request) (payload []byte, limit int64, err error) {
	var sent []byte
	if r.Body != nil {
		sent, err = io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return nil, 0, fmt.Errorf("worker: reading the body to send: %w", err)
		}
	}
	if r.URL == nil || r.URL.Host == "" || r.URL.Scheme != "https" && r.URL.Scheme != "http" {
		return nil, 0, errors.New("worker: fetch needs an absolute http or https URL")
	}
	limit = t.MaxBody
	if limit <= 0 {
		limit = defaultMaxAnswer
	}
	limit = min(limit, 64<<20)

	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	u := *r.URL
	u.Fragment, u.RawFragment = "", ""
	fields := []string{method, u.String()}
	for name, values := range r.Header {
		if !validName(name) {
			return nil, 0, errors.New("worker: invalid header name")
		}
		for _, v := range values {
			if strings.ContainsAny(v, "\x00\r\n") {
				return nil, 0, fmt.Errorf("worker: invalid value of header %s", name)
			}
			fields = append(fields, name, v)
		}
	}
	if t.UserAgent != "" && r.Header["User-Agent"] == nil {
		fields = append(fields, "User-Agent", t.UserAgent)
	}
	return appendFrame(nil, uint32(limit), fields, sent), limit, nil
}

// decodeResponse reads a fetch's result.
func decodeResponse(r *http.Request, p []byte, limit int64) (*http.Response, error) {
	f, err := decodeFrame(p)
	if err != nil {
		return nil, err
	}
	header := make(http.Header)
	for head := f.head; ; {
		name, rest, ok := cutField(head)
		if !ok {
			break
		}
		value, rest, ok := cutField(rest)
		if !ok {
			return nil, errFrame
		}
		head = rest
		header.Add(name, value)
	}
	status := int(f.number &^ truncated)
	resp := &http.Response{
		Status:        strconv.Itoa(status) + " " + http.StatusText(status),
		StatusCode:    status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		ContentLength: int64(len(f.body)),
		Request:       r,
	}
	if header.Get("Content-Encoding") != "" {
		resp.Uncompressed = true
		header.Del("Content-Encoding")
		header.Del("Content-Length")
	}
	if f.number&truncated == 0 {
		resp.Body = io.NopCloser(bytes.NewReader(f.body))
	} else {
		resp.ContentLength = -1
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(f.body), endWith{&http.MaxBytesError{Limit: limit}}))
	}
	return resp, nil
}

// endWith is a reader that is at its end, for a reason.
type endWith struct{ err error }

func (e endWith) Read([]byte) (int, error) { return 0, e.err }
