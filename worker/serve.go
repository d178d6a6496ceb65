package worker

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
)

// serve runs the handler for one request and puts its answer in the outbox.
//
// A panic is logged with its stack and ends only its request, as in net/http. So does
// runtime.Goexit, which would otherwise leave the client waiting: the answer is therefore made in a
// deferred call.
func (b *bridge) serve(c *call) {
	var a *answer // nil until the handler has returned
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			log := slog.New(NewLogHandler(slog.LevelInfo))
			log.ErrorContext(c, "panic in handler", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
		c.cancel()
		b.answer(c.id, a)
	}()
	r, err := b.newRequest(c, c.frame)
	if err != nil {
		a = &answer{status: http.StatusBadRequest}
		return
	}
	c.answer.head = r.Method == http.MethodHead
	b.handler.ServeHTTP(&c.answer, r)
	a = &c.answer
}

// An answer is the http.ResponseWriter that a handler gets. It collects the whole answer, which
// crosses the bridge when the handler returns. There is no streaming, so it is not an http.Flusher.
// Unlike in net/http, a header that is set after the status still counts.
type answer struct {
	status int
	header http.Header
	body   []byte
	head   bool // answers a HEAD request: the body is not carried
}

func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = make(http.Header, 8)
	}
	return a.header
}

// WriteHeader sets the status once. An informational status is dropped, because the platform cannot
// send it. A status that the platform would refuse becomes 500.
func (a *answer) WriteHeader(status int) {
	if a.status != 0 || status >= 100 && status < 200 {
		return
	}
	if status < 200 || status > 599 {
		status = http.StatusInternalServerError
	}
	a.status = status
}

func (a *answer) Write(p []byte) (int, error) {
	switch a.status {
	case 0:
		a.status = http.StatusOK
	case http.StatusNoContent, http.StatusResetContent, http.StatusNotModified:
		return 0, http.ErrBodyNotAllowed
	}
	a.body = append(a.body, p...)
	return len(p), nil
}

// appendTo writes the answer as a frame: status, headers, body. A handler that did not return has
// no answer, and nothing is written: JavaScript then answers with a 500. Headers that describe a
// connection are left out: they are the platform's.
func (a *answer) appendTo(p []byte) []byte {
	if a == nil {
		return p
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	number := uint32(a.status)
	at := len(p)
	p = append(p, make([]byte, frameHead)...)
	for name, values := range a.header {
		switch name {
		case "Connection", "Content-Length", "Keep-Alive", "Transfer-Encoding", "Trailer", "Upgrade":
			continue
		}
		if !validName(name) {
			continue
		}
		if len(values) > 1 {
			number |= repeated
		}
		for _, v := range values {
			p = appendField(appendField(p, name), v)
		}
	}
	if len(a.body) > 0 && a.header["Content-Type"] == nil {
		p = appendField(appendField(p, "Content-Type"), http.DetectContentType(a.body))
	}
	if a.header["Content-Encoding"] != nil {
		number |= encoded
	}
	binary.LittleEndian.PutUint32(p[at:], number)
	binary.LittleEndian.PutUint32(p[at+4:], uint32(len(p)-at-frameHead))
	if a.head {
		return p
	}
	return append(p, a.body...)
}

// Set in the number of an answer, so that JavaScript need not look through the head for what is
// rare: a name is repeated, and the handler has encoded the body itself.
const (
	repeated = 1 << 16
	encoded  = 1 << 17
)
