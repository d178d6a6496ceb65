package plainjson_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"pgregory.net/rapid"

	"coze-token/internal/plainjson"
)

// TestSameAsEncodingJSON: what is written is what encoding/json writes.
func TestSameAsEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]*`)).Draw(t, "text")
		got, ok := plainjson.Append([]byte("x"), text)
		want := new(bytes.Buffer)
		e := json.NewEncoder(want)
		e.SetEscapeHTML(false)
		e.Encode(text)
		if ok && string(got) != "x"+string(bytes.TrimSuffix(want.Bytes(), []byte("\n"))) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
		if !ok && string(got) != "x" {
			t.Errorf("%q: %s is left", text, got)
		}
	})
	if got, ok := plainjson.Append(nil, `a <b> & 'c'`); !ok || string(got) != `"a <b> & 'c'"` {
		t.Errorf("%s, %v", got, ok)
	}
}

// TestSameAsSlog: every record is written as a slog.JSONHandler writes it, and the usual ones not by
// it.
func TestSameAsSlog(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]{0,9}`))
	value := rapid.Custom(func(t *rapid.T) slog.Value {
		switch rapid.IntRange(0, 7).Draw(t, "kind") {
		case 0:
			return slog.Int64Value(rapid.Int64().Draw(t, "int"))
		case 1:
			return slog.BoolValue(rapid.Bool().Draw(t, "bool"))
		case 2:
			return slog.AnyValue(rapid.SampledFrom([]any{nil, time.Second, 1.5, []int{1}, uint64(7)}).Draw(t, "any"))
		case 3:
			return slog.GroupValue(slog.String(text.Draw(t, "name"), text.Draw(t, "text")))
		}
		return slog.StringValue(text.Draw(t, "text"))
	})
	rapid.Check(t, func(t *rapid.T) {
		var got, want bytes.Buffer
		fast := plainjson.NewHandler(slog.NewJSONHandler(&got, nil), true, func(_ slog.Level, line []byte) error {
			got.Write(line)
			return nil
		})
		handlers := []slog.Handler{fast, slog.NewJSONHandler(&want, nil)}
		if rapid.Bool().Draw(t, "with") {
			for i, h := range handlers {
				handlers[i] = h.WithAttrs([]slog.Attr{slog.Int("a", 1)}).WithGroup("g")
			}
		}
		now := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		level := slog.Level(rapid.IntRange(-5, 9).Draw(t, "level"))
		r := slog.NewRecord(rapid.SampledFrom([]time.Time{now, now.UTC(), {}}).Draw(t, "time"), level, text.Draw(t, "msg"), 0)
		for range rapid.IntRange(0, 9).Draw(t, "attrs") {
			r.AddAttrs(slog.Attr{Key: text.Draw(t, "key"), Value: value.Draw(t, "value")})
		}
		for _, h := range handlers {
			h.Handle(t.Context(), r)
		}
		if got.String() != want.String() {
			t.Errorf("%s is not %s", got.String(), want.String())
		}
	})
}

func TestPlainRecordsAreNotSlogs(t *testing.T) {
	var line string
	h := plainjson.NewHandler(slog.DiscardHandler, false, func(level slog.Level, p []byte) error {
		line = level.String() + " " + string(p)
		return nil
	})
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "request", 0)
	r.AddAttrs(slog.String("path", "/"), slog.Int("status", 500), slog.Bool("gone", true))
	if err := h.Handle(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if want := `WARN {"level":"WARN","msg":"request","path":"/","status":500,"gone":true}` + "\n"; line != want {
		t.Errorf("%s, want %s", line, want)
	}
	n := testing.AllocsPerRun(100, func() { h.Handle(t.Context(), r) })
	if n > 2 { // the line as a text, here in the test, and room for a pool that the collector empties
		t.Errorf("%v allocations", n)
	}
}
