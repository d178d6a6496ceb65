package broker

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"coze-token/coze"
)

// Times inside the package are Unix nanoseconds: half the size of a time.Time, and no pointer for the garbage collector.

// A held token is one as it is remembered.
type held struct {
	token   string
	kind    string // coze.Token.Type
	expiry  int64
	minted  int64 // when it was exchanged, by this broker or the one that shared it
	refresh int64 // from when on the next hit starts an exchange in the background
}

func (h held) coze() coze.Token {
	return coze.Token{AccessToken: h.token, Expiry: time.Unix(0, h.expiry), Type: h.kind}
}

// Terms are what a token must fulfil to be handed out.
type terms struct {
	life  int64  // nanoseconds that a token is asked for
	base  int64  // nanoseconds of life that any token handed out must have left
	floor int64  // what this one must have left: base, or more if the caller asked for more
	young int64  // a token of less than this age is not worth replacing
	stale string // a token that is said to be dead
}

// maxYoung bounds how long a token counts as young. It is what makes min_ttl and stale tokens, which anyone may ask for, cheap: a
// grant is not exchanged more often than this. Coze's own clients ask again within a second or two when they are refused.
const maxYoung = 10 * time.Second

// terms are those of all callers of tokens of a duration.
func (b *Broker) terms(seconds int32) terms {
	life := int64(seconds) * int64(time.Second)
	young := min(int64(maxYoung), life/10)
	floor := int64(b.minTTL)
	if floor <= 0 {
		floor = min(int64(maxMinTTL), life/3)
	}
	// With a higher floor a fresh token would be short as soon as it is no longer young.
	floor = min(floor, life-young)
	return terms{life: life, base: floor, floor: floor, young: young}
}

// end is when a token is of no more use. It was given no longer life than it was asked for: if its expiry says otherwise, the clock is wrong.
func (t terms) end(h held) int64 { return min(h.expiry, h.minted+t.life+int64(tolerated)) }

// meet says whether the token can be handed out at now under the terms.
func (t terms) meet(h held, now int64) bool {
	left, age := t.end(h)-now, now-h.minted
	switch {
	case h.token == "" || left <= 0:
		return false
	case age < t.young && age > -t.young: // a clock that was set back makes no token young for hours
		return true
	default:
		return left >= t.floor && (t.stale == "" || t.stale != h.token)
	}
}

// refreshAt is when a token is to be exchanged anew in the background: when 60 to 90 percent of the time in which it
// can be handed out is over. The chance in it keeps grants that began together, and replicas, from going together.
func (t terms) refreshAt(h held) int64 {
	usable := max(0, t.end(h)-h.minted-t.base)
	return h.minted + max(t.young, usable/10*6+spread(usable/10*3))
}

// spread is a random number from 0 to n-1. It does not use math/rand, which on Workers starts from the same seed everywhere.
func spread(n int64) int64 {
	if n <= 0 {
		return 0
	}
	var b [8]byte
	rand.Read(b[:])
	return int64(binary.LittleEndian.Uint64(b[:]) % uint64(n))
}
