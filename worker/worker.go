package worker

import (
	"net/http"
	"runtime/debug"
	"sync/atomic"
)

var serving atomic.Pointer[bridge]

// Serve says which handler answers the Worker's requests. Call it once, from
// an init function: a reactor's main is never run.
//
//	func init() { worker.Serve(handler, worker.Options{}) }
//
//	func main() {}
func Serve(h http.Handler, o Options) {
	if h == nil {
		panic("worker: nil handler")
	}
	b := newBridge(h, o)
	if !serving.CompareAndSwap(nil, b) {
		panic("worker: Serve called twice")
	}
	// The collector would rather run often than let memory grow past the bound,
	// as memory that has grown never shrinks; below half of it, it
	// would rather run seldom, as each run is taken from a request's CPU time.
	debug.SetMemoryLimit(b.options.MaxMemory * 3 / 4)
	debug.SetGCPercent(400)
}

// theBridge returns the bridge that Serve made.
func theBridge() *bridge {
	b := serving.Load()
	if b == nil {
		panic("worker: Serve has not been called")
	}
	return b
}
