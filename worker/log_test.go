package worker

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
)

func TestLogRecordsAreObjects(t *testing.T) {
	var got []string
	before := writeLog
	writeLog = func(level slog.Level, line []byte) { got = append(got, fmt.Sprintf("%d %s", level, line)) }
	t.Cleanup(func() { writeLog = before })
	l := slog.New(NewLogHandler(slog.LevelInfo)).With("a", 1).WithGroup("g").With("b", "用")
	l.Debug("under the level")
	l.Info("said", "c", true)
	l.Log(t.Context(), slog.LevelError+2, "worse")
	want := []string{
		`0 {"level":"INFO","msg":"said","a":1,"g":{"b":"用","c":true}}`,
		`10 {"level":"ERROR+2","msg":"worse","a":1,"g":{"b":"用"}}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
