package worker

import (
	"encoding/binary"
	"log/slog"
	"net/http"
)

// A WarmUp is a request that is served while the Worker starts, so that the platform compiles the
// code that serves real requests before the first one comes. It crosses the bridge as any request
// does. No effect leaves the instance: each gets a made-up result. Log records are dropped.
//
// During the warm-up random bytes are all zero, so nothing that was drawn in it may be kept.
// Handler must therefore share no state with the handler given to [Serve].
//
// A warning is logged if the first answer's status is not 2xx.
type WarmUp struct {
	// Handler serves the request.
	Handler http.Handler
	// Request is what it serves. Its URL is absolute. Its body is read once.
	Request *http.Request
	// Times is how often it is served, one after the other.
	Times int
	// Fetched is the body of the response to each fetch, which is a 200 and JSON. Each signature is
	// 256 zero bytes. Caches and KV are empty, and every rate limit allows.
	Fetched []byte
}

// warmingUp reports whether the program is in its warm-up. There is one thread then.
var warmingUp bool

// run serves the request on a bridge that replaces the real one meanwhile.
func (w *WarmUp) run() {
	fields, sent, err := flatten(w.Request)
	if err != nil {
		panic(err)
	}
	b := newBridge(w.Handler, Options{})
	before := serving.Swap(b)
	warmingUp = true
	status := 0
	for id := range uint32(w.Times) {
		b.start(id+1, appendFrame(nil, uint32(len(sent)), fields, nil))
		b.settle()
		for len(b.out.buf) > 0 {
			p := append([]byte(nil), b.out.buf...)
			b.out.reset()
			for len(p) > 0 {
				kind, effect := binary.LittleEndian.Uint32(p), binary.LittleEndian.Uint32(p[4:])
				if kind == kindAnswer && status == 0 { // a later one may be over a limit
					status = int(binary.LittleEndian.Uint32(p[messageHead:]))
				}
				b.pretend(kind, effect, sent, w.Fetched)
				p = p[(messageHead+binary.LittleEndian.Uint32(p[12:])+3)&^3:]
			}
			b.settle()
		}
	}
	warmingUp = false
	serving.Store(before)
	if status/100 != 2 {
		slog.New(NewLogHandler(slog.LevelInfo)).Warn("the warm-up failed", "status", status)
	}
}

// pretend resolves an effect with a made-up result.
func (b *bridge) pretend(kind, id uint32, sent, fetched []byte) {
	result := func(number uint32, body []byte, fields ...string) {
		b.resolve(id, true, appendFrame(nil, number, fields, body))
	}
	switch kind {
	case kindBody:
		result(0, sent)
	case kindFetch:
		result(http.StatusOK, fetched, "content-type", "application/json")
	case kindImportKey:
		b.resolve(id, true, uint32Payload(1))
	case kindSign:
		b.resolve(id, true, make([]byte, 256))
	case kindCacheGet, kindKVGet:
		result(replyNo, nil)
	case kindCachePut, kindKVPut, kindLimit:
		result(replyYes, nil)
	}
}
