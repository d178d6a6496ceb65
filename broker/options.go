package broker

import (
	"errors"
	"log/slog"
	"time"

	"coze-token/coze"
)

// Defaults of [Options].
const (
	DefaultSize         = 100_000
	DefaultBudget       = 6000
	DefaultTimeout      = 15 * time.Second
	DefaultStoreTimeout = 150 * time.Millisecond
	// maxMinTTL and a third of the duration, whichever is less, is what a token has left unless MinTTL says otherwise:
	// enough for a conversation's next few turns, and two thirds of the token's life are still used.
	maxMinTTL = 300 * time.Second
)

// Options are a broker's settings. The zero value is good.
type Options struct {
	// Size is how many grants are remembered, tokens and failures together. One takes about 260 bytes besides its token and
	// session. Optional: DefaultSize.
	Size int
	// MinTTL is the life that every token handed out still has, up to nine tenths of the duration it is asked for
	// with. Optional: the smaller of 300 s and a third of the duration.
	MinTTL time.Duration
	// Budget is how many exchanges are made a minute, all grants together. A minute's worth may be spent at once, so the
	// worst minute sees twice as many. Negative: no limit. Optional: DefaultBudget.
	Budget int
	// Off makes one exchange for each call. Nothing is remembered, joined or shared, failures neither; the budget still counts.
	Off bool
	// Timeout ends an exchange, whoever waits for it. Optional: DefaultTimeout.
	Timeout time.Duration

	// Store is shared with other brokers. Optional.
	Store Store
	// Secret is what an app's values are sealed under, the same in each broker that shares the store: [KeySecret] of its
	// private key, or some other 16 bytes or more that only the brokers know. It is called once for each [coze.App].
	// An app without one (nil) is not shared. Required with Store.
	Secret func(*coze.App) []byte
	// StoreTimeout is what a store that does not answer may cost a caller. Optional: DefaultStoreTimeout.
	StoreTimeout time.Duration

	// Now is the clock; [Clock.Now] is one that Coze's answers correct. Optional: time.Now.
	Now func() time.Time
	// Go starts a goroutine that lives as long as one exchange. A host that stops when no request is open keeps itself awake
	// until the function returns. Optional: the go statement.
	Go func(func())
	// Log takes what an operator should see. Optional: nothing is logged.
	Log *slog.Logger
	// Hint says what a person can do about a failure, for the log. Optional: the hint is empty.
	Hint func(*coze.Error) string
}

// GetOptions is what a caller asks for beyond the grant. The zero value asks for nothing.
type GetOptions struct {
	// MinTTL is the life that the token must have left, if that is more than the broker's own. At most the grant's
	// duration, or the error is [ErrMinTTL]. A token is as good as it gets when it was exchanged less than ten
	// seconds, or a tenth of its duration, ago: such a one is handed out whatever it has left.
	MinTTL time.Duration
	// Stale is a token that Coze told the caller is dead. If it is the remembered one, and older than those ten
	// seconds, a new one is exchanged. Other callers keep the old one until the new one is there: the word of one
	// caller, or of many at once, is not enough to take a token from all.
	Stale string
	// Wait is how long the caller waits at most, if its context does not end first. It costs nothing where the token is remembered,
	// which a deadline in the context would. Optional: as long as the context lasts.
	Wait time.Duration
}

// An CacheStatus says where a call's answer came from, an error too.
type CacheStatus string

// The origins.
const (
	Miss      CacheStatus = "miss"      // exchanged for this call
	Collapsed CacheStatus = "collapsed" // exchanged for another call that asked first
	Hit       CacheStatus = "hit"       // known already
	Shared    CacheStatus = "shared"    // from the shared store
)

// A Result is a token and where it came from.
type Result struct {
	Token       coze.Token
	CacheStatus CacheStatus
}

// Causes that a [coze.Error] of this package wraps, for errors.Is.
var (
	// ErrBudget: the budget of exchanges is spent. Its kind is coze.Busy, and RetryAfter says when there is one again.
	ErrBudget = errors.New("this service's own budget of exchanges (MINT_BUDGET) is spent")
	// ErrMinTTL: no token of this duration can have the life that was asked for. Its kind is coze.InvalidRequest.
	ErrMinTTL = errors.New("a token cannot have more life left than its duration")
)
