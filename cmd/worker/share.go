//go:build wasip1

package main

import (
	"context"
	"strings"

	cozetoken "coze-token"
	"coze-token/internal/ratelimit"
	"coze-token/worker"
)

// share lets the instances of the Worker share their tokens and counts.
func share(s cozetoken.WorkerSettings, o *cozetoken.Options) {
	kv, named := strings.CutPrefix(s.SharedStore, "kv:")
	switch {
	case named:
		o.Store = worker.KV(kv)
	case s.SharedStore == "cache":
		o.Store = worker.Cache{Space: "coze-token"}
	}
	if s.RateLimitBinding != "" {
		o.Counter = func(kind string) ratelimit.Counter {
			if kind != "address" { // the binding has one limit, which is meant for addresses
				return nil
			}
			return counter(s.RateLimitBinding)
		}
	}
}

// counter is a rate-limit binding as a [ratelimit.Counter]. It answers only yes or no.
type counter worker.RateLimit

func (c counter) Allow(ctx context.Context, key string, _ ratelimit.Rate) (ratelimit.Decision, error) {
	ok, err := worker.RateLimit(c).Allow(ctx, key)
	return ratelimit.Decision{OK: ok, Remaining: ratelimit.Unknown}, err
}
