package redis

import (
	"context"

	"coze-token/limit"
)

// Counter is the store as a [limit.Counter]. Keys, which hold addresses and sessions, are hashed.
func (s *Store) Counter() limit.Counter { return counter{s} }

type counter struct{ store *Store }

func (c counter) Allow(ctx context.Context, key string, rate limit.Rate) (limit.Decision, error) {
	ok, remaining, retryAfter, err := c.store.Allow(ctx, limit.HashKey(key), rate.Requests, rate.Per)
	return limit.Decision{OK: ok, Remaining: remaining, RetryAfter: retryAfter}, err
}
