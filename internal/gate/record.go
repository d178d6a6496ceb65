package gate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"coze-token/broker"
	"coze-token/coze"
	"coze-token/internal/auth"
	"coze-token/internal/ratelimit"
)

// A record collects what the log says about one request.
type record struct {
	id      string    // 26 characters of base32, which are over 128 random bits
	began   time.Time // by the machine's own clock, as all times of the log
	token   bool      // the request asks for a token of app
	takes   string    // the method that asks for a token at this path
	app     string
	address netip.Addr
	caller  auth.Caller
	session string
	cache   broker.CacheStatus

	exchange ratelimit.Decision // whether its address may begin an exchange, if one was needed
	header   [2]string          // values of the answer's header
}

// An Observation is what metrics may know of one request for a token. Nothing in it is a text that
// the caller chose: App is one of the settings' apps, and each of the others has few values.
type Observation struct {
	App      string    // "" is the app at /
	Way      auth.Mode // empty if the caller was not known yet
	Status   int
	Code     string // of a failure
	Cache    broker.CacheStatus
	Limit    string // the kind of limit that refused it
	Duration time.Duration
}

// record logs the request once (security check 28): who asked for whom, from where, and with which
// result. The record has the path but not the query. It has the session only as a hash, and nothing
// of a token or a credential.
func (g *gate) record(r *http.Request, rec *record, a answer) {
	f, failed := a.body.(failure)
	if rec.token && g.Observe != nil {
		g.Observe(Observation{
			App: rec.app, Way: rec.caller.Mode, Status: a.status, Code: f.Code, Cache: rec.cache, Limit: a.limit,
			Duration: time.Since(rec.began),
		})
	}
	log, level := g.Log, slog.LevelDebug
	if rec.token {
		log, level = g.Audit, slog.LevelInfo
	}
	if a.status >= 500 {
		level = slog.LevelWarn
	}
	if !log.Enabled(r.Context(), level) {
		return
	}
	now := time.Now()
	attrs := make([]slog.Attr, 0, 20)
	text := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	reason := cmp.Or(a.reason, f.Code)
	if failed {
		skipped, ok := g.samples[reason].take(g.Now())
		if !ok {
			return
		}
		if skipped > 0 {
			attrs = append(attrs, slog.Int64("skipped", skipped))
		}
	}
	text("request_id", rec.id)
	text("method", clip(r.Method, 20))
	text("path", clip(r.URL.EscapedPath(), 100))
	attrs = append(attrs, slog.Int("status", a.status), slog.Int64("ms", now.Sub(rec.began).Milliseconds()))
	text("code", f.Code)
	if rec.token {
		outcome := "granted"
		if failed {
			outcome = "refused"
		}
		text("outcome", outcome)
		text("app", rec.app)
		text("caller_mode", string(rec.caller.Mode))
		text("caller", rec.caller.Name)
		text("session_hash", sessionHash(rec.session))
		text("origin", clip(strings.Join(r.Header["Origin"], ", "), 100))
		if rec.address.IsValid() {
			text("address", rec.address.String())
		}
		text("cache", string(rec.cache))
		text("reason", reason)
	}
	if a.err == nil {
		text("error", f.Error.String())
	} else {
		text("error", a.err.Error())
		if e, ok := errors.AsType[*coze.Error](a.err); ok {
			attrs = append(attrs, slog.Int("attempts", e.Attempts))
			text("logid", e.LogID)
		}
		if r.Context().Err() != nil {
			attrs = append(attrs, slog.Bool("caller_gone", true))
		}
	}
	// Logger.LogAttrs would look up the line of code, which is always this one.
	record := slog.NewRecord(now, level, "request", 0)
	record.AddAttrs(attrs...)
	log.Handler().Handle(context.WithoutCancel(r.Context()), record)
}

// sessionHash stands for a session in records, which must not hold user ids.
func sessionHash(session string) string {
	if session == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(session))
	return hex.EncodeToString(sum[:6])
}

// clip bounds what a caller can put into the log.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}
