package config

import (
	"log/slog"
	"time"

	"coze-token/coze"
)

// Settings are what a service is built from. [Parse] makes them; all of them are set and within their bounds.
type Settings struct {
	// App is the OAuth app whose tokens are handed out.
	App *coze.App
	// Region is the name of the app's region, for people to read: "cn", "com", or "custom" when the endpoint or the
	// audience is neither region's.
	Region string
	// Duration is how long a token lives, in whole seconds. TOKEN_DURATION.
	Duration time.Duration
	// DefaultSession is the session of callers who name none. Empty: no session is sent for them. DEFAULT_SESSION.
	DefaultSession string
	// Timeout is how long a caller waits for Coze at most, all attempts and pauses included. UPSTREAM_TIMEOUT.
	Timeout time.Duration

	// CacheOff makes one exchange for each request. CACHE.
	CacheOff bool
	// CacheSize is how many grants are remembered at most. CACHE_SIZE.
	CacheSize int
	// MinTTL is the life that a token handed out still has. Zero: the broker's default. MIN_TTL.
	MinTTL time.Duration
	// MintBudget is how many exchanges are made a minute. Negative: no limit. MINT_BUDGET.
	MintBudget int

	// LogLevel is the least level that is logged. LOG_LEVEL.
	LogLevel slog.Level
	// LogFormat is "auto" (text on a terminal, JSON otherwise), "text" or "json". Native server only. LOG_FORMAT.
	LogFormat string

	// Listen is the address of the native server's listener as net.Listen takes it: host:port, where an empty host means
	// all interfaces and port 0 any free one. Empty on a host without a listener. LISTEN, PORT.
	Listen string
	// MaxConnections is how many connections are open at once at most. Native server only. MAX_CONNECTIONS.
	MaxConnections int
	// TLSCertFile and TLSKeyFile are PEM files, both or neither. Native server only. TLS_CERT_FILE, TLS_KEY_FILE.
	TLSCertFile, TLSKeyFile string
}

// Options say what the host can do.
type Options struct {
	// ReadFile reads a file that a setting names. Optional: without it this host has no files.
	ReadFile func(name string) ([]byte, error)
	// Edge says that the host has neither a listener nor files, as on Cloudflare Workers: settings that only a native
	// server can heed are faults that say so.
	Edge bool
}
