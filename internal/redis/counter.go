package redis

import (
	"context"

	"coze-token/internal/ratelimit"
)

// Counter is the store as a [ratelimit.Counter]. Keys, which hold addresses and sessions, are hashed.
func (s *Store) Counter() ratelimit.Counter { return counter{s} }

type counter struct{ store *Store }

func (c counter) Allow(ctx context.Context, key string, rate ratelimit.Rate) (ratelimit.Decision, error) {
	ok, remaining, retryAfter, err := c.store.Allow(ctx, ratelimit.HashKey(key), rate.Requests, rate.Per)
	return ratelimit.Decision{OK: ok, Remaining: remaining, RetryAfter: retryAfter}, err
}
