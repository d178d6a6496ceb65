// Package redis keeps what replicas of a service share in Redis, Valkey or anything else that speaks their protocol and
// runs their scripts (Redis 5 or later): values for a while, claims, and limits.
//
// A [Store] is a broker.Store and a broker.Claimer. It knows nothing of either: names come hashed and values sealed from
// whoever calls.
//
// Everything here may fail and nothing waits long. Each operation is tried once, because whoever calls has something better to do than to
// wait for a second try: exchange a token itself, or count a limit in its own memory. One server, or a service's one
// address in front of several, is what the URL names; Sentinel and Cluster addresses are not understood.
package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Bounds. A caller's context ends an operation earlier.
const (
	// dialTimeout is for TCP and TLS together. A connection that is made too late for whoever asked for it serves the next.
	dialTimeout = time.Second
	// ioTimeout bounds a read, a write, and the wait for a connection that is free, for callers without a deadline.
	ioTimeout = 500 * time.Millisecond
	// connections are how many calls of one replica are under way at once; a few more may be open for a moment. Each carries about 1/RTT operations a second, so 8 of them do 8,000 at 1 ms,
	// and remembered tokens need none. More would not be faster but slower when it matters: fifty replicas that start together
	// with 32 each overflow the queue of connections that Redis has not accepted yet (tcp-backlog, 511), and what is dropped
	// there tries again a second later. With 8 they make one exchange for each session, with 32 twenty.
	connections = 8
	// idleTime is shorter than what load balancers and firewalls drop silent connections after.
	idleTime = 4 * time.Minute
	// maxValue is the most that is read of a value, in bytes. A sealed token has a few hundred; others may write to the
	// same server.
	maxValue = 64 << 10
)

// prefix keeps our names apart from whatever else is on the server, and lets an access rule (ACL) name them:
// ~coze-token:*.
const (
	prefix      = "coze-token:"
	limitPrefix = prefix + "limit:" // what is put or claimed has no colon in its name
)

// A Store is a Redis server. It is safe for concurrent use.
type Store struct {
	client *redis.Client
	ahead  atomic.Pointer[time.Duration] // the server's clock less ours, as last seen; nil before
	rest   rest                          // of limits
}

// The library writes to standard error by its own count, a line for each connection that fails. All that it has to say is in the
// errors that it returns as well, and those are counted and hushed by who gets them.
var silence = sync.OnceFunc(logging.Disable)

// Open prepares a store for the server that a URL names:
//
//	redis://[[user]:password@]host[:port][/database]
//	rediss://…                                        the same over TLS, verified with the system's roots
//	unix://[[user]:password@]/path/to/socket[?db=database]
//
// It makes no connection that anybody waits for: a server that is down must not keep a service from starting. [Store.Ping] tells
// whether it is there. The error is a [Fault].
func Open(url string) (*Store, error) {
	o, err := parse(url)
	if err != nil {
		return nil, err
	}
	silence()
	o.DialTimeout = dialTimeout
	o.ReadTimeout = ioTimeout
	o.WriteTimeout = ioTimeout
	o.ContextTimeoutEnabled = true // or a caller's deadline would not end a read
	o.MaxRetries = -1              // none
	o.DialerRetries = 1            // none, either
	// Not MaxActiveConns as well: it counts the connections that are dialled ahead, and then refuses calls that have a turn.
	o.PoolSize = connections
	o.PoolTimeout = ioTimeout
	o.MinIdleConns = 2 // dialled now, so that the first request finds them
	o.ConnMaxIdleTime = idleTime
	// What the library would say of itself, or ask for, with each new connection: round trips that nothing here
	// needs, some of which older servers and proxies refuse.
	o.Protocol = 2
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return &Store{client: redis.NewClient(o)}, nil
}

// Close closes the connections. Operations after it fail.
func (s *Store) Close() error { return s.client.Close() }

// Ping returns nil if the server answers, lets us in, and does as it is asked, and an error that says what to do if not.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.Get(ctx, "ping")
	if err == nil {
		return nil
	}
	return fmt.Errorf("the shared store cannot be used: %w; %s", err, remedy(err))
}

// Get is broker.Store's: the value under a name, nil if there is none. More than 64 KiB is not read.
func (s *Store) Get(ctx context.Context, name string) ([]byte, error) {
	// GETRANGE is GET with a bound. To it, none and empty are the same, as they are to brokers.
	value, err := s.client.GetRange(ctx, prefix+name, 0, maxValue-1).Bytes()
	if err != nil {
		return nil, failure(ctx, err)
	}
	if len(value) == 0 {
		return nil, nil
	}
	return value, nil
}

// Put is broker.Store's: it keeps a value for ttl, in milliseconds.
func (s *Store) Put(ctx context.Context, name string, value []byte, ttl time.Duration) error {
	if ttl < time.Millisecond {
		return nil // to Redis, and to the library, no time is for ever
	}
	return failure(ctx, s.client.Set(ctx, prefix+name, value, ttl.Truncate(time.Millisecond)).Err())
}

// failure is an error as it leaves the package: what ended the context, rather than how the library noticed.
func failure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("redis: %w", context.Cause(ctx))
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return fmt.Errorf("redis: %w", context.DeadlineExceeded) // the connection has the same deadline, and was first
	}
	var reply redis.Error
	if errors.As(err, &reply) {
		return fmt.Errorf("redis answers: %w", err)
	}
	return fmt.Errorf("redis: %w", err)
}
