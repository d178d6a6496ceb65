// Package worker serves any [http.Handler] on Cloudflare Workers: one Go
// program for each isolate, warm before its first request, with many requests
// in it at once.
//
// The program is a WebAssembly reactor, built with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags="-s -w"
//
// It calls [Serve] in an init function; main stays empty and is never run.
// The JavaScript side is host.mjs, next to this file; its entry is three lines:
//
//	import { env } from "cloudflare:workers";
//	import { serve } from "…/worker/host.mjs";
//	import program from "./program.wasm";
//	export default serve(program, env);
//
// # How it works
//
// JavaScript gives Go a request and gets back what Go has to say: answers, and
// effects that only the platform can perform (fetch, sign, read a body). A
// goroutine that needs an effect waits on a channel; JavaScript performs it
// and hands back the result. ABI.md describes the bridge. A handler that
// needs no effect is answered within one call.
//
// While a request waits, its own JavaScript loop wakes Go every 20 ms, and less often the
// longer it has waited, down to every 250 ms, since each time costs CPU time. A timer may be late by as much:
// a quarter of the wait, but 20 ms at least and 250 ms at most. A client that goes away cancels its request's context, where
// the platform tells: workerd's own HTTP server does not, so a handler's wait needs a
// deadline too. Effects under way for a client that has gone go on, up to
// the 30 seconds that the platform gives; [Background] does so for timers.
//
// A panic in a handler is that request's 500. A panic in any other
// goroutine, os.Exit or exhausted memory end the program: every open request
// gets a 500 and the next request a new program. So does memory above
// [Options.MaxMemory], without the 500.
//
// # What works
//
// Goroutines, channels, sync, contexts, timers, time.Sleep, log/slog (through
// [NewLogHandler]), crypto/rand, os.Getenv. Outgoing requests through [Transport],
// RSA signatures through [Signer], values that outlive an isolate in [Cache] and [KV],
// [RateLimit].
//
// # What does not
//
//   - http.Client, http.DefaultTransport, net.Dial, crypto/tls: there are no
//     sockets. Linking them costs 4.7 MB; package linkgate keeps them out.
//   - Files, processes, signals.
//   - Effects before the first request ([ErrStarting]), and randomness: Go's
//     own seeds (maps, math/rand) are the same in every isolate that starts
//     there, so math/rand must decide nothing that matters, and crypto/rand
//     refuses, which ends the start. A [Rehearsal] gets made-up effects and zeros.
//   - Streaming: a body is carried whole, up to a cap, and so is an answer.
//   - Repeated request headers: the platform joins them with ", ", cookies
//     too. Header values are UTF-8; what is not arrives as U+FFFD.
//   - A clock that runs while Go does: deployed, time advances only with I/O.
//   - Loops that never wait: there is one thread and no preemption, so others
//     stand still until the platform's CPU limit ends the request.
package worker
