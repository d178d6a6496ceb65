// Package service puts the house together: from settings and what a host provides, it builds the [http.Handler] that
// the host serves.
package service

import (
	"crypto"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"coze-token/broker"
	"coze-token/config"
	"coze-token/coze"
	"coze-token/gate"
)

// A Platform is what a host provides.
type Platform struct {
	// Transport sends requests to Coze. It is called directly: no redirect is followed, and no http.Client is linked.
	Transport http.RoundTripper
	// Signer wraps an RSA private key where the host signs better than Go does. Optional: the key signs by itself.
	Signer func(crypto.Signer) crypto.Signer
	// Go starts a goroutine that outlives the request which began it. Optional: the go statement.
	Go func(func())
	// Log takes the records.
	Log *slog.Logger
	// Remedy ends what callers are told while settings are wrong: how settings are changed on this host. Optional.
	Remedy string
}

// New builds the service.
func New(s *config.Settings, p Platform) http.Handler {
	clock := &broker.Clock{Log: p.Log}
	client := &coze.Client{Transport: clock.Watch(p.Transport), Now: clock.Now}
	tokens := broker.New(client, broker.Options{
		Size:    s.CacheSize,
		MinTTL:  s.MinTTL,
		Budget:  s.MintBudget,
		Off:     s.CacheOff,
		Timeout: s.Timeout + flightMargin,
		Now:     clock.Now,
		Go:      p.Go,
		Log:     p.Log,
	})
	return gate.New(gate.Options{
		Source:  tokens,
		Grant:   Grant(s, p),
		Timeout: s.Timeout,
		Now:     clock.Now,
		Log:     p.Log,
	})
}

// flightMargin is how much longer than its first caller an exchange may go on, for those who joined it later.
const flightMargin = 5 * time.Second

// Client asks Coze and remembers nothing.
func Client(p Platform) coze.Source { return &coze.Client{Transport: p.Transport} }

// Grant is what the service asks for on behalf of a caller that names no session.
func Grant(s *config.Settings, p Platform) coze.Grant {
	app := *s.App
	if p.Signer != nil {
		app.Keys = slices.Clone(app.Keys)
		for i := range app.Keys {
			app.Keys[i].Signer = p.Signer(app.Keys[i].Signer)
		}
	}
	return coze.Grant{App: &app, Session: s.DefaultSession, Duration: s.Duration}
}

// Misconfigured builds what is served in place of the service while its settings are wrong, on hosts that cannot
// refuse to start. Callers are told which variables are at fault; what is wrong with each goes to the log, with each
// request, until it is mended.
func Misconfigured(faults config.Faults, p Platform) http.Handler {
	problem := "settings are missing or wrong: " + strings.Join(faults.Names(), ", ")
	return gate.New(gate.Options{
		Misconfigured: &gate.Misconfigured{Problem: problem, Remedy: p.Remedy, Detail: faults.Error()},
		Log:           p.Log,
	})
}
