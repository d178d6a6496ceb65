package worker

import (
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
)

// Options change how a Worker serves. The zero value is good.
type Options struct {
	// MaxBody is how much of a request's body is carried, in bytes. Reading past it returns an
	// *http.MaxBytesError, as http.MaxBytesReader does. Optional: 64 KiB.
	MaxBody int64

	// Headers names the request headers that the handler reads, in any case. Other headers are not
	// carried: each costs time, and a request on Workers has a dozen that few handlers read.
	// CF-Connecting-IP is always carried. Optional: all headers.
	Headers []string

	// WarmUp is served while the Worker starts. Optional: without it the first request takes longer.
	WarmUp *WarmUp
}

// maxMemory is the size of an instance's memory, in bytes, above which a new instance replaces it
// when its open requests have ended: WebAssembly memory never shrinks. The platform's limit is 128
// MB for everything in an isolate.
const maxMemory = 64 << 20

var serving atomic.Pointer[bridge]

// Serve sets the handler that answers the Worker's requests. Call it once, in an init function: the
// main function of a reactor is never run.
// Many goroutines call the handler at once, as in net/http.
func Serve(h http.Handler, o Options) {
	if h == nil || !serving.CompareAndSwap(nil, newBridge(h, o)) {
		panic("worker: Serve needs a handler, and can be called once")
	}
	// Memory that has grown never shrinks, so the collector runs often when memory nears its bound.
	// Far below the bound it runs seldom, because each run is paid with a request's CPU time.
	debug.SetMemoryLimit(maxMemory * 3 / 4)
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

// carried returns the canonical names of the headers to carry. None means all.
func carried(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	all := []string{clientIP}
	for _, name := range names {
		all = append(all, http.CanonicalHeaderKey(name))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Background runs f in a goroutine. The platform keeps the program awake for it after the request
// has been answered, for 30 seconds at most (ctx.waitUntil). A plain go statement is enough for a
// goroutine that only waits for effects; one that waits for timers needs Background.
//
// f needs a deadline of its own. A context of the request ends when its client goes away, unless
// context.WithoutCancel wraps it.
func Background(f func()) {
	b := theBridge()
	b.busy.Add(1)
	go func() {
		defer b.moves.Add(1)
		defer b.busy.Add(-1)
		f()
	}()
}

// NotText is the value in [Env] of a binding that cannot be written as text: a KV namespace, a
// secret of a Secrets Store, a number of which JavaScript has lost digits.
const NotText = "[not text]"

// Env returns the Worker's variables and secrets by name. A variable that is JSON in wrangler.jsonc
// (a number, true, a list, an object) is the text of that JSON. Any other binding is [NotText]. Env
// can be called before the first request. os.Getenv sees the same values.
func Env() map[string]string {
	list := os.Environ()
	env := make(map[string]string, len(list))
	for _, variable := range list {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}
	return env
}
