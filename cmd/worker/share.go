//go:build wasip1

package main

import (
	"context"
	"strings"

	"coze-token/config"
	"coze-token/host/worker"
	"coze-token/limit"
	"coze-token/service"
)

// share lets the instances of the Worker know of one another's tokens and counts.
func share(s *config.Settings, p *service.Platform) {
	kv, named := strings.CutPrefix(s.SharedStore, "kv:")
	switch {
	case named:
		p.Store = worker.KV(kv)
	case s.SharedStore == "cache":
		p.Store = worker.Cache{Space: "coze-token"}
	}
	if s.RateLimitBinding != "" {
		p.Counter = func(kind string) limit.Counter {
			if kind != "address" { // the binding has one limit, which is meant for addresses
				return nil
			}
			return counter(s.RateLimitBinding)
		}
	}
}

// counter is a rate-limit binding as a [limit.Counter]. It says yes or no, and keys are hashed.
type counter worker.RateLimit

func (c counter) Allow(ctx context.Context, key string, _ limit.Rate) (limit.Decision, error) {
	ok, err := worker.RateLimit(c).Allow(ctx, limit.HashKey(key))
	return limit.Decision{OK: ok, Remaining: limit.Unknown}, err
}
