package worker

import (
	"context"
	"fmt"
)

// A RateLimit is the rate-limit binding of this name. Its limit and its period, 10 or 60 seconds, stand in wrangler.jsonc,
// under ratelimits; Go neither sees nor sets them.
//
// The platform counts for each of its locations apart, and approximately: somebody who reaches several has the limit in each. It costs
// nothing, and no round trip that leaves the machine.
type RateLimit string

// Allow counts one event under a key and tells whether it is within the limit. The platform tells neither how many are left nor for how long.
// A Worker without the binding gets [ErrNotBound]; the caller then counts by itself.
//
// The key should be hashed if it tells who somebody is.
func (r RateLimit) Allow(ctx context.Context, key string) (bool, error) {
	if !plain(string(r)) || !plain(key) {
		return false, errName
	}
	f, err := ask(ctx, kindLimit, 0, []string{string(r), key}, nil)
	if err != nil {
		return false, fmt.Errorf("worker: rate limit %s: %w", string(r), err)
	}
	return f.number == replyYes, nil
}
