//go:build wasip1

// Command worker is the token service on Cloudflare Workers. wrangler.jsonc says how it is built
// and deployed, docs/workers.md how it is used.
package main

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	cozetoken "coze-token"
	"coze-token/coze"
	"coze-token/internal/gate"
	"coze-token/internal/message"
	"coze-token/internal/plainjson"
	"coze-token/internal/ratelimit"
	"coze-token/worker"
)

func main() {} // is never run

func init() {
	o := worker.Options{MaxBody: gate.MaxBody, Headers: gate.RequestHeaders}
	h := handler(&o)
	worker.Serve(h, o)
}

// handler makes the service, and sets the options that depend on settings. It runs before the first
// request, so it must not wait, send or draw random numbers.
func handler(o *worker.Options) http.Handler {
	host := cozetoken.Options{
		Transport: &worker.Transport{MaxBody: coze.MaxAnswer + 1}, // one byte more than is allowed is an error
		Go:        worker.Background,
		LimitSize: 4096, // memory is short, and clearing it takes time at the start
		Workers:   true,
		NotText:   worker.NotText,
	}
	settings, warnings, err := cozetoken.Read(worker.Env(), host)
	level := slog.LevelInfo
	if err == nil {
		level = settings.LogLevel
	}
	host.Log = slog.New(plainjson.NewHandler(worker.NewLogHandler(level), false, func(l slog.Level, line []byte) error {
		worker.Log(l, line)
		return nil
	}))
	warn := func() {
		for _, w := range warnings {
			host.Log.Warn(w.Problem.String(), "setting", w.Setting, "remedy", w.Remedy)
		}
	}
	if err != nil {
		return atFirst(warn, cozetoken.Misconfigured(err, string(remedy), host.Log))
	}
	share(settings.Worker, &host)
	o.Headers, o.WarmUp = settings.RequestHeaders(), warmUp(settings, host)
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

// atFirst calls say with the first request: the platform drops what is logged while the Worker
// starts.
func atFirst(say func(), h http.Handler) http.Handler {
	var once sync.Once
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		once.Do(say)
		h.ServeHTTP(w, r)
	})
}

// share sets the store and the counter that the Worker's instances share.
func share(s cozetoken.WorkerSettings, o *cozetoken.Options) {
	kv, named := strings.CutPrefix(s.SharedStore, "kv:")
	switch {
	case named:
		o.Store = worker.KV(kv)
	case s.SharedStore == "cache":
		o.Store = worker.Cache("coze-token")
	}
	if s.RateLimitBinding != "" {
		o.Counter = func(kind string) ratelimit.Counter {
			if kind != "address" { // the binding has one limit, and it is for addresses
				return nil
			}
			return counter(s.RateLimitBinding)
		}
	}
}

// A counter is a rate-limit binding as a [ratelimit.Counter]. It answers only yes or no.
type counter worker.RateLimit

func (c counter) Allow(ctx context.Context, key string, _ ratelimit.Rate) (ratelimit.Decision, error) {
	ok, err := worker.RateLimit(c).Allow(ctx, key)
	return ratelimit.Decision{OK: ok, Remaining: ratelimit.Unknown}, err
}

// warmUp serves two requests while the Worker starts: the first needs an exchange, the second finds
// the token in the cache. The service for it lets anybody in and shares no state with the real one.
func warmUp(s *cozetoken.Settings, o cozetoken.Options) *worker.WarmUp {
	o.LimitSize = 1
	s = s.WarmUp()
	app, _ := s.App("")
	request, _ := http.NewRequest(http.MethodPost, "https://localhost/", nil)
	request.Header.Set("CF-Connecting-IP", "192.0.2.1")
	request.Header.Set(gate.SessionHeader, "warm-up")
	expiry := strconv.FormatInt(time.Now().Add(app.Duration).Unix(), 10)
	return &worker.WarmUp{
		Handler: cozetoken.Build(s, o),
		Request: request,
		Times:   2,
		Fetched: []byte(`{"access_token":"warm-up","token_type":"Bearer","expires_in":` + expiry + `}`),
	}
}

const remedy message.Format = "set what is named: a secret with `npx wrangler secret put NAME`, " +
	"anything else under vars in wrangler.jsonc and with `npx wrangler deploy`; " +
	"the Worker's log (`npx wrangler tail`) says what is wrong with each"
