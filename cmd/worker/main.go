//go:build wasip1

// Command worker is the token service on Cloudflare Workers: package service on the host worker. wrangler.jsonc says how
// it is built and deployed, docs/workers.md how it is used.
package main

import (
	"context"
	"crypto"
	"crypto/rsa"
	"log/slog"
	"net/http"
	"sync"

	cozetoken "coze-token"
	"coze-token/coze"
	"coze-token/internal/gate"
	"coze-token/worker"
)

// A reactor's main is never run: the program is what its init functions leave behind.
func main() {}

func init() {
	o := worker.Options{MaxBody: gate.MaxBody, Headers: gate.RequestHeaders}
	h := handler(&o)
	worker.Serve(h, o)
}

// handler is made before the first request, so nothing in it waits, sends or draws anything random. It adds to the
// options what depends on settings.
func handler(o *worker.Options) http.Handler {
	host := cozetoken.Options{
		Transport: &worker.Transport{MaxBody: coze.MaxAnswer + 1}, // one more byte shows an answer that is too large
		Signer:    webCrypto,
		Go: func(f func()) {
			worker.Background(context.Background(), func(context.Context) { f() })
		},
		LimitSize: 4096, // memory is short here, and to clear it takes part of the start's time
		Workers:   true,
		NotText:   worker.NotText,
	}
	settings, warnings, err := cozetoken.Read(worker.Env(), host)
	level := slog.LevelInfo
	if err == nil {
		level = settings.LogLevel
	}
	host.Log = slog.New(worker.NewLogHandler(level))
	warn := func() {
		for _, w := range warnings {
			host.Log.Warn(w.Problem, "setting", w.Setting, "remedy", w.Remedy)
		}
	}
	if err != nil {
		return atFirst(warn, cozetoken.Misconfigured(err, remedy, host.Log))
	}
	share(settings.Worker, &host)
	o.Headers, o.Rehearsal = settings.RequestHeaders(), rehearsal(settings, host)
	return atFirst(func() {
		warn()
		for _, app := range settings.Apps() {
			if app.Callers.IsOpen() {
				host.Log.Warn(cozetoken.OpenAccess) // security check 8
				break
			}
		}
	}, cozetoken.Build(settings, host))
}

// atFirst calls say with the first request: what is logged while the Worker starts is not kept by the platform.
func atFirst(say func(), h http.Handler) http.Handler {
	var once sync.Once
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		once.Do(say)
		h.ServeHTTP(w, r)
	})
}

const remedy = "set what is named: a secret with `npx wrangler secret put NAME`, anything else under vars in wrangler.jsonc and with `npx wrangler deploy`; " +
	"the Worker's log (`npx wrangler tail`) says what is wrong with each"

// webCrypto moves the key to where JavaScript can sign with it and nothing can read it; it also signs in a tenth of the
// time that Go takes in WebAssembly.
func webCrypto(key crypto.Signer) crypto.Signer {
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return key
	}
	signer, err := worker.NewSigner(private)
	if err != nil {
		return key // Go signs, slowly
	}
	return signer
}
