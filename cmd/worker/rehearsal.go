//go:build wasip1

package main

import (
	"fmt"
	"time"

	cozetoken "coze-token"
	"coze-token/internal/gate"
	"coze-token/worker"
)

// rehearsal is a service that is asked while the Worker starts: once for a token that it has to exchange, once for one
// that it remembers. It shares nothing.
func rehearsal(s *cozetoken.Settings, o cozetoken.Options) worker.Rehearsal {
	o.LimitSize, o.Store, o.Counter = 1, nil, nil
	return worker.Rehearsal{
		Handler: cozetoken.Build(s.WarmUp(), o),
		Request: []string{"POST", "https://localhost/", "cf-connecting-ip", "192.0.2.1", gate.SessionHeader, "rehearsal"},
		Times:   2,
		Fetched: fmt.Appendf(nil, `{"access_token":"rehearsal","token_type":"Bearer","expires_in":%d}`, time.Now().Add(24*time.Hour).Unix()),
	}
}
