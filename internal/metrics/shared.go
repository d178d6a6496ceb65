//go:build !wasip1

package metrics

import (
	"context"
	"fmt"
	"time"

	"coze-token/broker"
	"coze-token/internal/ratelimit"
)

// A timedStore measures the operations of a store, also those that fail.
type timedStore struct {
	broker.Claimer
	m *Metrics
}

// measure ends a measurement that began when it was called: defer s.measure("get")().
func (s timedStore) measure(operation string) func() {
	began := time.Now()
	return func() { s.m.took(fmt.Sprintf(storeDuration, operation), sharedBounds, time.Since(began)) }
}

func (s timedStore) Get(ctx context.Context, key string) ([]byte, error) {
	defer s.measure("get")()
	return s.Claimer.Get(ctx, key)
}

func (s timedStore) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	defer s.measure("put")()
	return s.Claimer.Put(ctx, key, value, ttl)
}

func (s timedStore) Claim(ctx context.Context, key, owner string, ttl time.Duration) (bool, error) {
	defer s.measure("claim")()
	return s.Claimer.Claim(ctx, key, owner, ttl)
}

func (s timedStore) Release(ctx context.Context, key, owner string) error {
	defer s.measure("release")()
	return s.Claimer.Release(ctx, key, owner)
}

// A timedCounter measures the operations of a shared counter, also those that fail.
type timedCounter struct {
	ratelimit.Counter
	m    *Metrics
	name string // of the histogram, with its label
}

func (c timedCounter) Allow(ctx context.Context, key string, rate ratelimit.Rate) (ratelimit.Decision, error) {
	defer func(began time.Time) { c.m.took(c.name, sharedBounds, time.Since(began)) }(time.Now())
	return c.Counter.Allow(ctx, key, rate)
}
