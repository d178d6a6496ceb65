package ratelimit_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"coze-token/internal/ratelimit"
)

func TestAllowAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		of := func(name string) *ratelimit.Limiter { return ratelimit.New(ratelimit.Options{Name: name}) }
		address, session, app := of("address"), of("session"), of("app")
		rate := func(n int) ratelimit.Rate { return ratelimit.Rate{Requests: n, Per: time.Minute} }
		ask := func(user string) ratelimit.Decision {
			return ratelimit.AllowAll(t.Context(),
				ratelimit.Check{Limiter: address, Key: "192.0.2.1", Rate: rate(10)},
				ratelimit.Check{Limiter: nil, Key: "caller", Rate: rate(1)},
				ratelimit.Check{Limiter: address, Key: "off", Rate: ratelimit.Rate{}},
				ratelimit.Check{Limiter: session, Key: user, Rate: rate(3)},
				ratelimit.Check{Limiter: app, Key: "app", Rate: rate(8)},
			)
		}
		for i, want := range []int{2, 1, 0} {
			if d := ask("ann"); !d.OK || d.Name != "session" || d.Remaining != want {
				t.Fatalf("request %d: %+v", i, d)
			}
		}
		for range 50 { // a refusal by ann's session costs nobody else anything
			if d := ask("ann"); d.OK || d.Name != "session" || d.RetryAfter != 20*time.Second {
				t.Fatalf("ann's fourth: %+v", d)
			}
		}
		for i, want := range []string{"session", "session", "session"} {
			if d := ask("bob"); !d.OK || d.Name != want || d.Remaining != 2-i {
				t.Fatalf("bob's request %d: %+v", i, d)
			}
		}
		if d := ask("cid"); !d.OK || d.Name != "app" || d.Remaining != 1 {
			t.Fatalf("cid's first: %+v", d)
		}
		if d := ask("cid"); !d.OK || d.Name != "app" || d.Remaining != 0 {
			t.Fatalf("cid's second: %+v", d)
		}
		for range 50 {
			if d := ask("cid"); d.OK || d.Name != "app" {
				t.Fatalf("cid's third: %+v", d)
			}
		}
		// Eight went through, so that the address has two left and cid's session one.
		if d := address.Allow(t.Context(), "192.0.2.1", rate(10)); d.Remaining != 1 {
			t.Errorf("the address lost what the others refused: %+v", d)
		}
		if d := session.Allow(t.Context(), "cid", rate(3)); d.Remaining != 0 {
			t.Errorf("the session lost what the app refused: %+v", d)
		}
		// A key that was forgotten meanwhile gets nothing back, and neither does another in its
		// place.
		small, no := ratelimit.New(ratelimit.Options{Name: "small", Size: 16}), of("no")
		for i := range 32 {
			small.Allow(t.Context(), strconv.Itoa(i/2), rate(300)) // 16 keys, twice each
		}
		no.Allow(t.Context(), "x", rate(1))
		first := ratelimit.Check{Limiter: small, Key: "first", Rate: rate(300)}
		second := ratelimit.Check{Limiter: small, Key: "second", Rate: rate(300)} // takes the place of the first
		refused := ratelimit.Check{Limiter: no, Key: "x", Rate: rate(1)}
		if d := ratelimit.AllowAll(t.Context(), first, second, second, second, refused); d.OK {
			t.Errorf("not refused: %+v", d)
		}
		remembered := 0
		for i := range 16 {
			switch d := small.Allow(t.Context(), strconv.Itoa(i), rate(300)); d.Remaining {
			case 297:
				remembered++
			case 298:
				t.Errorf("key %d got back what another had used", i)
			}
		}
		if remembered < 14 {
			t.Errorf("only %d keys are as they were", remembered)
		}
		if d := ratelimit.AllowAll(t.Context()); !d.OK || !d.Rate.Off() {
			t.Errorf("nothing to ask: %+v", d)
		}
	})
}

func TestTighter(t *testing.T) {
	rate := ratelimit.Rate{Requests: 10, Per: time.Minute}
	order := []ratelimit.Decision{ // from the tightest
		{OK: false, Rate: rate, RetryAfter: time.Minute},
		{OK: false, Rate: rate, RetryAfter: time.Second},
		{OK: true, Rate: rate, Remaining: 0},
		{OK: true, Rate: rate, Remaining: 9},
		{OK: true, Rate: rate, Remaining: ratelimit.Unknown},
		{OK: true},
	}
	for i, a := range order {
		for j, b := range order {
			if a.Tighter(b) != (i < j) {
				t.Errorf("%+v tighter than %+v: %v", a, b, a.Tighter(b))
			}
		}
	}
}

func TestWriteHeader(t *testing.T) {
	rate := ratelimit.Rate{Requests: 300, Per: time.Minute}
	slow, tenSeconds := ratelimit.Rate{Requests: 2, Per: time.Hour}, ratelimit.Rate{Requests: 1, Per: 10 * time.Second}
	for name, c := range map[string]struct {
		d    ratelimit.Decision
		want http.Header
	}{
		"full": {ratelimit.Decision{OK: true, Name: "address", Rate: rate, Remaining: 299},
			http.Header{"Ratelimit-Policy": {`"address";q=300;w=60`}, "Ratelimit": {`"address";r=299;t=60`}}},
		"half": {ratelimit.Decision{OK: true, Name: "address", Rate: rate, Remaining: 120},
			http.Header{"Ratelimit-Policy": {`"address";q=300;w=60`}, "Ratelimit": {`"address";r=120;t=24`}}},
		"used up": {ratelimit.Decision{OK: true, Name: "address", Rate: rate, RetryAfter: 200 * time.Millisecond},
			http.Header{"Ratelimit-Policy": {`"address";q=300;w=60`}, "Ratelimit": {`"address";r=0;t=1`}}},
		"used up, slow": {ratelimit.Decision{OK: true, Name: "app", Rate: slow, RetryAfter: 29 * time.Minute},
			http.Header{"Ratelimit-Policy": {`"app";q=2;w=3600`}, "Ratelimit": {`"app";r=0;t=1740`}}},
		"refused": {ratelimit.Decision{Name: "session", Rate: tenSeconds, RetryAfter: 8*time.Second + 1},
			http.Header{"Ratelimit-Policy": {`"session";q=1;w=10`}, "Ratelimit": {`"session";r=0;t=9`}, "Retry-After": {"9"}}},
		"refused for a moment": {ratelimit.Decision{Name: "address", Rate: rate, RetryAfter: 1},
			http.Header{"Ratelimit-Policy": {`"address";q=300;w=60`}, "Ratelimit": {`"address";r=0;t=1`}, "Retry-After": {"1"}}},
		"rest unknown": {ratelimit.Decision{OK: true, Name: "address", Rate: rate, Remaining: ratelimit.Unknown},
			http.Header{"Ratelimit-Policy": {`"address";q=300;w=60`}}},
		"refused, rest unknown": {
			ratelimit.Decision{Name: "address", Rate: rate, Remaining: ratelimit.Unknown, RetryAfter: time.Minute},
			http.Header{"Ratelimit-Policy": {`"address";q=300;w=60`}, "Retry-After": {"60"}}},
		"off": {ratelimit.Decision{OK: true}, http.Header{}},
	} {
		got := http.Header{}
		c.d.WriteHeader(got)
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, name := range ratelimit.ResponseHeaders {
		if name != http.CanonicalHeaderKey(name) {
			t.Errorf("%s is not in Go's canonical form", name)
		}
	}
}

// A client that spreads what it has over t, again and again, is never refused, and one that waits
// for t with r=0 has room then.
func TestHeadersSuffice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(10)
		rate := ratelimit.Rate{Requests: 7, Per: 10 * time.Second}
		for range 7 {
			l.Allow(t.Context(), "a", rate)
		}
		d := l.Allow(t.Context(), "a", rate)
		time.Sleep(d.RetryAfter)
		for i := range 1000 {
			if d = l.Allow(t.Context(), "a", rate); !d.OK {
				t.Fatalf("request %d: %+v", i, d)
			}
			h := http.Header{}
			d.WriteHeader(h)
			var left, seconds int
			if _, err := fmt.Sscanf(h.Get("Ratelimit"), `"address";r=%d;t=%d`, &left, &seconds); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(seconds) * time.Second / time.Duration(max(1, left)))
		}
	})
}
