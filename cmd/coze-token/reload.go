package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	cozetoken "coze-token"
	"coze-token/internal/native"
)

// pollInterval is how often files are checked for changes. Kubernetes and secret managers replace
// files without a signal.
var pollInterval = 10 * time.Second

// hangups catches SIGHUP until stop is called. It starts before anybody can know of the server,
// because a SIGHUP that is not caught ends the process.
func hangups() (hangup <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// A reloader puts new settings into force on SIGHUP, and when a file changes that they were read
// from: a private key above all. What is wrong is logged, and everything stays as it was.
type reloader struct {
	*process
	hangup      <-chan os.Signal
	from        *source
	service     *cozetoken.Service
	certificate *atomic.Pointer[tls.Certificate]
	reopen      func() error       // of the audit file
	notify      func(state string) // the service manager
	reloaded    func(ok bool)      // the metrics
	log         *slog.Logger
}

// run ends with ctx.
func (r *reloader) run(ctx context.Context) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.hangup:
			if err := r.reopen(); err != nil {
				r.log.Error("the audit file could not be opened again; records go on to the old one", "error", err.Error())
			}
		case <-tick.C:
			if !r.from.changed() {
				continue
			}
		}
		r.notify(native.Reloading)
		err := r.reload()
		r.notify(native.Ready) // by the new settings or the old ones
		r.reloaded(err == nil)
		if err != nil {
			r.log.Error("the settings were changed and are wrong; the old ones stay in force", "error", err.Error())
		}
	}
}

// reload reads everything, and then changes everything or nothing.
func (r *reloader) reload() error {
	next := &source{file: r.from.file}
	settings, warnings, err := r.read(next, certificateFaults)
	for _, w := range warnings {
		r.log.Warn("settings: " + w.Error())
	}
	r.from.read = next.read // what is wrong is not read again before it changes again
	if err != nil {
		return err
	}
	pair, err := native.Certificate(settings.Native.TLSCertFile, settings.Native.TLSKeyFile)
	if err != nil {
		return err
	}
	if err := r.service.Use(settings); err != nil {
		return err
	}
	news := []any{"keys", keysOf(settings)}
	if pair != nil {
		r.certificate.Store(pair)
		news = append(news, "certificate_until", pair.Leaf.NotAfter)
	}
	r.log.Info("the settings were read again", news...)
	warnOpen(r.log, settings)
	return nil
}

// keysOf names the keys in use, to be compared with what was meant.
func keysOf(s *cozetoken.Settings) map[string][]string {
	keys := map[string][]string{}
	for name, app := range s.Apps() {
		for _, key := range app.OAuth.Keys {
			keys["/"+name] = append(keys["/"+name], key.String())
		}
	}
	return keys
}
