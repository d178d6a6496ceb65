package setting_test

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"

	"coze-token/internal/setting"
)

func utf16Of(text string, order binary.AppendByteOrder) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

// forms are the ways in which editors and shells write one text.
func forms(text string) map[string]string {
	return map[string]string{
		"UTF-8":                text,
		"UTF-8 with a mark":    "\uFEFF" + text,
		"UTF-16, little":       utf16Of("\uFEFF"+text, binary.LittleEndian),
		"UTF-16, big":          utf16Of("\uFEFF"+text, binary.BigEndian),
		"UTF-16, no mark":      utf16Of(text, binary.LittleEndian),
		"UTF-16, big, no mark": utf16Of(text, binary.BigEndian),
		"CRLF":                 text + "\r\n",
		"UTF-16 and CRLF":      utf16Of("\uFEFF"+text+"\r\n", binary.LittleEndian),
	}
}

// A file that is saved again in another way says the same: with another secret, every user would
// have another session.
func TestFilesOfEditorsAndShells(t *testing.T) {
	for name, content := range forms("0123456789abcdef-secret") {
		o := setting.Options{ReadFile: func(string) ([]byte, error) { return []byte(content), nil }}
		r, lines := result(env{"OLD_NAME": "a", "DOOR_SECRET_FILE": "/f"}, o)
		if got := secret.Get(r).Reveal(); got != "0123456789abcdef-secret" || len(lines) > 0 {
			t.Errorf("%s: %q, %q", name, got, lines)
		}
	}
	if text, err := setting.DecodeText([]byte(utf16Of("\uFEFF密钥🙂", binary.LittleEndian))); err != nil ||
		text != "密钥🙂" {
		t.Errorf("%q, %v", text, err)
	}
	r, _ := result(env{"OLD_NAME": "a", "DOOR_SECRET": "\uFEFF s3cret"}, setting.Options{})
	if got := secret.Get(r).Reveal(); got != "s3cret" {
		t.Errorf("a mark in a variable: %q", got)
	}
}

func TestFilesThatAreNoText(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"GBK":              {"\xc3\xdc\xd4\xbf", "not UTF-8"},
		"a NUL":            {"secret\x00secret2", "NUL byte"},
		"cut off UTF-16":   {"\xff\xfea\x00b", "UTF-16 that is cut off"},
		"half a surrogate": {"\xff\xfe\x00\xd8", "UTF-16 that is cut off"},
		"binary":           {"\x30\x82\x04\xbf\x02\x01\x00\x30\xff", "binary"},
	} {
		o := setting.Options{ReadFile: func(string) ([]byte, error) { return []byte(c.content), nil }}
		_, lines := result(env{"OLD_NAME": "a", "DOOR_SECRET_FILE": "/f"}, o)
		if len(lines) != 1 || !strings.HasPrefix(lines[0], "DOOR_SECRET_FILE: ") || !strings.Contains(lines[0], c.want) ||
			!strings.Contains(lines[0], "save it as UTF-8") {
			t.Errorf("%s: %q", name, lines)
		}
	}
}

func FuzzDecodeText(f *testing.F) {
	for _, content := range forms("a") {
		f.Add([]byte(content))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := setting.DecodeText(data)
		if err == nil && strings.ContainsAny(text, "\x00\xff") {
			t.Errorf("%q is a text: %q", data, text)
		}
	})
}
