//go:build wasip1

// Command worker is the token service on Cloudflare Workers. wrangler.jsonc says how it is built
// and deployed, docs/workers.md how it is used.
package main

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	cozetoken "coze-token"
	"coze-token/coze"
	"coze-token/internal/config"
	"coze-token/internal/gate"
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
	settings, warnings, err := config.Parse(worker.Env(), config.Options{Edge: true, NotText: worker.NotText})
	level := slog.LevelInfo
	if err == nil {
		level = settings.LogLevel
	}
	log := slog.New(worker.NewLogHandler(level))
	platform := cozetoken.Platform{
		Transport: &worker.Transport{MaxBody: coze.MaxAnswer + 1}, // one byte more than is allowed is an error
		Signer:    webCrypto,
		Go:        worker.Background,
		LimitSize: 4096, // memory is short, and clearing it takes time at the start
		Log:       log,
		Remedy:    remedy,
	}
	warn := func() {
		for _, w := range warnings {
			log.Warn(w.Problem, "setting", w.Name, "remedy", w.Remedy)
		}
	}
	misconfigured := func(faults config.Faults) http.Handler {
		return atFirst(warn, cozetoken.Misconfigured(faults, platform))
	}
	var faults config.Faults
	if errors.As(err, &faults) {
		return misconfigured(faults)
	}
	share(settings, &platform)
	v, err := cozetoken.New(settings, platform)
	if err != nil {
		return misconfigured(config.Faults{{Name: "settings", Problem: err.Error(), Remedy: "correct them"}})
	}
	o.Headers, o.WarmUp = cozetoken.RequestHeaders(settings), warmUp(*settings, platform)
	return atFirst(func() {
		warn()
		for _, app := range settings.All() {
			if app.IsOpen() {
				log.Warn(cozetoken.OpenAccess) // security check 8
				break
			}
		}
	}, v)
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
func share(s *config.Settings, p *cozetoken.Platform) {
	kv, named := strings.CutPrefix(s.SharedStore, "kv:")
	switch {
	case named:
		p.Store = worker.KV(kv)
	case s.SharedStore == "cache":
		p.Store = worker.Cache("coze-token")
	}
	if s.RateLimitBinding != "" {
		p.Counter = func(kind string) ratelimit.Counter {
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
// the token in the cache. The service for it has the settings of the real one, except that access
// is open, and shares no state with it.
func warmUp(s config.Settings, p cozetoken.Platform) *worker.WarmUp {
	app := s.AppSettings
	if app.App == nil {
		for _, app = range s.Apps {
			break
		}
	}
	app.Keys, app.Logins, app.VisitorSecrets, app.Open = nil, nil, nil, true
	s.AppSettings, s.Apps = app, nil
	p.LimitSize = 1
	v, err := cozetoken.New(&s, p)
	if err != nil {
		return nil
	}
	request, _ := http.NewRequest(http.MethodPost, "https://localhost/", nil)
	request.Header.Set("CF-Connecting-IP", "192.0.2.1")
	request.Header.Set(gate.SessionHeader, "warm-up")
	expiry := time.Now().Add(app.Duration).Unix()
	return &worker.WarmUp{
		Handler: v,
		Request: request,
		Times:   2,
		Fetched: fmt.Appendf(nil, `{"access_token":"warm-up","token_type":"Bearer","expires_in":%d}`, expiry),
	}
}

const remedy = "set what is named: a secret with `npx wrangler secret put NAME`, " +
	"anything else under vars in wrangler.jsonc and with `npx wrangler deploy`; " +
	"the Worker's log (`npx wrangler tail`) says what is wrong with each"

// webCrypto signs in a tenth of the time that Go needs in WebAssembly. It moves an RSA key to where
// JavaScript can sign with it and no code can read it.
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
