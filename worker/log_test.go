package worker

import (
	"bytes"
	"log/slog"
	"testing"
)

func TestLogRecordsAreObjects(t *testing.T) {
	var out bytes.Buffer
	before := logSink
	logSink = &out
	t.Cleanup(func() { logSink = before })
	l := slog.New(NewLogHandler(slog.LevelInfo)).With("a", 1).WithGroup("g").With("b", "用")
	l.Debug("under the level")
	l.Info("said", "c", true)
	if got, want := out.String(), `{"level":"INFO","msg":"said","a":1,"g":{"b":"用","c":true}}`+"\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
