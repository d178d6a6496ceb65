//go:build wasip1

package main

import (
	"fmt"
	"time"

	cozetoken "coze-token"
	"coze-token/internal/config"
	"coze-token/internal/gate"
	"coze-token/worker"
)

// rehearsal is a service of its own, asked while the Worker starts: once for a token that it has to exchange, once for one
// that it remembers. It has the settings of the real one, but whoever asks is let in, and it shares nothing.
func rehearsal(s config.Settings, p cozetoken.Platform) worker.Rehearsal {
	app := s.AppSettings
	if app.App == nil {
		for _, app = range s.Apps {
			break
		}
	}
	app.Keys, app.Logins, app.VisitorSecrets, app.Open = nil, nil, nil, true
	s.AppSettings, s.Apps = app, nil
	p.LimitSize = 1
	v, err := cozetoken.New(&s, p)
	if err != nil {
		return worker.Rehearsal{}
	}
	return worker.Rehearsal{
		Handler: v,
		Request: []string{"POST", "https://localhost/", "cf-connecting-ip", "192.0.2.1", gate.SessionHeader, "rehearsal"},
		Times:   2,
		Fetched: fmt.Appendf(nil, `{"access_token":"rehearsal","token_type":"Bearer","expires_in":%d}`, time.Now().Add(app.Duration).Unix()),
	}
}
