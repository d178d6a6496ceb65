// Package service puts the house together: from settings and what a host provides, it builds the [http.Handler] that
// the host serves.
package cozetoken

import (
	"crypto"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"coze-token/broker"
	"coze-token/coze"
	"coze-token/internal/config"
	"coze-token/internal/gate"
	"coze-token/internal/ratelimit"
)

// A Platform is what a host provides.
type Platform struct {
	// Transport sends requests to Coze. It is called directly: no redirect is followed, and no http.Client is linked.
	Transport http.RoundTripper
	// Signer wraps an RSA private key where the host signs better than Go does. Optional: the key signs by itself.
	Signer func(crypto.Signer) crypto.Signer
	// Go starts a goroutine that outlives the request which began it. Optional: the go statement.
	Go func(func())
	// Store is where replicas share tokens. Optional.
	Store broker.Store
	// Counter is where replicas share their counts of requests of a kind, "address" for instance; nil where they do not.
	// Optional.
	Counter func(kind string) ratelimit.Counter
	// LimitSize is how many keys of each kind are counted, 16 bytes each. Optional: ratelimit.DefaultSize.
	LimitSize int
	// Log takes the records.
	Log *slog.Logger
	// Audit takes those of tokens and refusals. Optional: Log.
	Audit *slog.Logger
	// Remedy ends what callers are told while settings are wrong: how settings are changed on this host. Optional.
	Remedy string
}

// A Service is the handler, and what outlives a change of settings: the tokens, the counts, and the keys of logins.
type Service struct {
	platform Platform
	clock    *coze.Clock
	tokens   *broker.Broker
	limits   gate.Limits
	current  atomic.Pointer[http.Handler]

	mu     sync.Mutex // held while settings change
	logins logins     // of the settings in force
}

// OpenAccess is what an operator is told at every start and reload, or with a Worker's first request, while [config.AppSettings.IsOpen] (security check 8).
const OpenAccess = "access is open: whoever reaches this address gets a token, for any X-User-ID or, beside logins, for none; " +
	"set API_KEYS, a login or VISITOR_SECRET, and no OPEN_ACCESS, to close it (docs/access.md), or let only your own backend reach it"

// flightMargin is how much longer than its first caller an exchange may go on, for those who joined it later.
const flightMargin = 5 * time.Second

// maxRetryAfter is what callers wait when Coze asks for a pause. They have little time (Coze's Chat SDK 3 s), and an exchange that
// sleeps keeps what Coze said from the others: the broker, once told, makes no more exchanges of the app's meanwhile.
const maxRetryAfter = time.Second

// New builds the service. The settings are those that package config has found good; an error says that it was mistaken.
func New(s *config.Settings, p Platform) (*Service, error) {
	clock := &coze.Clock{Log: p.Log}
	v := &Service{platform: p, clock: clock}
	client := &coze.Client{Transport: p.Transport, Clock: clock, MaxRetryAfter: maxRetryAfter}
	v.tokens = broker.New(client, broker.Options{
		Size:    s.CacheSize,
		MinTTL:  s.MinTTL,
		Budget:  s.MintBudget,
		Off:     s.CacheOff,
		Timeout: s.Timeout + flightMargin,
		Store:   p.Store,
		Secret:  func(app *coze.App) []byte { return broker.KeySecret(app.Keys[0].Signer) },
		Now:     clock.Now,
		Go:      p.Go,
		Log:     p.Log,
		Hint:    (*coze.Error).Hint,
	})
	limiter := func(kind string) *ratelimit.Limiter {
		o := ratelimit.Options{Name: kind, Size: p.LimitSize, Log: p.Log}
		if p.Counter != nil {
			o.Shared = p.Counter(kind)
		}
		return ratelimit.New(o)
	}
	v.limits = gate.Limits{
		Addresses: limiter("address"),
		Callers:   limiter("caller"),
		Sessions:  limiter("session"),
		Apps:      limiter("app"),
	}
	return v, v.Use(s)
}

// ServeHTTP answers by the settings that were given last.
func (v *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*v.current.Load()).ServeHTTP(w, r)
}

// Use puts new settings into force: keys, apps, callers, origins, limits. Requests under way end by the old ones. What the
// service was built with stays: the size of its memory, its budget, its store. After an error the old settings stay.
func (v *Service) Use(s *config.Settings) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	apps := map[string]gate.App{}
	known := logins{}
	var used []*coze.App
	for name, a := range s.All() {
		built, err := v.app(name, a, known)
		if err != nil {
			return fmt.Errorf("app %q: %w", name, err)
		}
		apps[name] = built
		used = append(used, built.Grant.App)
	}
	limits := v.limits
	limits.AddressRate, limits.Proxies = s.AddressRate, s.Proxies
	handler := gate.New(gate.Options{
		Source:  v.tokens,
		Apps:    apps,
		Limits:  limits,
		Timeout: s.Timeout,
		Now:     v.clock.Now,
		Log:     v.platform.Log,
		Audit:   v.platform.Audit,
	})
	v.tokens.Use(used...)
	v.current.Store(&handler)
	v.logins = known
	return nil
}

// RequestHeaders are all the headers that a service with these settings reads, for hosts that carry no others: those of the gate,
// and those in which proxies put the tokens of logins.
func RequestHeaders(s *config.Settings) []string {
	headers := slices.Clone(gate.RequestHeaders)
	for _, a := range s.All() {
		for _, login := range a.Logins {
			if login.Header != "" {
				headers = append(headers, login.Header)
			}
		}
	}
	return headers
}

// Client asks Coze and remembers nothing.
func Client(p Platform) coze.Source { return &coze.Client{Transport: p.Transport} }

// Misconfigured builds what is served in place of the service while its settings are wrong, on hosts that cannot
// refuse to start. Callers are told which variables are at fault; what is wrong with each goes to the log, with each
// request, until it is mended.
func Misconfigured(faults config.Faults, p Platform) http.Handler {
	return gate.New(gate.Options{
		Misconfigured: &gate.Misconfigured{
			Problem: "settings are missing or wrong: " + strings.Join(faults.Names(), ", "),
			Remedy:  p.Remedy,
			Detail:  faults.Error(),
		},
		Log: p.Log,
	})
}
