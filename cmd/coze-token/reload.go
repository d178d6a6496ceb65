package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"coze-token/config"
	"coze-token/service"
)

// pollInterval is how often files are looked at for changes. Kubernetes and secret managers replace files without a signal.
var pollInterval = 10 * time.Second

// hangups catches SIGHUP until it is stopped. It begins before anybody can know that there is a server to send it to, since
// a SIGHUP that is not caught ends the process.
func hangups() (hangup <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// reload puts new settings into force when SIGHUP comes or a file that they were read from changes: a private key above all.
// What is wrong is said, and the old settings stay.
func (p *process) reload(ctx context.Context, hangup <-chan os.Signal, v *service.Service, from *source, log *slog.Logger, reopen func() error) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if err := reopen(); err != nil {
				log.Error("the audit file could not be opened again; records go on to the old one", "error", err.Error())
			}
		case <-tick.C:
			if !from.changed() {
				continue
			}
		}
		next := &source{file: from.file}
		settings, warnings, err := p.parse(next, certificateFaults)
		for _, w := range warnings {
			log.Warn("settings: " + w.String())
		}
		if err == nil {
			err = v.Use(settings)
		}
		from.read = next.read // not read again before they change again
		if err != nil {
			log.Error("the settings were changed and are wrong; the old ones stay in force", "error", err.Error())
			continue
		}
		log.Info("the settings were read again", "keys", keysOf(settings))
	}
}

// keysOf names the keys in use, to compare them with what was meant.
func keysOf(s *config.Settings) map[string][]string {
	keys := map[string][]string{}
	for name, a := range s.All() {
		for _, key := range a.App.Keys {
			keys["/"+name] = append(keys["/"+name], key.String())
		}
	}
	return keys
}
