package ratelimit_test

import (
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"coze-token/internal/ratelimit"
)

func BenchmarkKnownKey(b *testing.B) {
	l := ratelimit.New(ratelimit.Options{Name: "address"})
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		l.Allow(ctx, "2001:db8:1234:5678::/64", perMinute)
	}
}

func BenchmarkParallel(b *testing.B) {
	l := ratelimit.New(ratelimit.Options{Name: "address"})
	ctx := b.Context()
	b.ReportAllocs()
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		key := strconv.FormatInt(n.Add(1), 10)
		for pb.Next() {
			l.Allow(ctx, key, perMinute)
		}
	})
}

// BenchmarkNewKeys floods a limiter, which allocates nothing for a new key either.
func BenchmarkNewKeys(b *testing.B) {
	l := ratelimit.New(ratelimit.Options{Name: "address"})
	keys := make([]string, 1<<18)
	for i := range keys {
		keys[i] = strconv.Itoa(i)
	}
	ctx := b.Context()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		l.Allow(ctx, keys[i%len(keys)], perMinute)
		i++
	}
}

func BenchmarkAllFour(b *testing.B) {
	var checks []ratelimit.Check
	for _, name := range []string{"address", "caller", "session", "app"} {
		l := ratelimit.New(ratelimit.Options{Name: name})
		rate := ratelimit.Rate{Requests: 1e9, Per: time.Minute}
		checks = append(checks, ratelimit.Check{Limiter: l, Key: "somebody", Rate: rate})
	}
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		ratelimit.AllowAll(ctx, checks...)
	}
}
