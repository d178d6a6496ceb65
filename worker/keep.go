package worker

import (
	"context"
	"errors"
	"strings"
	"time"
)

// What an effect on a binding says in its result's number.
const (
	replyNo      = 0 // nothing there; not allowed
	replyYes     = 1 // here it is; allowed; done
	replyUnbound = 2 // the Worker has no such binding
)

// ErrNotBound is what [KV] and [RateLimit] return when the Worker has no binding of their name. Bindings are
// declared in wrangler.jsonc; Go cannot see them before it uses them.
var ErrNotBound = errors.New("worker: no binding of this name")

// maxValue is the most that is carried of a kept value, in bytes.
const maxValue = 64 << 10

// ask performs an effect whose payload and result are frames.
func ask(ctx context.Context, kind, number uint32, fields []string, body []byte) (frame, error) {
	p, err := theBridge().perform(ctx, kind, appendFrame(nil, number, fields, body))
	if err != nil {
		return frame{}, err
	}
	f, err := decodeFrame(p)
	if err == nil && f.number == replyUnbound {
		err = ErrNotBound
	}
	return f, err
}

// value is a kept value, nil if there is none. The frame's payload is nobody else's.
func (f frame) value() []byte {
	if f.number != replyYes || len(f.body) == 0 {
		return nil
	}
	return f.body
}

// wholeSeconds is a time in the unit that caches count in, never more than it is.
func wholeSeconds(d time.Duration) uint32 {
	return uint32(min(max(d/time.Second, 0), 365*24*time.Hour/time.Second))
}

// plain says whether a text crosses the bridge as it is: a field's end and line breaks do not, and two names must not
// become one.
func plain(text string) bool { return text != "" && !strings.ContainsAny(text, "\x00\r\n") }
