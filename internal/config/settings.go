package config

import (
	"iter"
	"log/slog"
	"maps"
	"slices"
	"time"

	"coze-token/coze"
	"coze-token/internal/auth"
	"coze-token/internal/clientip"
	"coze-token/internal/cors"
	"coze-token/internal/ratelimit"
)

// Settings are what a service is built from. [Parse] makes them; all of them are set and within their bounds.
type Settings struct {
	// AppSettings are those of the app that is served at /. Its App is nil when only APPS is set.
	AppSettings
	// Apps are further apps by name, each served at /NAME. APPS.
	Apps map[string]AppSettings

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
	// SharedStore is where the instances of a Worker share tokens: "cache", "kv:NAME" or "off". Workers only. SHARED_STORE.
	SharedStore string
	// RateLimitBinding is the rate-limit binding that counts addresses. Workers only. RATE_LIMIT_BINDING.
	RateLimitBinding string
	// RedisURL is where replicas share tokens and counts. Native server only. REDIS_URL.
	RedisURL Secret

	// AddressRate is how often one address may ask. RATE_LIMIT.
	AddressRate ratelimit.Rate
	// Proxies are those whose word for a client's address is taken. TRUSTED_PROXIES, TRUSTED_PROXY_HEADER.
	Proxies *clientip.Proxies

	// AuditFile is where the records of tokens and refusals go, instead of the log. AUDIT_FILE.
	AuditFile string
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

// AppSettings are what is set for one app.
type AppSettings struct {
	// App is the OAuth app whose tokens are handed out.
	App *coze.App
	// Region is the name of the app's region, for people to read: "cn", "com", or "custom" when the endpoint or the
	// audience is neither region's.
	Region string
	// Duration is how long a token lives, in whole seconds. TOKEN_DURATION.
	Duration time.Duration
	// DefaultSession is the session of callers who name none. Empty: no session is sent for them. DEFAULT_SESSION.
	DefaultSession string
	// SessionRequired refuses callers that have no session. SESSION_REQUIRED.
	SessionRequired bool
	// SessionPrefix goes before every session name that Coze gets to see. SESSION_PREFIX.
	SessionPrefix string
	// SessionSecret makes session names hashes, if it is set. SESSION_HASH, SESSION_SECRET.
	SessionSecret Secret

	// Keys are the API keys that are taken. Nil: none. API_KEYS.
	Keys *auth.Keys
	// Logins are the issuers whose users are taken, checked but without the means to fetch their keys. JWT_ISSUER and what
	// belongs to it, LOGINS, CF_ACCESS_TEAM.
	Logins []auth.LoginOptions
	// VisitorSecrets sign the identities of visitors, the newest first. None: visitors are not taken. VISITOR_SECRET.
	VisitorSecrets []Secret
	// TurnstileSecret is set if new visitors have to pass Turnstile. TURNSTILE_SECRET.
	TurnstileSecret Secret
	// Open lets in callers without a credential. Implied where there is no other way to be let in. OPEN_ACCESS.
	Open bool
	// Origins are the pages that may ask. Nil: Origin is not looked at. ALLOWED_ORIGINS.
	Origins *cors.Set
	// CallerRate, SessionRate and Rate are how often one API key, one session and all callers of the app may ask.
	// RATE_LIMIT_CALLER, RATE_LIMIT_SESSION, RATE_LIMIT_APP.
	CallerRate, SessionRate, Rate ratelimit.Rate
}

// IsOpen says whether anybody gets a token without being somebody, which the operator should know. Where there are visitors,
// nobody does.
func (a AppSettings) IsOpen() bool {
	return a.Open && len(a.VisitorSecrets) == 0 || !a.knowsCallers()
}

// knowsCallers says whether there is any way for a caller to be somebody.
func (a AppSettings) knowsCallers() bool {
	return a.Keys != nil || len(a.Logins) > 0 || len(a.VisitorSecrets) > 0
}

// All are the apps by name: the one at /, whose name is empty, if there is one, and then those of APPS in order.
func (s *Settings) All() iter.Seq2[string, AppSettings] {
	return func(yield func(string, AppSettings) bool) {
		if s.App != nil && !yield("", s.AppSettings) {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(s.Apps)) {
			if !yield(name, s.Apps[name]) {
				return
			}
		}
	}
}

// Options say what the host can do.
type Options struct {
	// File is read where the environment says nothing. Optional.
	File File
	// ReadFile reads a file that a setting names. Optional: without it this host has no files.
	ReadFile func(name string) ([]byte, error)
	// YAML turns the YAML of an APPS_FILE into JSON. Optional: without it, only JSON is read.
	YAML func(text []byte) ([]byte, error)
	// Look is what the host itself finds wrong: with a file that cannot be written, for instance. What is faulty already is the
	// zero value. Its faults are named after settings, and come after all others. Optional.
	Look func(*Settings) Faults
	// Partial says that env may lack what is required, because what was to add it could not be read. It is then not missed.
	Partial bool
	// Edge says that the host has neither a listener nor files, as on Cloudflare Workers: settings that only a native
	// server can heed are faults that say so.
	Edge bool
	// NotText is the text that stands for a variable that the host cannot hand over as one. Such a setting is a fault: one that
	// was passed over could leave open what it was to close. Optional: all variables are text.
	NotText string
}
