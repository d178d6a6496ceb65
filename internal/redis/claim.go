package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// claim is SET NX PX, or SET PX if the owner has the name already, unless the caller's deadline has
// passed. A server that hung carries out what it received meanwhile, and a plain SET would give the
// name to a replica that gave up long ago. The deadline is in microseconds of the server's own
// clock (0: not known). It returns 1, 0, or -1 if it is too late, and the server's time.
var claim = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local deadline = tonumber(ARGV[2])
local got = 0
if deadline > 0 and now > deadline then
	got = -1
elseif redis.call('SET', KEYS[1], ARGV[3], 'NX', 'PX', ARGV[1]) then
	got = 1
elseif redis.call('GET', KEYS[1]) == ARGV[3] then
	redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[1])
	got = 1
end
return {got, now}
`)

// release is DEL, if the owner has the name.
var release = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then
	redis.call('DEL', KEYS[1])
end
return 0
`)

var (
	errLate  = errors.New("redis: the server came to a claim after its time")
	errReply = errors.New("redis: the answer is not what the script returns")
)

// Claim is broker.Claimer's. ttl is rounded down to milliseconds, and at least one.
func (s *Store) Claim(ctx context.Context, name, owner string, ttl time.Duration) (bool, error) {
	latest := int64(0)
	if deadline, ok := ctx.Deadline(); ok {
		if ahead := s.ahead.Load(); ahead != nil {
			latest = deadline.Add(*ahead).UnixMicro()
		}
	}
	got, err := claim.Run(ctx, s.client, []string{prefix + name}, max(1, ttl.Milliseconds()), latest, owner).Int64Slice()
	if err != nil {
		return false, failure(ctx, err)
	}
	if len(got) != 2 {
		return false, errReply
	}
	// A slow answer or a clock that was set makes it wrong. The next claim corrects it.
	ahead := time.Until(time.UnixMicro(got[1]))
	s.ahead.Store(&ahead)
	if got[0] < 0 {
		return false, errLate
	}
	return got[0] == 1, nil
}

// Release is broker.Claimer's.
func (s *Store) Release(ctx context.Context, name, owner string) error {
	return failure(ctx, release.Run(ctx, s.client, []string{prefix + name}, owner).Err())
}
