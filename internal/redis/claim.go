package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// claim is SET NX PX, or without NX for who has the name already, that comes in time or not at all.
//
// A server that hangs and then goes on carries out what was sent to it meanwhile. A plain SET would then take the name
// for a replica that gave up long ago, and the others would wait for it. So the script knows until when there is
// somebody who cares, by the server's own clock (0: unknown). It returns 1, 0, or -1 for too late, and what the clock says.
var claim = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local last = tonumber(ARGV[2])
local got = 0
if last > 0 and now > last then
	got = -1
elseif redis.call('SET', KEYS[1], ARGV[3], 'NX', 'PX', ARGV[1]) then
	got = 1
elseif redis.call('GET', KEYS[1]) == ARGV[3] then
	redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[1])
	got = 1
end
return {got, now}
`)

// release is DEL, for who has the name.
var release = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then
	redis.call('DEL', KEYS[1])
end
return 0
`)

var errLate = errors.New("redis: the server came to a claim after its time")

// Claim is broker.Claimer's: it takes the name for ttl, in milliseconds and at least one, unless another owner has it.
func (s *Store) Claim(ctx context.Context, name, owner string, ttl time.Duration) (bool, error) {
	last := int64(0)
	if deadline, ok := ctx.Deadline(); ok {
		if ahead := s.ahead.Load(); ahead != nil {
			last = deadline.Add(*ahead).UnixMicro()
		}
	}
	got, err := claim.Run(ctx, s.client, []string{prefix + name}, max(1, ttl.Milliseconds()), last, owner).Int64Slice()
	if err != nil {
		return false, failure(ctx, err)
	}
	if len(got) != 2 {
		return false, errReply
	}
	// A server that comes late shows it here too, or that a clock was set: what is learnt is right for the next.
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

var errReply = errors.New("redis: the answer is not what the script returns")
