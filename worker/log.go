package worker

import (
	"bytes"
	"context"
	"log/slog"
	"time"
)

// NewLogHandler returns a handler whose records reach the Worker's logs as objects, with one
// console call each, so that Workers Logs can search in their members. The call is console.error
// from slog.LevelError, console.warn from LevelWarn, console.log from LevelInfo and console.debug
// below. A record leaves at once and is not lost if the program fails right after it.
//
// Records have no time: the platform stamps every line, and its clock stands still while Go runs.
func NewLogHandler(level slog.Leveler) slog.Handler {
	return logHandler{slog.NewJSONHandler(lineWriter{}, &slog.HandlerOptions{Level: level})}
}

// A logHandler leaves the time out of the records of a slog.JSONHandler.
type logHandler struct{ slog.Handler }

func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Time = time.Time{} // slog omits a zero time
	return h.Handler.Handle(ctx, r)
}

func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attrs)}
}

func (h logHandler) WithGroup(name string) slog.Handler { return logHandler{h.Handler.WithGroup(name)} }

// A lineWriter receives the lines of a slog.JSONHandler. Each begins with its level.
type lineWriter struct{}

func (lineWriter) Write(line []byte) (int, error) {
	text, _, _ := bytes.Cut(line[len(`{"level":"`):], []byte(`"`))
	var level slog.Level
	if err := level.UnmarshalText(text); err != nil {
		return 0, err
	}
	writeLog(level, line[:len(line)-1]) // without the line's end
	return len(line), nil
}

// Log writes a record that is JSON already to the Worker's logs, as a handler of [NewLogHandler] does.
func Log(level slog.Level, record []byte) { writeLog(level, record) }

// writeLog passes a line to JavaScript. Native tests have no JavaScript.
var writeLog = func(slog.Level, []byte) {}
