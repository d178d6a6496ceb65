package ratelimit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"time"

	"coze-token/internal/guard"
)

// A Counter counts for several processes: in Redis, or with the platform's own means. If it fails,
// each limiter goes by its own count. So it need not be durable and may lose counts. It should let
// no more through than the rate, whichever processes ask, but may be approximate.
//
// It must be safe for concurrent use, and should return when the context ends, after at most 100
// ms. If it does not, its goroutine is left behind. After an error, a timeout or a panic it is not
// called for 3 s.
type Counter interface {
	// Allow counts one request for the key if the rate has room for it, and nothing otherwise.
	//
	// The key is 32 lower-case hexadecimal digits: an HMAC of the limiter's name and its key, so that
	// the counter learns no addresses or sessions. The rate is never off, and a key's rate can
	// change.
	//
	// Of the decision, OK and Remaining are read, and RetryAfter if OK is false. A counter that
	// knows only yes or no returns [Unknown] as Remaining. In place of a missing RetryAfter, the
	// rate's Per is used.
	Allow(ctx context.Context, key string, rate Rate) (Decision, error)
}

func newGuard(o Options) *guard.Guard {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return guard.New(guard.Options{
		Timeout: 100 * time.Millisecond, // a Redis nearby answers in a millisecond or two
		Open:    3 * time.Second,
		Message: "the shared counter of requests does not work; this process counts alone",
		Log:     o.Log,
		Attrs:   []any{slog.String("limit", o.Name)},
	})
}

// askShared asks the shared counter. If it is not ok, the limiter's own count holds.
func (l *Limiter) askShared(ctx context.Context, key string, rate Rate) (d Decision, ok bool) {
	if !l.guard.Ready() {
		return d, false
	}
	mac := hmac.New(sha256.New, l.secret)
	io.WriteString(mac, l.name+":"+key)
	sum := mac.Sum(nil)
	d, err := guard.Call(ctx, l.guard, "allow", func(ctx context.Context) (Decision, error) {
		return l.shared.Allow(ctx, hex.EncodeToString(sum[:16]), rate)
	})
	if err != nil {
		return d, false
	}
	l.guard.Succeeded()
	d.Name, d.Rate = l.name, rate
	d.Remaining = min(max(d.Remaining, Unknown), rate.Requests)
	if d.OK {
		d.RetryAfter = 0
	} else if d.RetryAfter <= 0 || d.RetryAfter > rate.Per {
		d.RetryAfter = rate.Per
	}
	return d, true
}
