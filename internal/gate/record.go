package gate

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"coze-token/coze"
	"coze-token/internal/auth"
)

// record writes the request's one record (security check 28): for a token or its refusal, who asked, from where, for whom,
// and what came of it. It holds the path but never the query, the session only as a hash, and of a token or
// a credential nothing.
func (g *gate) record(r *http.Request, x *exchange, a answer) {
	log, level := g.Log, slog.LevelDebug
	if x.token {
		log, level = g.Audit, slog.LevelInfo
	}
	if a.status >= 500 {
		level = slog.LevelWarn
	}
	ctx := context.WithoutCancel(r.Context())
	if !log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 20)
	text := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	text("request_id", x.id)
	text("method", clip(r.Method, 20))
	text("path", clip(r.URL.EscapedPath(), 100))
	attrs = append(attrs, slog.Int("status", a.status), slog.Int64("ms", g.Now().Sub(x.began).Milliseconds()))
	f, failed := a.body.(failure)
	text("code", f.Code)
	if x.token {
		outcome := "granted"
		if failed {
			outcome = "refused"
		}
		text("outcome", outcome)
		text("app", x.app)
		text("caller_mode", string(x.caller.Mode))
		text("caller", x.caller.Name)
		text("session_hash", sessionHash(x.session))
		text("origin", clip(strings.Join(r.Header["Origin"], ", "), 100))
		text("address", x.address)
		text("cache", string(x.cache))
		var refused *auth.Error
		if errors.As(x.err, &refused) {
			x.reason = string(refused.Reason)
		}
		text("reason", cmp.Or(x.reason, f.Code))
	}
	if x.err == nil {
		text("error", f.Error)
	} else {
		text("error", x.err.Error())
		var upstream *coze.Error
		if errors.As(x.err, &upstream) {
			attrs = append(attrs, slog.Int("attempts", upstream.Attempts))
			text("logid", upstream.LogID)
		}
		if r.Context().Err() != nil {
			attrs = append(attrs, slog.Bool("caller_gone", true))
		}
	}
	log.LogAttrs(ctx, level, "request", attrs...)
}

// clip keeps what a caller chose from filling the log.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}
