package ratelimit_test

import (
	"testing"
	"time"

	"coze-token/internal/ratelimit"
)

func TestAll(t *testing.T) {
	c := &clock{}
	of := func(name string) *ratelimit.Limiter { return ratelimit.New(ratelimit.Options{Name: name, Now: c.now}) }
	address, session, app := of("address"), of("session"), of("app")
	rate := func(n int) ratelimit.Rate { return ratelimit.Rate{Requests: n, Per: time.Minute} }
	ask := func(user string) ratelimit.Decision {
		return ratelimit.All(t.Context(),
			ratelimit.Ask{Limiter: address, Key: "192.0.2.1", Rate: rate(10)},
			ratelimit.Ask{Limiter: nil, Key: "caller", Rate: rate(1)},
			ratelimit.Ask{Limiter: address, Key: "off", Rate: ratelimit.Rate{}},
			ratelimit.Ask{Limiter: session, Key: user, Rate: rate(3)},
			ratelimit.Ask{Limiter: app, Key: "app", Rate: rate(8)},
		)
	}
	for i, want := range []int{2, 1, 0} {
		if d := ask("ann"); !d.OK || d.Name != "session" || d.Remaining != want {
			t.Fatalf("request %d: %+v", i, d)
		}
	}
	for range 50 { // what ann's session refuses is nobody else's loss
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
	if d := ratelimit.All(t.Context()); !d.OK || !d.Rate.Off() {
		t.Errorf("nothing to ask: %+v", d)
	}
}

func TestTighter(t *testing.T) {
	rate := ratelimit.Rate{Requests: 10, Per: time.Minute}
	order := []ratelimit.Decision{ // from the tightest
		{OK: false, Rate: rate, RetryAfter: time.Minute},
		{OK: false, Rate: rate, RetryAfter: time.Second},
		{OK: true, Rate: rate, Remaining: 0},
		{OK: true, Rate: rate, Remaining: 9},
		{OK: true, Rate: rate, Remaining: ratelimit.Unknown},
		{OK: true, Remaining: ratelimit.Unknown},
	}
	for i, a := range order {
		for j, b := range order {
			if a.Tighter(b) != (i < j) {
				t.Errorf("%+v tighter than %+v: %v", a, b, a.Tighter(b))
			}
		}
	}
}
