package ratelimit_test

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"coze-token/internal/ratelimit"
)

func TestWriteHeader(t *testing.T) {
	rate := ratelimit.Rate{Requests: 300, Per: time.Minute}
	for name, c := range map[string]struct {
		d    ratelimit.Decision
		want http.Header
	}{
		"full": {ratelimit.Decision{OK: true, Name: "address", Rate: rate, Remaining: 299, Reset: 200 * time.Millisecond},
			http.Header{"Ratelimit-Policy": {`"address";q=300;w=60`}, "Ratelimit": {`"address";r=299;t=60`}}},
		"half": {ratelimit.Decision{OK: true, Name: "address", Rate: rate, Remaining: 120, Reset: 36 * time.Second},
			http.Header{"Ratelimit-Policy": {`"address";q=300;w=60`}, "Ratelimit": {`"address";r=120;t=24`}}},
		"used up": {ratelimit.Decision{OK: true, Name: "address", Rate: rate, Reset: time.Minute},
			http.Header{"Ratelimit-Policy": {`"address";q=300;w=60`}, "Ratelimit": {`"address";r=0;t=1`}}},
		"used up, slow": {ratelimit.Decision{OK: true, Name: "app", Rate: ratelimit.Rate{Requests: 2, Per: time.Hour}, Reset: 59 * time.Minute},
			http.Header{"Ratelimit-Policy": {`"app";q=2;w=3600`}, "Ratelimit": {`"app";r=0;t=1740`}}},
		"refused": {ratelimit.Decision{Name: "session", Rate: ratelimit.Rate{Requests: 1, Per: 10 * time.Second}, Reset: 9 * time.Second, RetryAfter: 8*time.Second + 1},
			http.Header{"Ratelimit-Policy": {`"session";q=1;w=10`}, "Ratelimit": {`"session";r=0;t=9`}, "Retry-After": {"9"}}},
		"refused for a moment": {ratelimit.Decision{Name: "address", Rate: rate, RetryAfter: 1},
			http.Header{"Ratelimit-Policy": {`"address";q=300;w=60`}, "Ratelimit": {`"address";r=0;t=1`}, "Retry-After": {"1"}}},
		"rest unknown": {ratelimit.Decision{OK: true, Name: "address", Rate: rate, Remaining: ratelimit.Unknown},
			http.Header{"Ratelimit-Policy": {`"address";q=300;w=60`}}},
		"refused, rest unknown": {ratelimit.Decision{Name: "address", Rate: rate, Remaining: ratelimit.Unknown, RetryAfter: time.Minute},
			http.Header{"Ratelimit-Policy": {`"address";q=300;w=60`}, "Retry-After": {"60"}}},
		"off":      {ratelimit.Decision{OK: true, Name: "address", Remaining: ratelimit.Unknown}, http.Header{}},
		"bad name": {ratelimit.Decision{OK: true, Name: "a\"\\\r\né", Rate: rate, Remaining: ratelimit.Unknown}, http.Header{"Ratelimit-Policy": {`"a";q=300;w=60`}}},
	} {
		got := http.Header{}
		c.d.WriteHeader(got)
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, name := range []string{ratelimit.HeaderPolicy, ratelimit.HeaderLimit, ratelimit.HeaderRetryAfter} {
		if name != http.CanonicalHeaderKey(name) {
			t.Errorf("%s is not in Go's canonical form", name)
		}
	}
}

// A client that spreads what it has over t, again and again, is never refused, and one that waits for t with r=0 has
// room then.
func TestHeededHeadersSuffice(t *testing.T) {
	l, c := newLimiter(10)
	rate := ratelimit.Rate{Requests: 7, Per: 10 * time.Second}
	for range 7 {
		l.Allow(t.Context(), "a", rate)
	}
	d := l.Allow(t.Context(), "a", rate)
	c.advance(d.RetryAfter)
	for i := range 1000 {
		if d = l.Allow(t.Context(), "a", rate); !d.OK {
			t.Fatalf("request %d: %+v", i, d)
		}
		r, tt := d.Told()
		c.advance(time.Duration(tt) * time.Second / time.Duration(max(1, r)))
	}
}
