package worker

import "encoding/binary"

// The kinds of message that Go puts in the outbox. Kinds below kindBody are
// the bridge's own; the others are effects, which JavaScript performs and
// then resolves. A new effect is a constant here, a function that calls
// bridge.perform, and one entry in the table of effects.mjs.
const (
	kindAnswer uint32 = 1 // a request's answer; id is the request
	kindAbort  uint32 = 2 // nobody waits for effect id any longer

	kindBody      uint32 = 16 // read the owner's request body
	kindFetch     uint32 = 17 // send an HTTP request
	kindImportKey uint32 = 18 // make a non-extractable signing key
	kindSign      uint32 = 19 // sign with an imported key
	kindCacheGet  uint32 = 20 // look into the data centre's cache
	kindCachePut  uint32 = 21 // put into it
	kindKVGet     uint32 = 22 // read from a KV namespace
	kindKVPut     uint32 = 23 // write to it
	kindLimit     uint32 = 24 // count against a rate limit
)

// messageHead is the size of what stands before a message's payload:
// kind, id, owner, length.
const messageHead = 16

// An outbox holds the messages that JavaScript takes when an export returns.
// Its memory is kept from call to call; keepOutbox bounds what is kept, so
// that one large answer does not stay for the isolate's life.
type outbox struct {
	buf []byte
}

const keepOutbox = 256 << 10 // bytes

// begin writes a message's head; the caller appends the payload to buf and
// calls end with what begin returned.
func (o *outbox) begin(kind, id, owner uint32) (at int) {
	at = len(o.buf)
	o.buf = binary.LittleEndian.AppendUint32(o.buf, kind)
	o.buf = binary.LittleEndian.AppendUint32(o.buf, id)
	o.buf = binary.LittleEndian.AppendUint32(o.buf, owner)
	o.buf = append(o.buf, 0, 0, 0, 0)
	return at
}

// end fills in the payload's length and pads to four bytes, so that
// JavaScript may read every head through an Int32Array.
func (o *outbox) end(at int) {
	binary.LittleEndian.PutUint32(o.buf[at+12:], uint32(len(o.buf)-at-messageHead))
	for len(o.buf)%4 != 0 {
		o.buf = append(o.buf, 0)
	}
}

// put writes a whole message.
func (o *outbox) put(kind, id, owner uint32, payload []byte) {
	at := o.begin(kind, id, owner)
	o.buf = append(o.buf, payload...)
	o.end(at)
}

// reset empties the outbox after JavaScript has read it. What was in it is
// wiped: an import carries a private key.
func (o *outbox) reset() {
	if cap(o.buf) > keepOutbox {
		o.buf = nil
		return
	}
	clear(o.buf)
	o.buf = o.buf[:0]
}
