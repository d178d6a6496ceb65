package worker

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestFrames reads the vectors that the JavaScript side is tested against too.
func TestFrames(t *testing.T) {
	p, err := os.ReadFile("testdata/frames.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name   string
		Number uint32
		Fields []string
		Body   string
		Frame  string
	}
	if err := json.Unmarshal(p, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		body, _ := hex.DecodeString(v.Body)
		want, err := hex.DecodeString(strings.ReplaceAll(v.Frame, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := appendFrame(nil, v.Number, v.Fields, body); !bytes.Equal(got, want) {
			t.Errorf("%s: wrote %x, want %x", v.Name, got, want)
		}
		f, err := decodeFrame(want)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		if f.number != v.Number || !slices.Equal(fieldsOf(f.head), v.Fields) || !bytes.Equal(f.body, body) {
			t.Errorf("%s: read %+v", v.Name, f)
		}
	}
}

func fieldsOf(head string) []string {
	var fields []string
	for {
		field, rest, ok := strings.Cut(head, "\x00")
		if !ok {
			return fields
		}
		fields, head = append(fields, field), rest
	}
}

func TestFieldsCannotBeSplit(t *testing.T) {
	f, err := decodeFrame(appendFrame(nil, 0, []string{"a\x00b\r\nc", "d"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	if got := fieldsOf(f.head); !slices.Equal(got, []string{"a b  c", "d"}) {
		t.Errorf("fields = %q", got)
	}
}

func TestOutboxIsAlignedAndWiped(t *testing.T) {
	var o outbox
	o.put(kindSign, 1, 2, func(p []byte) []byte { return append(p, "secret"...) })
	o.put(kindAbort, 3, 0, func(p []byte) []byte { return p })
	if len(o.buf) != messageHead+8+messageHead {
		t.Errorf("%d bytes", len(o.buf))
	}
	before := o.buf
	o.reset()
	if bytes.Contains(before, []byte("secret")) {
		t.Error("not wiped")
	}
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte("\xff\xff\xff\xff\x11\x00\x00\x00POST\x00http://h/\x00x\x00"))
	f.Add(appendFrame(nil, 3, []string{"GET", "https://h/%zz?q", "X-User-Id", "v", "a", "b"}, []byte("x")))
	b := newBridge(nil, Options{Headers: []string{"X-User-ID"}})
	f.Fuzz(func(t *testing.T, p []byte) {
		fr, err := decodeFrame(p)
		if err != nil {
			return
		}
		if r, err := b.newRequest(t.Context(), fr); err == nil && (r.Method == "" || r.URL == nil || r.Body == nil) {
			t.Errorf("made %+v of %q", r, p)
		}
		if fieldsOf(fr.head) == nil {
			return
		}
		again := appendFrame(nil, fr.number, fieldsOf(fr.head), fr.body)
		if !strings.ContainsAny(fr.head, "\r\n") && !bytes.Equal(again, p) {
			t.Errorf("%q became %q", p, again)
		}
	})
}
