package broker

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"time"

	"coze-token/coze"
)

const (
	// maxMinTTL, or a third of the duration if that is less, is the life that a token has left
	// unless MinTTL says otherwise. It is enough for the next turns of a conversation, and two
	// thirds of the token's life are still used.
	maxMinTTL = 300 * time.Second
	// maxYoung bounds how long a token counts as young. No token is exchanged more often than that,
	// so MinTTL and Stale, which anybody may ask for, stay cheap. Coze's own clients ask again
	// within a second or two when they are refused.
	maxYoung = 10 * time.Second
	// tolerated is how wrong a clock may be. A [coze.Clock] corrects larger differences.
	tolerated = 2 * time.Second
)

// A held token is one as it is remembered.
type held struct {
	access  string
	kind    string // coze.Token.Type
	expiry  int64
	issued  int64 // when this broker, or the one that shared it, exchanged it
	refresh int64 // from when on the next hit starts an exchange in the background
}

func (h held) token() coze.Token {
	return coze.Token{AccessToken: h.access, Expiry: time.Unix(0, h.expiry), Type: h.kind}
}

// Terms are what a token must fulfil for one caller, in nanoseconds.
type terms struct {
	life  int64  // what a token is asked for
	base  int64  // what any token handed out must have left
	floor int64  // what this one must have left: base, or more if the caller asked for more
	young int64  // a token of a lower age is not worth replacing
	stale string // a token that the caller says is dead
}

func (b *Broker) terms(k key, o GetOptions) terms {
	life := k.duration()
	young := min(int64(maxYoung), life/10)
	base := int64(b.o.MinTTL)
	if base <= 0 {
		base = min(int64(maxMinTTL), life/3)
	}
	base = min(base, life-young) // more, and a token would be too short when it is no longer young
	return terms{life: life, base: base, floor: max(base, int64(o.MinTTL)), young: young, stale: o.Stale}
}

// wait bounds how long the caller waits.
func (o GetOptions) wait(ctx context.Context) (context.Context, context.CancelFunc) {
	if o.Wait <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, o.Wait)
}

// end is when a token dies. If its expiry gives it more life than it was asked for, a clock is
// wrong.
func (t terms) end(h held) int64 { return min(h.expiry, h.issued+t.life+int64(tolerated)) }

// useful is until when a token can be handed out to callers who ask for no more than base.
func (t terms) useful(h held) int64 { return t.end(h) - t.base }

// meet reports whether the token can be handed out now.
func (t terms) meet(h held, now int64) bool {
	left, age := t.end(h)-now, now-h.issued
	switch {
	case h.access == "" || left <= 0:
		return false
	case age < t.young && age > -t.young: // a clock that was set back makes no token young for hours
		return true
	}
	return left >= t.floor && (t.stale == "" || t.stale != h.access)
}

// refreshAt is when a token shall be exchanged anew in the background: after 60 to 90 percent of
// the time in which it can be handed out. It is random so that tokens that were exchanged together,
// and replicas, do not stay together.
func (t terms) refreshAt(h held) int64 {
	usable := max(0, t.useful(h)-h.issued)
	return h.issued + max(t.young, usable/10*6+random(usable/10*3))
}

// random is a random number from 0 to n-1. It does not use math/rand, which starts from the same
// seed everywhere on Workers.
func random(n int64) int64 {
	if n <= 0 {
		return 0
	}
	var b [8]byte
	rand.Read(b[:])
	return int64(binary.LittleEndian.Uint64(b[:]) % uint64(n))
}
