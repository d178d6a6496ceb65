package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
)

// Options are what an application may say about its Worker. The zero value is good.
type Options struct {
	// MaxBody is the most that is carried of a request's body, in bytes.
	// Reading past it gives an *http.MaxBytesError, as with
	// http.MaxBytesReader. Optional; 64 KiB.
	MaxBody int64

	// MaxMemory is the size of the instance's memory, in bytes, above which
	// it is replaced by a new one, once its open requests have ended. The
	// platform's limit is 128 MB for everything in an isolate, and
	// WebAssembly memory never shrinks. Optional; 64 MiB.
	MaxMemory int64

	// Headers names the request headers that the handler reads, in any case;
	// others are not carried. Workers requests have a dozen headers that
	// few handlers look at, and each costs time. CF-Connecting-IP
	// is always carried. Optional; all, if it is empty.
	Headers []string

	// Warm runs once while the Worker starts, before the first request, so
	// that what runs in it is compiled and loaded by then. Nothing outside can
	// be reached in it (ErrStarting), the clock stands still, and
	// nothing random may be drawn: every isolate would draw the same, and the
	// Worker fails to start instead. Optional.
	Warm func()

	// Rehearsal is served while the Worker starts, before Warm, and can use
	// effects and randomness, which are made up. Optional.
	Rehearsal Rehearsal

	// Log takes what the bridge itself has to say: panics in handlers.
	// Optional; NewLogHandler(slog.LevelInfo).
	Log slog.Handler
}

const (
	defaultMaxBody   = 64 << 10
	defaultMaxMemory = 64 << 20
)

func (o Options) withDefaults() Options {
	if o.MaxBody <= 0 {
		o.MaxBody = defaultMaxBody
	}
	// Lengths cross the bridge in 32 bits; more than this never fits in an isolate.
	o.MaxBody = min(o.MaxBody, 64<<20)
	if o.MaxMemory <= 0 {
		o.MaxMemory = defaultMaxMemory
	}
	if o.Rehearsal.Handler == nil { // the bridge's own path is worth it too
		o.Rehearsal = Rehearsal{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				w.Write([]byte(r.URL.Query().Get("a")))
			}),
			Request: []string{"POST", "https://localhost/?a=b", "accept", "*/*", clientIP, "192.0.2.1"},
			Times:   1,
		}
	}
	if o.Log == nil {
		o.Log = NewLogHandler(slog.LevelInfo)
	}
	return o
}

// maxNames is how many headers may be named: each place is a control character.
const maxNames = 31

// carried returns the canonical names of the headers to carry, or none where
// every header is to be: because none is named, or too many.
func carried(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	all := []string{clientIP}
	for _, name := range names {
		if name = http.CanonicalHeaderKey(name); !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	if len(all) > maxNames {
		return nil
	}
	return all
}

// failure is the body of every answer that the bridge makes in place of the
// handler's. The JavaScript side has the same one, for when Go itself has failed.
const failure = `{"error":"internal error","code":"internal_error"}`

// serve runs the handler for one request and puts its answer in the outbox.
//
// A panic is logged with its stack and stays with its request, as in net/http;
// so does runtime.Goexit, which would otherwise leave the client waiting. The answer
// is therefore made in deferred calls.
func (b *bridge) serve(ctx context.Context, cancel context.CancelFunc, id uint32, f frame) {
	a := &answer{status: http.StatusBadRequest}
	defer func() {
		cancel()
		b.answer(id, a)
	}()
	r, err := b.newRequest(ctx, f)
	if err != nil {
		return
	}
	a = &answer{head: r.Method == http.MethodHead}
	returned := false
	defer func() {
		if !returned {
			b.explain(ctx, recover())
			a = failed(a.head)
		}
	}()
	b.handler.ServeHTTP(a, r)
	returned = true
}

// failed is the answer in place of a handler's that did not return.
func failed(head bool) *answer {
	return &answer{
		status: http.StatusInternalServerError,
		header: http.Header{
			"Content-Type":           {"application/json; charset=utf-8"},
			"Cache-Control":          {"no-store"},
			"X-Content-Type-Options": {"nosniff"},
		},
		body: []byte(failure),
		head: head,
	}
}

// explain logs why a handler did not return. http.ErrAbortHandler asks for silence.
func (b *bridge) explain(ctx context.Context, v any) {
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return
	}
	slog.New(b.options.Log).ErrorContext(ctx, "panic in handler", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
}
