package setting

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"coze-token/internal/fault"
)

const byteOrderMark = "\uFEFF"

// DecodeText is the text of a file as editors and shells write it: UTF-8, with or without a byte
// order mark, or UTF-16, which is what ">" of Windows PowerShell writes. It decodes what is
// certain. The error is a [fault.Fault], and says what the file looks like.
func DecodeText(data []byte) (string, error) {
	const remedy = "save it as UTF-8, and name it again"
	text := string(data)
	if order := utf16Order(data); order != nil {
		var ok bool
		if text, ok = decodeUTF16(data, order); !ok {
			return "", fault.New("the file is UTF-16 that is cut off or damaged", remedy)
		}
	}
	text = strings.TrimPrefix(text, byteOrderMark)
	switch {
	case !utf8.ValidString(text):
		return "", fault.New("the file is not UTF-8: it is binary, or in an older encoding such as GBK", remedy)
	case strings.ContainsRune(text, 0):
		return "", fault.New("the file has a NUL byte in it: it is binary or damaged", remedy)
	}
	return text, nil
}

// utf16Order is the byte order of UTF-16: as its mark says, or, without a mark, if each second byte
// is zero and no other is, as in text of ASCII. It is nil for any other text.
func utf16Order(data []byte) binary.ByteOrder {
	switch {
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		return binary.LittleEndian
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		return binary.BigEndian
	case len(data) < 2 || len(data)%2 != 0:
		return nil
	}
	var zeros [2]int
	for i, b := range data {
		if b == 0 {
			zeros[i%2]++
		}
	}
	switch half := len(data) / 2; {
	case zeros[0] == 0 && zeros[1] == half:
		return binary.LittleEndian
	case zeros[0] == half && zeros[1] == 0:
		return binary.BigEndian
	}
	return nil
}

// decodeUTF16 is false for half a character.
func decodeUTF16(data []byte, order binary.ByteOrder) (string, bool) {
	if len(data)%2 != 0 {
		return "", false
	}
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	text := string(utf16.Decode(units))
	return text, !strings.ContainsRune(text, utf8.RuneError)
}
