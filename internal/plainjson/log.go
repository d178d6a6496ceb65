package plainjson

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// A handler writes plain records itself.
type handler struct {
	slog.Handler // for all others
	write        func(level slog.Level, line []byte) error
	timed        bool
}

// NewHandler returns a handler that writes the same as others, which is a [slog.JSONHandler] without
// further options or wraps one. It writes a record itself if all its members are plain texts,
// integers and booleans: write gets the record as a line. timed says that lines begin with the time.
func NewHandler(others slog.Handler, timed bool, write func(level slog.Level, line []byte) error) slog.Handler {
	return &handler{others, write, timed}
}

var lines = sync.Pool{New: func() any { return new([]byte) }}

// Handle implements [slog.Handler].
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	line := lines.Get().(*[]byte)
	defer lines.Put(line)
	var ok bool
	if *line, ok = h.append((*line)[:0], &r); !ok {
		return h.Handler.Handle(ctx, r)
	}
	return h.write(r.Level, *line)
}

func (h *handler) append(p []byte, r *slog.Record) (_ []byte, ok bool) {
	p = append(p, '{')
	if h.timed && !r.Time.IsZero() {
		p = append(p, `"time":"`...)
		p = r.Time.AppendFormat(p, time.RFC3339Nano)
		p = append(p, `",`...)
	}
	p = append(append(append(p, `"level":"`...), r.Level.String()...), `","msg":`...)
	p, ok = Append(p, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		if ok {
			p, ok = Append(append(p, ','), a.Key)
		}
		if !ok {
			return false
		}
		p = append(p, ':')
		switch a.Value.Kind() {
		case slog.KindString:
			p, ok = Append(p, a.Value.String())
		case slog.KindInt64:
			p = strconv.AppendInt(p, a.Value.Int64(), 10)
		case slog.KindBool:
			p = strconv.AppendBool(p, a.Value.Bool())
		default:
			ok = false
		}
		return ok
	})
	return append(p, "}\n"...), ok
}
