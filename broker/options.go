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
	DefaultMaxExchanges = 256
	DefaultTimeout      = 15 * time.Second
	DefaultStoreTimeout = 150 * time.Millisecond
)

// Options are a broker's settings. The zero value is good.
type Options struct {
	// Size is how many entries are remembered, tokens and failures together. An entry takes about
	// 260 bytes besides its token and session. Optional: DefaultSize.
	Size int
	// MinTTL is the life that every token handed out still has, up to nine tenths of its duration.
	// Optional: the smaller of 300 s and a third of the duration.
	MinTTL time.Duration
	// Budget is how many exchanges are made a minute, for all requests together. A minute's worth
	// may be spent at once, so the worst minute sees twice as many. Negative: no limit. Optional:
	// DefaultBudget.
	Budget int
	// MaxExchanges is how many exchanges are under way at once, for all requests together. A further
	// one waits for a second at most. Optional: DefaultMaxExchanges.
	MaxExchanges int
	// Off makes one exchange for each call. Nothing is remembered, joined or shared, failures
	// neither. The budget still counts.
	Off bool
	// Timeout ends an exchange, whoever waits for it. Optional: DefaultTimeout.
	Timeout time.Duration

	// Store is shared with other brokers. Optional.
	Store Store
	// Secret is what an app's values are sealed under, the same in each broker that shares the
	// store: [KeySecret] of its private key, or 16 bytes or more that only the brokers know. It is
	// called once for each [coze.App]. If it returns nil, the app's tokens are not shared. Required
	// with Store.
	Secret func(*coze.App) []byte
	// StoreTimeout is how long a caller waits for a store that does not answer. Optional:
	// DefaultStoreTimeout.
	StoreTimeout time.Duration

	// Now is the clock. Optional: time.Now. See [coze.Clock].
	Now func() time.Time
	// Go starts a goroutine that ends soon after an exchange. A host that stops when no request is
	// open keeps itself awake until the function returns. Optional: the go statement.
	Go func(func())
	// Log receives what an operator should see. Optional.
	Log *slog.Logger
	// Hint says what to do about a failure, for the log. Optional.
	Hint func(*coze.Error) string
}

// GetOptions are what a caller asks for beyond the request. The zero value asks for nothing.
type GetOptions struct {
	// MinTTL is the life that the token must have left, if that is more than the broker's own. More
	// than the request's duration is [ErrMinTTL]. A token that was exchanged less than ten seconds
	// ago, or a tenth of its duration if that is less, is handed out whatever it has left: a newer
	// one would hardly be better.
	MinTTL time.Duration
	// Stale is a token that Coze told the caller is dead. If it is the remembered one, and not that
	// young, a new one is exchanged. Other callers keep the old one until then: what one caller
	// says, or many at once, must not take a token from all.
	Stale string
	// Client says who asks, so that one client's failures do not stop the exchanges of others.
	// Optional: all callers without it are one client.
	Client string
	// Anonymous says that the caller has proved nothing. The last half of the budget is kept for
	// others then. Optional.
	Anonymous bool
	// Admit is called before an exchange for this call begins, and not for a remembered token. If it
	// reports false, none is made, and the error is [ErrNotAdmitted]. It must not wait. Optional.
	Admit func() bool
	// Wait is how long the caller waits at most. A remembered token costs nothing with it, which a
	// deadline in the context would. Optional: as long as the context lasts.
	Wait time.Duration
}

// A CacheStatus says where a call's answer came from, an error too.
type CacheStatus string

// The values, after RFC 9211.
const (
	Miss      CacheStatus = "miss"      // exchanged for this call
	Collapsed CacheStatus = "collapsed" // exchanged for another call that asked first
	Hit       CacheStatus = "hit"       // remembered
	Shared    CacheStatus = "shared"    // from the shared store
)

// A Result is a token and where it came from.
type Result struct {
	Token       coze.Token
	CacheStatus CacheStatus
}

// Causes that a [coze.Error] of this package wraps, for errors.Is.
var (
	// ErrBudget: the budget of exchanges is spent. Its kind is coze.Busy, and RetryAfter is when
	// there is one again.
	ErrBudget = errors.New("this service's own budget of exchanges (MINT_BUDGET) is spent")
	// ErrExchanges: as many exchanges are under way as there may be. Its kind is coze.Busy.
	ErrExchanges = errors.New("too many exchanges are under way at once (MAX_EXCHANGES)")
	// ErrNotAdmitted: [GetOptions.Admit] did not allow an exchange. Its kind is coze.Busy.
	ErrNotAdmitted = errors.New("the caller may not start an exchange now")
	// ErrMinTTL: no token of this duration can have the life that was asked for. Its kind is
	// coze.InvalidRequest.
	ErrMinTTL = errors.New("a token cannot have more life left than its duration")
)
