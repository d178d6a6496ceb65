package native

import (
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"
)

// Logger writes records to w from the given level up. The format is "text", "json", or "auto": text for a person at a
// terminal, JSON for anything that collects logs.
func Logger(w io.Writer, level slog.Leveler, format string) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if format == "text" || format != "json" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
