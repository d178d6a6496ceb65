package worker

import (
	"encoding/binary"
	"errors"
	"strings"
)

// A frame is the one shape in which anything with a head and a body crosses
// the bridge; ABI.md says what each part means in each place. The head is text
// whose fields each end in a NUL byte, because neither a method, a URL nor a
// header may contain one: JavaScript then encodes a whole head with one
// encodeInto, and Go cuts all fields out of one string without copying.
type frame struct {
	number uint32
	head   string
	body   []byte // aliases the decoded buffer: copy it before the buffer is used again
}

// frameHead is the size of what stands before a frame's head: number and length.
const frameHead = 8

var errFrame = errors.New("worker: malformed frame")

// decodeFrame reads a frame. The body is not copied.
func decodeFrame(p []byte) (frame, error) {
	if len(p) < frameHead {
		return frame{}, errFrame
	}
	n := binary.LittleEndian.Uint32(p[4:])
	rest := p[frameHead:]
	if uint64(n) > uint64(len(rest)) {
		return frame{}, errFrame
	}
	if n > 0 && rest[n-1] != 0 {
		return frame{}, errFrame
	}
	return frame{
		number: binary.LittleEndian.Uint32(p),
		head:   string(rest[:n]),
		body:   rest[n:],
	}, nil
}

// appendFrame writes what decodeFrame reads. The fields must hold no NUL:
// see appendField.
func appendFrame(p []byte, number uint32, fields []string, body []byte) []byte {
	p = binary.LittleEndian.AppendUint32(p, number)
	at := len(p)
	p = append(p, 0, 0, 0, 0)
	for _, f := range fields {
		p = appendField(p, f)
	}
	binary.LittleEndian.PutUint32(p[at:], uint32(len(p)-at-4))
	return append(p, body...)
}

// appendField writes one field of a head. What could end the field early or
// split a header line in two (NUL, CR, LF) becomes a space, as in net/http.
func appendField(p []byte, f string) []byte {
	if strings.ContainsAny(f, "\x00\r\n") {
		f = fieldCleaner.Replace(f)
	}
	p = append(p, f...)
	return append(p, 0)
}

var fieldCleaner = strings.NewReplacer("\x00", " ", "\r", " ", "\n", " ")

// cutField takes the first field off a head; ok is false when none is left.
func cutField(head string) (field, rest string, ok bool) {
	return strings.Cut(head, "\x00")
}
