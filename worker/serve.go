package worker

import (
	"context"
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
func (b *bridge) serve(ctx context.Context, cancel context.CancelFunc, id uint32, f frame) {
	var a *answer // nil until the handler has returned
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			log := slog.New(NewLogHandler(slog.LevelInfo))
			log.ErrorContext(ctx, "panic in handler", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
		cancel()
		b.answer(id, a)
	}()
	r, err := b.newRequest(ctx, f)
	if err != nil {
		a = &answer{status: http.StatusBadRequest}
		return
	}
	w := &answer{head: r.Method == http.MethodHead}
	b.handler.ServeHTTP(w, r)
	a = w
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
	fields := make([]string, 0, 2*len(a.header)+2)
	for name, values := range a.header {
		switch name {
		case "Connection", "Content-Length", "Keep-Alive", "Transfer-Encoding", "Trailer", "Upgrade":
			continue
		}
		if !validName(name) {
			continue
		}
		for _, v := range values {
			fields = append(fields, name, v)
		}
	}
	if len(a.body) > 0 && a.header["Content-Type"] == nil {
		fields = append(fields, "Content-Type", http.DetectContentType(a.body))
	}
	if a.head {
		a.body = nil
	}
	return appendFrame(p, uint32(a.status), fields, a.body)
}
