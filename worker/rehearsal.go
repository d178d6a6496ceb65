package worker

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net/http"
)

// A Rehearsal is made-up requests, served while the Worker starts so that the code which serves real ones is compiled by
// then. They cross the bridge as any request does, but no effect leaves the instance: each gets a made-up result,
// and a log record goes nowhere.
//
// Random bytes are all zero in it, so nothing that was drawn in it may be kept. The handler is therefore one of its own,
// which shares no state with that of [Serve] and is thrown away.
type Rehearsal struct {
	// Handler serves the requests.
	Handler http.Handler
	// Request is a request's method and URL, and names and values of its headers.
	Request []string
	// Times is how often it is served.
	Times int
	// Fetched is the body that each fetch is answered with. Signatures are 256 zero bytes.
	Fetched []byte
}

// rehearsing says that what runs is a rehearsal.
var rehearsing bool

// rehearse serves a rehearsal's requests, one after the other, on a bridge that takes the place of the real one meanwhile.
func (b *bridge) rehearse(r Rehearsal) {
	stage := newBridge(r.Handler, b.options)
	stage.live = true
	real := serving.Swap(stage)
	rehearsing = true
	status := uint32(0)
	for id := range uint32(r.Times) {
		stage.start(id+1, appendFrame(nil, 0, r.Request, nil))
		stage.settle()
		for len(stage.out.buf) > 0 {
			p := append([]byte(nil), stage.out.buf...)
			stage.out.reset()
			for len(p) > 0 {
				kind, effect, n := binary.LittleEndian.Uint32(p), binary.LittleEndian.Uint32(p[4:]), binary.LittleEndian.Uint32(p[12:])
				if kind == kindAnswer && status == 0 { // later ones may be over a limit
					status = binary.LittleEndian.Uint32(p[messageHead:])
				}
				p = p[(messageHead+n+3)&^3:]
				stage.pretend(kind, effect, r.Fetched)
			}
			stage.settle()
		}
	}
	rehearsing = false
	serving.Store(real)
	if status/100 != 2 { // nothing is amiss but that the first request will take longer
		slog.New(b.options.Log).LogAttrs(context.Background(), slog.LevelWarn, "the rehearsal failed", slog.Int("status", int(status)))
	}
}

// pretend resolves an effect that nobody has performed.
func (b *bridge) pretend(kind, id uint32, fetched []byte) {
	switch kind {
	case kindAnswer, kindAbort:
	case kindFetch:
		b.resolve(id, true, appendFrame(nil, http.StatusOK, []string{"content-type", "application/json"}, fetched))
	case kindImportKey:
		b.resolve(id, true, uint32Payload(1))
	case kindCacheGet, kindKVGet:
		b.resolve(id, true, appendFrame(nil, replyNo, nil, nil))
	case kindCachePut, kindKVPut, kindLimit:
		b.resolve(id, true, appendFrame(nil, replyYes, nil, nil))
	case kindSign:
		b.resolve(id, true, make([]byte, 256))
	default:
		b.resolve(id, false, []byte("not in a rehearsal"))
	}
}
