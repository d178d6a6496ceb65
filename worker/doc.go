// Package worker serves any [http.Handler] on Cloudflare Workers. There is one Go program for each
// isolate. It is warm before its first request, and serves many requests at once.
//
// The package imports the standard library only. A program is a WebAssembly reactor, whose main
// function is never run:
//
//	func init() { worker.Serve(handler, worker.Options{}) }
//
//	func main() {}
//
// The JavaScript side is host.mjs, next to this file. README.md has a complete example.
//
// # How it works
//
// JavaScript gives Go a request and gets back answers and effects: what only the platform can do,
// such as a fetch or a signature. A goroutine that needs an effect waits until JavaScript has
// performed it. ABI.md describes the bridge.
//
// While a request waits, its own JavaScript loop wakes Go: every 20 ms at first and every 250 ms at
// last, because each time costs CPU time. A timer may be late by a quarter of the wait, but by at
// least 20 ms and at most 250 ms.
//
// A client that goes away cancels its request's context. workerd's own HTTP server does not tell,
// so a wait needs a deadline too. Effects under way go on for the 30 seconds that the platform
// gives. [Background] does the same for timers.
//
// A panic in a handler is that request's 500. A panic in another goroutine, os.Exit or exhausted
// memory ends the program: every open request gets a 500, and the next request a new program.
// Memory over 64 MiB also leads to a new program, when the open requests have ended.
//
// # What works
//
// Goroutines, channels, sync, contexts, timers, time.Sleep, crypto/rand, os.Getenv, and log/slog
// through [NewLogHandler]. Requests to others through [Transport], RSA signatures through [Signer],
// values that outlive an isolate through [Cache] and [KV], and [RateLimit].
//
// # What does not
//
//   - http.Client, http.DefaultTransport, net.Dial, crypto/tls: there are no sockets. Linking them
//     adds 4.7 MB. Package linkcheck finds them in a module.
//   - Files, processes, signals.
//   - Effects before the first request, which return an error, and crypto/rand, which ends the
//     start. Go's own seeds (maps, math/rand) are the same in every isolate, so nothing that
//     matters may depend on them. A [WarmUp] gets made-up effects, and zeros.
//   - Streaming: a request's body and an answer are carried whole. A body has a bound.
//   - Repeated request headers: the platform joins them with ", ", cookies too. Bytes of a header
//     that are not UTF-8 arrive as U+FFFD.
//   - A clock that runs while Go does: on Cloudflare, time advances only with I/O.
//   - Loops that never wait: there is one thread and no preemption, so all requests stand still
//     until the platform's CPU limit ends this one.
package worker
