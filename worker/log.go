package worker

import (
	"context"
	"io"
	"log/slog"
	"math"
	"time"
)

// NewLogHandler returns a handler whose records reach the Worker's logs as
// objects, one console call each, so that Workers Logs can be asked for their
// fields: console.error from slog.LevelError, console.warn from LevelWarn,
// console.debug under LevelInfo and console.log otherwise. A record leaves at once and
// is not lost if the program fails right after it.
//
// The time is left out: the platform stamps every line, and its clock stands still while
// Go runs.
func NewLogHandler(level slog.Leveler) slog.Handler {
	h := &logHandler{level: level}
	for i := range h.json {
		h.json[i] = slog.NewJSONHandler(lineWriter(consoles[i]), &slog.HandlerOptions{Level: slog.Level(math.MinInt)})
	}
	return h
}

// logHandler formats records with slog's own JSON handlers, one for each console call, so that each knows where its lines
// go. They are made once: making one for each record took longer than all else about it.
type logHandler struct {
	level slog.Leveler
	json  [4]slog.Handler
}

// consoles are the least levels of the console calls.
var consoles = [...]slog.Level{slog.LevelError, slog.LevelWarn, slog.LevelInfo, math.MinInt32}

// lineWriter takes lines of one level from a JSON handler.
type lineWriter slog.Level

func (l lineWriter) Write(line []byte) (int, error) {
	writeLog(slog.Level(l), line[:len(line)-1]) // without its line end
	return len(line), nil
}

func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool {
	return l >= h.level.Level()
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Time = time.Time{} // which the JSON handler leaves out
	for i, least := range consoles {
		if r.Level >= least {
			return h.json[i].Handle(ctx, r)
		}
	}
	return nil
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func(json slog.Handler) slog.Handler { return json.WithAttrs(attrs) })
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return h.with(func(json slog.Handler) slog.Handler { return json.WithGroup(name) })
}

func (h *logHandler) with(f func(slog.Handler) slog.Handler) slog.Handler {
	with := &logHandler{level: h.level}
	for i := range h.json {
		with.json[i] = f(h.json[i])
	}
	return with
}

// logSink takes lines where there is no JavaScript: in native tests.
var logSink io.Writer = io.Discard
