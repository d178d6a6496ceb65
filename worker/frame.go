package worker

import (
	"encoding/binary"
	"errors"
	"net/http"
	"strings"
)

// A frame is the one shape in which anything with a head and a body crosses the bridge. ABI.md says
// what each part means in each place. The head is text whose fields each end in a NUL byte, because
// no method, URL or header may contain one. So JavaScript encodes a whole head with one encodeInto,
// and Go cuts all fields out of one string without copying them.
type frame struct {
	number uint32
	head   string
	body   []byte // aliases the decoded buffer: copy it before the buffer is used again
}

// frameHead is the size of what stands before a frame's head: its number and the head's length.
const frameHead = 8

var errFrame = errors.New("worker: malformed frame")

// decodeFrame reads a frame. The body is not copied.
func decodeFrame(p []byte) (frame, error) {
	if len(p) < frameHead {
		return frame{}, errFrame
	}
	n, rest := binary.LittleEndian.Uint32(p[4:]), p[frameHead:]
	if uint64(n) > uint64(len(rest)) || n > 0 && rest[n-1] != 0 {
		return frame{}, errFrame
	}
	return frame{binary.LittleEndian.Uint32(p), string(rest[:n]), rest[n:]}, nil
}

// appendFrame writes what decodeFrame reads. A space replaces each byte of a field that could end
// the field early or split a header line in two (NUL, CR, LF), as in net/http.
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

// appendField writes one field of a head.
func appendField(p []byte, text string) []byte {
	if !oneLine(text) {
		text = fieldCleaner.Replace(text)
	}
	return append(append(p, text...), 0)
}

var fieldCleaner = strings.NewReplacer("\x00", " ", "\r", " ", "\n", " ")

// oneLine reports whether a text crosses the bridge unchanged.
func oneLine(text string) bool {
	for i := range len(text) {
		if c := text[i]; c <= '\r' && (c == 0 || c == '\r' || c == '\n') {
			return false
		}
	}
	return true
}

// decodeHeader reads names and values.
func decodeHeader(head string) (http.Header, error) {
	header := make(http.Header, 8)
	values := make([]string, 0, strings.Count(head, "\x00")/2) // all of them, in one piece
	for head != "" {
		name, rest, _ := strings.Cut(head, "\x00")
		value, rest, ok := strings.Cut(rest, "\x00")
		if !ok {
			return nil, errFrame
		}
		name, head = http.CanonicalHeaderKey(name), rest
		if before := header[name]; before != nil {
			header[name] = append(before, value)
			continue
		}
		values = append(values, value)
		header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	return header, nil
}

// validName reports whether a header's name is a token (RFC 9110, section 5.6.2). JavaScript would
// throw on any other name, and the message would be lost.
func validName(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter, digit := c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9'
		if c != '-' && !letter && !digit && strings.IndexByte("!#$%&'*+.^_`|~", c) < 0 {
			return false
		}
	}
	return name != ""
}

// The kinds of message that Go puts in the outbox. Kinds below kindBody are the bridge's own. The
// others are effects, which JavaScript performs and then resolves. A new effect is a constant here,
// a function that calls bridge.perform, and one entry in the table of effects.mjs.
const (
	kindAnswer uint32 = 1 // a request's answer; id is the request
	kindAbort  uint32 = 2 // no goroutine waits for effect id any longer

	kindBody      uint32 = 16 // read the owner's request body
	kindFetch     uint32 = 17 // send an HTTP request
	kindImportKey uint32 = 18 // make a non-extractable signing key
	kindSign      uint32 = 19 // sign with an imported key
	kindCacheGet  uint32 = 20 // read from the data centre's cache
	kindCachePut  uint32 = 21 // write to it
	kindKVGet     uint32 = 22 // read from a KV namespace
	kindKVPut     uint32 = 23 // write to it
	kindLimit     uint32 = 24 // count against a rate limit
	kindVerify    uint32 = 25 // verify a signature with a public key
)

// messageHead is the size of what stands before a message's payload: kind, id, owner, length.
const messageHead = 16

// An outbox holds the messages that JavaScript reads when an export returns. Its memory is kept
// from call to call.
type outbox struct {
	buf []byte
}

// keepOutbox is how much memory is kept, in bytes, so that one large answer does not stay for ever.
const keepOutbox = 256 << 10

// put writes a message, whose payload write appends. The padding to four bytes lets JavaScript read
// every message's head through a Uint32Array.
func (o *outbox) put(kind, id, owner uint32, write func([]byte) []byte) {
	at := len(o.buf)
	for _, word := range [...]uint32{kind, id, owner, 0} {
		o.buf = binary.LittleEndian.AppendUint32(o.buf, word)
	}
	o.buf = write(o.buf)
	binary.LittleEndian.PutUint32(o.buf[at+12:], uint32(len(o.buf)-at-messageHead))
	for len(o.buf)%4 != 0 {
		o.buf = append(o.buf, 0)
	}
}

// reset empties the outbox after JavaScript has read it, and wipes it: it may have held a private
// key.
func (o *outbox) reset() {
	if cap(o.buf) > keepOutbox {
		o.buf = nil
		return
	}
	clear(o.buf)
	o.buf = o.buf[:0]
}
