// Package redis keeps what replicas share in Redis, Valkey or another server that speaks their
// protocol and runs their scripts (Redis 5 or later).
//
// A [Store] is a broker.Claimer and a [ratelimit.Counter]. Names come to it hashed and values
// sealed. Every operation may fail and is tried once, because the caller can do without: it
// exchanges a token itself, or counts in its own memory. The URL names one server, a cluster, or
// sentinels that know which server is the primary. Each operation has one key, so a cluster has it
// in one slot.
package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"coze-token/internal/message"
	"coze-token/internal/ratelimit"
)

const (
	// maxValue is how much is read of a value, in bytes. A sealed token has a few hundred.
	maxValue = 64 << 10
	// prefix keeps our names apart, and lets an access rule (ACL) name them: ~coze-token:*. Names
	// of values and claims have no colon.
	prefix      = "coze-token:"
	limitPrefix = prefix + "limit:"
)

// A Store is a Redis server. It is safe for concurrent use.
type Store struct {
	client redis.UniversalClient
	ahead  atomic.Pointer[time.Duration] // the server's clock minus ours, as last seen; nil before
}

// The library writes lines to standard error. The errors that it returns say the same, and are
// logged.
var silence = sync.OnceFunc(logging.Disable)

// Open prepares a store for the server that a URL names:
//
//	redis://[[user]:password@]host[:port][/database]
//	rediss://…                                        the same over TLS, verified with the system's roots
//	unix://[[user]:password@]/path/to/socket[?db=database]
//	redis+cluster://[[user]:password@]host[:port][,host[:port]…]
//	redis+sentinel://[[user]:password@]host[:port][,host[:port]…]/primary[/database]
//
// The last two take rediss+ for TLS. Of a cluster, some nodes are enough. The user is the servers';
// sentinels are asked without a password.
//
// It waits for no connection, so a server that is down does not keep the service from starting.
// [Store.Check] tells whether it can be used. The error is [CheckURL]'s.
func Open(url string) (*Store, error) {
	o, err := parse(url)
	if err != nil {
		return nil, err
	}
	silence()
	const ioTimeout = 500 * time.Millisecond // a caller's context ends an operation earlier
	o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = ioTimeout, ioTimeout, ioTimeout
	o.DialTimeout = time.Second         // with TLS; a connection that comes too late serves the next caller
	o.ConnMaxIdleTime = 4 * time.Minute // load balancers drop silent connections after five or more
	o.ContextTimeoutEnabled = true      // otherwise a caller's deadline would not end a read
	o.MaxRetries = -1                   // none
	o.DialerRetries = 1                 // none
	// At a round trip of 1 ms, 8 connections do 8,000 operations a second. More are slower when
	// many replicas start together: fifty with 32 each overflow the server's queue of connections
	// (tcp-backlog, 511), and what is dropped there tries again a second later. MaxActiveConns
	// would also count the connections that are dialled ahead.
	o.PoolSize = 8
	o.MinIdleConns = 2 // dialled now, for the first request
	// No round trips with which the library introduces itself: older servers and proxies refuse
	// some of them.
	o.Protocol = 2
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	switch o.kind {
	case cluster:
		return &Store{client: redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: o.addrs, Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
			ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, PoolTimeout: o.PoolTimeout,
			DialTimeout: o.DialTimeout, ConnMaxIdleTime: o.ConnMaxIdleTime,
			ContextTimeoutEnabled: true, MaxRetries: o.MaxRetries, DialerRetries: o.DialerRetries,
			PoolSize: o.PoolSize, MinIdleConns: o.MinIdleConns, // of each node
			// How soon a replica is found that took the place of a node. The library's minute is long.
			ClusterStateReloadInterval: time.Second,
			Protocol:                   o.Protocol, DisableIdentity: true, MaintNotificationsConfig: o.MaintNotificationsConfig,
		})}, nil
	case sentinel:
		return &Store{client: redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: o.primary, SentinelAddrs: o.addrs, DB: o.DB,
			Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
			ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, PoolTimeout: o.PoolTimeout,
			DialTimeout: o.DialTimeout, ConnMaxIdleTime: o.ConnMaxIdleTime,
			ContextTimeoutEnabled: true, MaxRetries: o.MaxRetries, DialerRetries: o.DialerRetries,
			PoolSize: o.PoolSize, MinIdleConns: o.MinIdleConns,
			Protocol: o.Protocol, DisableIdentity: true,
		})}, nil
	}
	return &Store{client: redis.NewClient(o.Options)}, nil
}

// Close closes the connections. Operations after it fail.
func (s *Store) Close() error { return s.client.Close() }

// Check returns nil if the server does all that a service asks of it: it claims, writes, reads,
// counts and deletes. Otherwise the error says what to do. What it writes is gone within a minute.
func (s *Store) Check(ctx context.Context) error {
	if err := s.check(ctx, "check-"+rand.Text()); err != nil {
		return message.New("the shared store cannot be used: %s; %s", err, remedy(err))
	}
	return nil
}

func (s *Store) check(ctx context.Context, name string) error {
	const value = "check"
	if _, err := s.Claim(ctx, name+".claim", value, time.Minute); err != nil {
		return err
	}
	if err := s.Put(ctx, name, []byte(value), time.Minute); err != nil {
		return err
	}
	got, err := s.Get(ctx, name)
	if err == nil && string(got) != value {
		err = errors.New("redis: a value that was written is not there")
	}
	if err != nil {
		return err
	}
	if _, err := s.Allow(ctx, name, ratelimit.Rate{Requests: 1, Per: time.Minute}); err != nil {
		return err
	}
	return s.Release(ctx, name+".claim", value)
}

// Get is broker.Store's: the value under a name, nil if there is none. It reads no more than 64
// KiB.
func (s *Store) Get(ctx context.Context, name string) ([]byte, error) {
	// GETRANGE is GET with a bound. It returns an empty value if there is none.
	value, err := s.client.GetRange(ctx, prefix+name, 0, maxValue-1).Bytes()
	if err != nil {
		return nil, failure(ctx, err)
	}
	if len(value) == 0 {
		return nil, nil
	}
	return value, nil
}

// Put is broker.Store's. ttl is rounded down to milliseconds.
func (s *Store) Put(ctx context.Context, name string, value []byte, ttl time.Duration) error {
	if ttl < time.Millisecond {
		return nil // for Redis, no time means for ever
	}
	return failure(ctx, s.client.Set(ctx, prefix+name, value, ttl.Truncate(time.Millisecond)).Err())
}

// failure is an error as it leaves the package. If the context has ended, it is the context's.
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
	if _, answered := errors.AsType[redis.Error](err); answered {
		return fmt.Errorf("redis answers: %w", err)
	}
	return fmt.Errorf("redis: %w", err)
}
