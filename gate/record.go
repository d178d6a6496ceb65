package gate

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"coze-token/coze"
)

// record writes the request's one log record. It holds the path but never the query, the session only as a hash, and
// of a token nothing.
func (g *gate) record(r *http.Request, x *exchange, a answer) {
	level := slog.LevelInfo
	switch {
	case a.status >= 500:
		level = slog.LevelWarn
	case r.URL.Path != "/":
		level = slog.LevelDebug
	}
	ctx := context.WithoutCancel(r.Context())
	if !g.Log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request_id", x.id),
		slog.String("method", clip(r.Method, 20)),
		slog.String("path", clip(r.URL.Path, 100)),
		slog.Int("status", a.status),
		slog.Int64("ms", g.Now().Sub(x.began).Milliseconds()),
	}
	if f, ok := a.body.(failure); ok {
		attrs = append(attrs, slog.String("code", f.Code))
	}
	if x.session != "" {
		attrs = append(attrs, slog.String("session_hash", sessionHash(x.session)))
	}
	if x.origin != "" {
		attrs = append(attrs, slog.String("origin", string(x.origin)))
	}
	if x.err != nil {
		attrs = append(attrs, slog.String("error", x.err.Error()))
		var e *coze.Error
		if errors.As(x.err, &e) {
			attrs = append(attrs, slog.Int("attempts", e.Attempts), slog.String("logid", e.LogID))
		}
		if r.Context().Err() != nil {
			attrs = append(attrs, slog.Bool("caller_gone", true))
		}
	}
	g.Log.LogAttrs(ctx, level, "request", attrs...)
}

// clip keeps what a caller chose from filling the log.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}
