package redis

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"coze-token/internal/ratelimit"
)

// allow is GCRA, as [ratelimit] describes it, in microseconds of the server's clock: replicas need
// not agree on the time. A theoretical arrival time can be farther ahead than the tolerance if a
// clock was set back or a limit was changed, and then counts as the tolerance. It returns 1 or 0,
// how many more requests could follow, and after a refusal the time until one can.
//
// go-redis/redis_rate is equivalent, but keeps fractions of a second and calls a deprecated
// function.
var allow = redis.NewScript(`
local interval, tolerance = tonumber(ARGV[1]), tonumber(ARGV[2])
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local tat = tonumber(redis.call('GET', KEYS[1]) or '') or now
tat = math.min(math.max(tat, now), now + tolerance)
local room = tolerance - (tat + interval - now)
if room < 0 then
	return {0, 0, -room}
end
tat = tat + interval
redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000))
return {1, math.floor(room / interval), 0}
`)

// Allow is [ratelimit.Counter]'s. It counts exactly, in common with all replicas.
func (s *Store) Allow(ctx context.Context, key string, rate ratelimit.Rate) (ratelimit.Decision, error) {
	interval := max(1, rate.Per.Microseconds()/int64(rate.Requests))
	got, err := allow.Run(ctx, s.client, []string{limitPrefix + key}, interval, interval*int64(rate.Requests)).Int64Slice()
	if err == nil && len(got) != 3 {
		err = errReply
	}
	if err != nil {
		return ratelimit.Decision{}, failure(ctx, err)
	}
	wait := time.Duration(got[2]) * time.Microsecond
	return ratelimit.Decision{OK: got[0] == 1, Remaining: int(got[1]), RetryAfter: wait}, nil
}
