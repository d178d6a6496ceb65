package broker_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"coze-token/broker"
	"coze-token/coze"
)

func TestRefusalIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrong := true
		source := &fake{fail: func(int64, coze.TokenRequest) error {
			if wrong {
				return refused()
			}
			return nil
		}}
		b := broker.New(source, broker.Options{})
		request := coze.TokenRequest{App: testApp()}
		e := fails(t, b, request, coze.Rejected)
		if e.Attempts != 1 || e.RetryAfter < 4*time.Second || e.RetryAfter > 6*time.Second {
			t.Fatalf("attempts %d, RetryAfter %v", e.Attempts, e.RetryAfter)
		}
		for range 30 {
			e := fails(t, b, request, coze.Rejected)
			if e.Attempts != 0 || e.Code != "invalid_client" || e.RetryAfter <= 0 || e.RetryAfter > 6*time.Second {
				t.Fatalf("%+v", e)
			}
			e.Message, e.RetryAfter = "mine", 0 // each caller's own
			time.Sleep(100 * time.Millisecond)
		}
		source.expect(t, 1)
		for range 600 { // a minute and a half: 5 + 10 + 20 + 30 + 30 s
			fails(t, b, request, coze.Rejected)
			time.Sleep(150 * time.Millisecond)
		}
		if n := source.calls.Load(); n < 4 || n > 7 {
			t.Fatalf("%d exchanges for a wrong key in 90 s", n)
		}
		wrong = false
		time.Sleep(35 * time.Second)
		must(t, b, request, broker.GetOptions{})
		wrong = true
		time.Sleep(11 * time.Minute)
		if e := fails(t, b, request, coze.Rejected); e.RetryAfter > 6*time.Second {
			t.Errorf("a success must clear the past: %v", e.RetryAfter)
		}
	})
}

// A wrong key concerns every session. Thousands of them must not each try it.
func TestRefusedAppRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrong := true
		source := &fake{fail: func(int64, coze.TokenRequest) error {
			if wrong {
				return refused()
			}
			return nil
		}}
		b := broker.New(source, broker.Options{})
		app := testApp()
		for i := range 2000 {
			fails(t, b, coze.TokenRequest{App: app, Session: fmt.Sprint(i)}, coze.Rejected)
		}
		source.expect(t, 3)
		time.Sleep(7 * time.Second)
		for i := range 2000 {
			fails(t, b, coze.TokenRequest{App: app, Session: fmt.Sprint("b", i)}, coze.Rejected)
		}
		source.expect(t, 4) // one tries whether it is over
		wrong = false
		time.Sleep(13 * time.Second)
		must(t, b, coze.TokenRequest{App: app, Session: "probe"}, broker.GetOptions{})
		// And the success clears what the others had against them.
		must(t, b, coze.TokenRequest{App: app, Session: "b0"}, broker.GetOptions{})
		must(t, b, coze.TokenRequest{App: app, Session: "0"}, broker.GetOptions{})
	})
}

// Keys that were replaced deserve a try at once.
func TestNewKeysAreTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{fail: func(_ int64, request coze.TokenRequest) error {
			if request.App.Keys == nil {
				return refused()
			}
			return nil
		}}
		b := broker.New(source, broker.Options{})
		old := testApp()
		for i := range 5 {
			fails(t, b, coze.TokenRequest{App: old, Session: fmt.Sprint(i)}, coze.Rejected)
		}
		fresh := testApp()
		fresh.Keys = []coze.Key{{ID: "new"}}
		for i := range 5 {
			must(t, b, coze.TokenRequest{App: fresh, Session: fmt.Sprint(i)}, broker.GetOptions{})
		}
	})
}

// The breaker opens when exchanges of several clients failed, is half-open after the pause, and
// closes with a success.
func TestBreakerState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrong := true
		var b *broker.Broker
		app := testApp()
		var during broker.BreakerState // the last exchange
		source := &fake{fail: func(int64, coze.TokenRequest) error {
			during = b.Breaker(app)
			if wrong {
				return refused()
			}
			return nil
		}}
		b = broker.New(source, broker.Options{})
		n := 0
		ask := func(want broker.BreakerState) {
			t.Helper()
			n++
			b.Get(t.Context(), coze.TokenRequest{App: app, Session: fmt.Sprint(n)}, broker.GetOptions{Client: fmt.Sprint(n)})
			if got := b.Breaker(app); got != want {
				t.Fatalf("after request %d it is %s, not %s", n, got, want)
			}
		}
		if got := b.Breaker(app); got != broker.BreakerClosed {
			t.Fatalf("at first it is %s", got)
		}
		ask(broker.BreakerClosed)
		ask(broker.BreakerClosed)
		ask(broker.BreakerOpen)
		time.Sleep(4 * time.Second)
		ask(broker.BreakerOpen)
		time.Sleep(3 * time.Second) // the pause of 5 s and its jitter are over
		if got := b.Breaker(app); got != broker.BreakerHalfOpen {
			t.Fatalf("after the pause it is %s", got)
		}
		ask(broker.BreakerOpen) // it tried
		if during != broker.BreakerHalfOpen {
			t.Errorf("while it tried it was %s", during)
		}
		time.Sleep(12 * time.Second)
		wrong = false
		ask(broker.BreakerClosed)
		source.expect(t, 5)
		if got := b.Breaker(testApp()); got != broker.BreakerClosed {
			t.Errorf("that of another app is %s", got)
		}
	})
}

// One visitor's odd session must not stop the others.
func TestOneGrantsRefusalIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{fail: func(_ int64, request coze.TokenRequest) error {
			if request.Session[0] == 'x' {
				return &coze.Error{
					Kind: coze.Rejected, Status: 400, Code: "invalid_request", Message: "invalid request: session_name",
				}
			}
			return nil
		}}
		b := broker.New(source, broker.Options{})
		app := testApp()
		for i := range 50 {
			fails(t, b, coze.TokenRequest{App: app, Session: fmt.Sprint("x", i)}, coze.Rejected)
		}
		source.expect(t, 50)
		for i := range 50 {
			must(t, b, coze.TokenRequest{App: app, Session: fmt.Sprint("good", i)}, broker.GetOptions{})
		}
		fails(t, b, coze.TokenRequest{App: app, Session: "x1"}, coze.Rejected)
		source.expect(t, 100)
	})
}

func TestTroubleBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		source := &fake{latency: 50 * time.Millisecond, fail: func(int64, coze.TokenRequest) error {
			if down.Load() {
				return &coze.Error{Kind: coze.Unavailable, Message: "Coze could not be reached"}
			}
			return nil
		}}
		b := broker.New(source, broker.Options{})
		app := testApp()
		// A hundred visitors a second, each new, for five minutes.
		for i := range 30000 {
			go b.Get(t.Context(), coze.TokenRequest{App: app, Session: fmt.Sprint(i)}, broker.GetOptions{})
			time.Sleep(10 * time.Millisecond)
		}
		if n := source.calls.Load(); n > 60 {
			t.Errorf("%d exchanges in five minutes of an outage", n)
		}
		down.Store(false)
		time.Sleep(40 * time.Second)
		must(t, b, coze.TokenRequest{App: app, Session: "probe"}, broker.GetOptions{})
		for i := range 100 {
			must(t, b, coze.TokenRequest{App: app, Session: fmt.Sprint(i)}, broker.GetOptions{})
		}
	})
}

// A single failure among many successes is not an outage.
func TestOneFailureStopsOnlyItsGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{fail: func(n int64, _ coze.TokenRequest) error {
			if n%5 == 0 {
				return &coze.Error{Kind: coze.Unavailable, Status: 502}
			}
			return nil
		}}
		b := broker.New(source, broker.Options{})
		app := testApp()
		for i := range 100 {
			b.Get(t.Context(), coze.TokenRequest{App: app, Session: fmt.Sprint(i)}, broker.GetOptions{})
		}
		source.expect(t, 100)
	})
}

func TestBusyIsHeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{fail: func(n int64, _ coze.TokenRequest) error {
			if n == 1 {
				return &coze.Error{Kind: coze.Busy, Status: 429, RetryAfter: 20 * time.Second}
			}
			return nil
		}}
		b := broker.New(source, broker.Options{})
		app := testApp()
		fails(t, b, coze.TokenRequest{App: app, Session: "a"}, coze.Busy)
		time.Sleep(19 * time.Second)
		if e := fails(t, b, coze.TokenRequest{App: app, Session: "b"}, coze.Busy); e.RetryAfter != time.Second {
			t.Errorf("RetryAfter %v", e.RetryAfter)
		}
		source.expect(t, 1)
		time.Sleep(time.Second)
		must(t, b, coze.TokenRequest{App: app, Session: "b"}, broker.GetOptions{})
		must(t, b, coze.TokenRequest{App: app, Session: "a"}, broker.GetOptions{})
	})
}

func TestUnsignedIsNotRemembered(t *testing.T) {
	source := &fake{fail: func(n int64, _ coze.TokenRequest) error {
		if n == 1 {
			return &coze.Error{Kind: coze.InvalidRequest, Err: errors.New("no key")}
		}
		return nil
	}}
	b := broker.New(source, broker.Options{})
	fails(t, b, coze.TokenRequest{App: testApp()}, coze.InvalidRequest)
	must(t, b, coze.TokenRequest{App: testApp()}, broker.GetOptions{})
}

func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{}
		b := broker.New(source, broker.Options{Budget: 30})
		app := testApp()
		for i := range 30 {
			must(t, b, coze.TokenRequest{App: app, Session: fmt.Sprint(i)}, broker.GetOptions{})
		}
		for i := range 1000 {
			_, err := b.Get(t.Context(), coze.TokenRequest{App: app, Session: fmt.Sprint("flood", i)}, broker.GetOptions{})
			var e *coze.Error
			if !errors.Is(err, broker.ErrBudget) || !errors.As(err, &e) ||
				e.Kind != coze.Busy || e.RetryAfter <= 0 || e.RetryAfter > 2*time.Second {
				t.Fatalf("%+v", err)
			}
		}
		source.expect(t, 30)
		if st := b.Stats(); st.Entries != 30 || st.OverBudget != 1000 {
			t.Errorf("a flood must leave no trace: %+v", st)
		}
		for i := range 30 {
			got := must(t, b, coze.TokenRequest{App: app, Session: fmt.Sprint(i)}, broker.GetOptions{})
			if got.CacheStatus != broker.Hit {
				t.Error(got.CacheStatus)
			}
		}
		time.Sleep(2 * time.Second)
		must(t, b, coze.TokenRequest{App: app, Session: "later"}, broker.GetOptions{})
		fails(t, b, coze.TokenRequest{App: app, Session: "too many"}, coze.Busy)

		off := broker.New(&fake{}, broker.Options{Budget: -1})
		for i := range 20000 {
			must(t, off, coze.TokenRequest{App: app, Session: fmt.Sprint(i)}, broker.GetOptions{})
		}
	})
}

// Tokens in use stay in use while the budget is spent, although they are past their time to be
// refreshed.
func TestBudgetDoesNotHarmTokensInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{}
		b := broker.New(source, broker.Options{Budget: 1})
		app := testApp()
		inUse := coze.TokenRequest{App: app, Session: "in use"}
		must(t, b, inUse, broker.GetOptions{})
		for i := range 599 {
			time.Sleep(time.Second)
			b.Get(t.Context(), coze.TokenRequest{App: app, Session: fmt.Sprint(i)}, broker.GetOptions{})
			for range 10 {
				must(t, b, inUse, broker.GetOptions{})
				synctest.Wait()
			}
		}
		if n := b.Stats().Refreshes; n > 25 {
			t.Errorf("%d calls begun for a budget that is spent", n)
		}
	})
}

// A success of any request clears what is common to all, at once.
func TestSuccessClearsTheApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{fail: func(n int64, _ coze.TokenRequest) error {
			if n == 1 {
				return refused()
			}
			return nil
		}}
		b := broker.New(source, broker.Options{})
		app := testApp()
		fails(t, b, coze.TokenRequest{App: app, Session: "a"}, coze.Rejected)
		fails(t, b, coze.TokenRequest{App: app, Session: "a"}, coze.Rejected)
		must(t, b, coze.TokenRequest{App: app, Session: "b"}, broker.GetOptions{})
		must(t, b, coze.TokenRequest{App: app, Session: "a"}, broker.GetOptions{})
	})
}

func TestSuccessClearsTheGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{fail: func(n int64, _ coze.TokenRequest) error {
			if n == 3 {
				return nil
			}
			return &coze.Error{Kind: coze.Rejected, Code: "invalid_request"}
		}}
		b := broker.New(source, broker.Options{})
		request := coze.TokenRequest{App: testApp(), Duration: 10 * time.Second}
		fails(t, b, request, coze.Rejected)
		time.Sleep(6 * time.Second)
		if e := fails(t, b, request, coze.Rejected); e.RetryAfter < 8*time.Second {
			t.Errorf("the second rest is %v", e.RetryAfter)
		}
		time.Sleep(12 * time.Second)
		must(t, b, request, broker.GetOptions{})
		time.Sleep(10 * time.Second)
		if e := fails(t, b, request, coze.Rejected); e.RetryAfter > 6*time.Second {
			t.Errorf("the first rest after a success is %v", e.RetryAfter)
		}
	})
}

// What fails at the same time is one failure, not many in a row.
func TestSimultaneousFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{latency: time.Second, fail: func(int64, coze.TokenRequest) error {
			return &coze.Error{Kind: coze.Unavailable}
		}}
		b := broker.New(source, broker.Options{})
		app := testApp()
		for i := range 100 {
			go b.Get(t.Context(), coze.TokenRequest{App: app, Session: fmt.Sprint(i)}, broker.GetOptions{})
		}
		time.Sleep(1001 * time.Millisecond)
		e := fails(t, b, coze.TokenRequest{App: app, Session: "late"}, coze.Unavailable)
		if e.RetryAfter > 1200*time.Millisecond {
			t.Errorf("a rest of %v", e.RetryAfter)
		}
	})
}

// While Coze asks for quiet, tokens in use are not exchanged early either.
func TestRefreshRestsWithTheApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{fail: func(n int64, _ coze.TokenRequest) error {
			if n == 2 {
				return &coze.Error{Kind: coze.Busy, RetryAfter: time.Minute}
			}
			return nil
		}}
		b := broker.New(source, broker.Options{})
		app := testApp()
		must(t, b, coze.TokenRequest{App: app, Session: "in use"}, broker.GetOptions{})
		time.Sleep(541 * time.Second)
		fails(t, b, coze.TokenRequest{App: app, Session: "new"}, coze.Busy)
		for range 59 {
			must(t, b, coze.TokenRequest{App: app, Session: "in use"}, broker.GetOptions{})
			synctest.Wait()
			time.Sleep(time.Second)
		}
		source.expect(t, 2)
	})
}

// A clock that Coze's answer sets back must not make seconds hours.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		off := 5 * time.Minute
		fail := true
		source := &fake{fail: func(int64, coze.TokenRequest) error {
			if fail {
				return refused()
			}
			return nil
		}}
		b := broker.New(source, broker.Options{Now: func() time.Time { return time.Now().Add(off) }})
		request := coze.TokenRequest{App: testApp()}
		fails(t, b, request, coze.Rejected)
		off, fail = 0, false
		must(t, b, request, broker.GetOptions{})

		off = 5 * time.Minute
		request.Session = "a"
		old := must(t, b, request, broker.GetOptions{})
		off = 0
		time.Sleep(20 * time.Second)
		if got := must(t, b, request, broker.GetOptions{Stale: old.Token.AccessToken}); got.Token == old.Token {
			t.Error("a token from the future stays young")
		}
	})
}

// What Coze, or whoever answers in its place, asks for is heeded for five minutes at most.
func TestRestsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{fail: func(int64, coze.TokenRequest) error {
			return &coze.Error{Kind: coze.Busy, Status: 429, RetryAfter: 24 * time.Hour}
		}}
		b := broker.New(source, broker.Options{})
		app := testApp()
		if e := fails(t, b, coze.TokenRequest{App: app}, coze.Busy); e.RetryAfter != 5*time.Minute {
			t.Errorf("a rest of %v", e.RetryAfter)
		}
		time.Sleep(5 * time.Minute)
		fails(t, b, coze.TokenRequest{App: app}, coze.Busy)
		source.expect(t, 2)
	})
}

// Replicas, and requests, that failed together do not come back together.
func TestRestsAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(&fake{fail: func(int64, coze.TokenRequest) error {
			return &coze.Error{Kind: coze.Rejected, Code: "invalid_request"}
		}}, broker.Options{})
		least, most := time.Hour, time.Duration(0)
		for i := range 100 {
			e := fails(t, b, coze.TokenRequest{App: testApp(), Session: fmt.Sprint(i)}, coze.Rejected)
			least, most = min(least, e.RetryAfter), max(most, e.RetryAfter)
		}
		if least < 4*time.Second || most > 6*time.Second || most-least < 500*time.Millisecond {
			t.Errorf("rests from %v to %v", least, most)
		}
	})
}

// A failure long after the last one is the first again.
func TestStreaksEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(&fake{fail: func(int64, coze.TokenRequest) error {
			return &coze.Error{Kind: coze.Rejected, Code: "invalid_request"}
		}}, broker.Options{})
		request := coze.TokenRequest{App: testApp()}
		for range 4 {
			if e := fails(t, b, request, coze.Rejected); e.RetryAfter > 6*time.Second {
				t.Errorf("a rest of %v", e.RetryAfter)
			}
			time.Sleep(70 * time.Second)
		}
	})
}

// A request that Coze refuses is not asked for more often because a good token of it is in use.
func TestRefreshRestsWithTheGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{fail: func(n int64, _ coze.TokenRequest) error {
			if n > 1 {
				return &coze.Error{Kind: coze.Rejected, Code: "invalid_request"}
			}
			return nil
		}}
		b := broker.New(source, broker.Options{})
		request := coze.TokenRequest{App: testApp(), Duration: coze.MaxDuration}
		for source.calls.Load() < 2 {
			must(t, b, request, broker.GetOptions{})
			time.Sleep(time.Minute)
		}
		for range 3600 {
			must(t, b, request, broker.GetOptions{})
			time.Sleep(time.Second)
		}
		if n := source.calls.Load(); n > 150 {
			t.Errorf("%d exchanges in an hour of refusals", n)
		}
	})
}

// What failed beside a good token does not take it along when its own time is over.
func TestFailureDoesNotShortenALife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{fail: func(n int64, request coze.TokenRequest) error {
			if request.Session == "" && n > 1 {
				return &coze.Error{Kind: coze.Rejected, Code: "invalid_request"}
			}
			return nil
		}}
		b := broker.New(source, broker.Options{Size: 10})
		request := coze.TokenRequest{App: testApp(), Duration: 10 * time.Hour}
		must(t, b, request, broker.GetOptions{})
		time.Sleep(time.Hour)
		if _, err := b.Get(t.Context(), request, broker.GetOptions{MinTTL: request.Duration}); err == nil {
			t.Fatal("a token with ten hours left, after one")
		}
		time.Sleep(time.Hour)
		must(t, b, coze.TokenRequest{App: testApp(), Session: "newcomer"}, broker.GetOptions{})
		if got := must(t, b, request, broker.GetOptions{}); got.CacheStatus != broker.Hit {
			t.Error(got.CacheStatus)
		}
	})
}
