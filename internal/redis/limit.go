package redis

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// allow is the generic cell rate algorithm (GCRA): what is kept is one moment, at which everything allowed so far is paid for at the
// even rate. It is a token bucket of as many as the limit, in one number, with no edge between windows at
// which twice the limit gets through. go-redis/redis_rate does the same; it has not changed since 2023, keeps the moment in fractions of a
// second, and calls a function that Redis has declared obsolete.
//
// The clock is the server's, in microseconds: replicas need not agree on the time. A moment farther off than a whole period
// comes of a clock that was set back, or of a limit that was changed, and counts as one period. The name is kept until the moment has come.
//
// It returns whether it is allowed, how many more would be, and if not, in how many microseconds one will be.
var allow = redis.NewScript(`
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local paid = tonumber(redis.call('GET', KEYS[1]) or '') or now
paid = math.min(math.max(paid, now), now + burst)
local room = burst - (paid + interval - now)
if room < 0 then
	return {0, 0, -room}
end
paid = paid + interval
redis.call('SET', KEYS[1], string.format('%.0f', paid), 'PX', math.ceil((paid - now) / 1000))
return {1, math.floor(room / interval), 0}
`)

const (
	// allowTimeout bounds what a limit may add to a request: a server in reach answers in a millisecond or two.
	allowTimeout = 100 * time.Millisecond
	// restFor is how long limits are not asked for after a failure, so that not every request waits for a server that
	// hangs. Then one request tries, while the others still do not.
	restFor = 3 * time.Second
)

// ErrResting is what [Store.Allow] returns at once for three seconds after it failed.
var ErrResting = errors.New("redis: left alone for a moment, as it failed just now")

// Allow counts one event under a key, in common with every replica: limit of them in a period, all at once or
// evenly. It returns whether this one is within the limit, how many more would be now, and if it is not, when one will be.
// An event that is refused is not counted.
//
// The key should be hashed if it tells who somebody is; it shares nothing with the names of values. The limit is from 1 up to one
// a microsecond.
//
// It takes no longer than 100 ms. On an error the caller counts in its own memory, which lets through at most as many times the limit as
// there are replicas.
func (s *Store) Allow(ctx context.Context, key string, limit int, period time.Duration) (
	allowed bool, remaining int, retryAfter time.Duration, err error,
) {
	if limit < 1 || period.Microseconds() < int64(limit) {
		return false, 0, 0, errors.New("redis: a limit is from one a period to one a microsecond")
	}
	if !s.rest.try(time.Now()) {
		return false, 0, 0, ErrResting
	}
	bounded, cancel := context.WithTimeout(ctx, allowTimeout)
	defer cancel()
	interval := period.Microseconds() / int64(limit)
	got, err := allow.Run(bounded, s.client, []string{limitPrefix + key}, interval, interval*int64(limit)).Int64Slice()
	if err == nil && len(got) != 3 {
		err = errReply
	}
	if err != nil {
		if ctx.Err() == nil { // a caller who left is no fault of the server
			s.rest.begin(time.Now())
		}
		return false, 0, 0, failure(bounded, err)
	}
	s.rest.end()
	return got[0] == 1, int(got[1]), time.Duration(got[2]) * time.Microsecond, nil
}

// A rest is the time after a failure. :: Unix nanoseconds until when; 0 if all is well
type rest struct{ until atomic.Int64 }

// try says whether to ask the server. When a rest is over, it says so to one caller, and to another if nothing is
// heard of that one.
func (r *rest) try(now time.Time) bool {
	until := r.until.Load()
	if until == 0 {
		return true
	}
	left := until - now.UnixNano()
	if 0 < left && left <= int64(2*restFor) { // more is a clock that was set back
		return false
	}
	return r.until.CompareAndSwap(until, now.Add(restFor).UnixNano())
}

func (r *rest) begin(now time.Time) { r.until.Store(now.Add(restFor).UnixNano()) }

func (r *rest) end() {
	if r.until.Load() != 0 {
		r.until.Store(0)
	}
}
