package worker

import (
	"bytes"
	"context"
	"io"
	"log/slog"
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
	return &logHandler{level: level, make: func(h slog.Handler) slog.Handler { return h }}
}

// logHandler formats a record with slog's own JSON handler, into memory. It
// keeps what WithAttrs and WithGroup asked for as a function, because
// the JSON handler writes to a buffer that is each record's own.
type logHandler struct {
	level slog.Leveler
	make  func(slog.Handler) slog.Handler
}

func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool {
	return l >= h.level.Level()
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	var line bytes.Buffer
	json := h.make(slog.NewJSONHandler(&line, &slog.HandlerOptions{
		Level:       slog.Level(-1 << 30),
		ReplaceAttr: dropTime,
	}))
	if err := json.Handle(ctx, r); err != nil {
		return err
	}
	writeLog(r.Level, bytes.TrimSuffix(line.Bytes(), []byte("\n")))
	return nil
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{h.level, func(to slog.Handler) slog.Handler { return h.make(to).WithAttrs(attrs) }}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{h.level, func(to slog.Handler) slog.Handler { return h.make(to).WithGroup(name) }}
}

func dropTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// logSink takes lines where there is no JavaScript: in native tests.
var logSink io.Writer = io.Discard
