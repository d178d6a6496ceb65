package broker_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"coze-token/broker"
	"coze-token/broker/storetest"
	"coze-token/coze"
)

func secret(*coze.App) []byte { return []byte("a secret of some length") }

// replicas are brokers in as many processes, over one store and one Coze.
func replicas(n int, source coze.Source, store broker.Store, log *logs) []*broker.Broker {
	var all []*broker.Broker
	for range n {
		all = append(all, broker.New(source, broker.Options{Store: store, Secret: secret, Log: log.logger()}))
	}
	return all
}

// withoutClaims hides Claim.
type withoutClaims struct{ broker.Store }

func TestStoreServesOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, store := &fake{}, &storetest.Memory{}
		var log logs
		all := replicas(3, source, withoutClaims{store}, &log)
		request := coze.TokenRequest{App: testApp(), Session: "anna@example.com"}
		first := must(t, all[0], request, broker.GetOptions{})
		synctest.Wait()
		for _, b := range all[1:] {
			got := must(t, b, request, broker.GetOptions{})
			if got.CacheStatus != broker.Shared || got.Token != first.Token {
				t.Fatalf("%+v", got)
			}
			if got := must(t, b, request, broker.GetOptions{}); got.CacheStatus != broker.Hit || got.Token != first.Token {
				t.Fatalf("%+v", got)
			}
		}
		source.expect(t, 1)
		store.Each(func(name string, value []byte, expires time.Time) []byte {
			if all := name + string(value); strings.Contains(all, "anna") || strings.Contains(all, "czs_") {
				t.Errorf("readable in the store: %q", all)
			}
			if ttl := time.Until(expires); ttl > 600*time.Second || ttl < 598*time.Second {
				t.Errorf("kept for %v, of use for 600 s", ttl)
			}
			return value
		})
		// A token that is said to be dead is not taken from the store again, and its successor reaches
		// the others.
		time.Sleep(time.Minute)
		second := must(t, all[0], request, broker.GetOptions{Stale: first.Token.AccessToken})
		synctest.Wait()
		other := must(t, all[1], request, broker.GetOptions{Stale: first.Token.AccessToken})
		if second.Token == first.Token || other.Token != second.Token || other.CacheStatus != broker.Shared {
			t.Errorf("%+v, %+v", second, other)
		}
		source.expect(t, 2)
		if log.lines() != 0 {
			t.Error(log.String())
		}
	})
}

// A store may lag, or have missed a put. What it then shows was replaced long ago, most likely
// because it is dead.
func TestOldTokensDoNotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, store := &fake{}, &storetest.Memory{}
		var log logs
		b := replicas(1, source, withoutClaims{store}, &log)[0]
		request := coze.TokenRequest{App: testApp()}
		last := must(t, b, request, broker.GetOptions{})
		synctest.Wait()
		store.Fault = func(ctx context.Context, operation string) error {
			return only("put", operation, ctx, func(context.Context, string) error { return errors.New("read only") })
		}
		for range 5 {
			time.Sleep(20 * time.Second)
			next := must(t, b, request, broker.GetOptions{Stale: last.Token.AccessToken})
			if next.CacheStatus != broker.Miss || !next.Token.Expiry.After(last.Token.Expiry) {
				t.Fatalf("a token of before came back, %s", next.CacheStatus)
			}
			last = next
		}
		source.expect(t, 6)
	})
}

func TestManyReplicasMakeFewExchanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{latency: 400 * time.Millisecond}
		store := &storetest.Memory{Fault: func(context.Context, string) error {
			time.Sleep(2 * time.Millisecond)
			return nil
		}}
		var log logs
		all := replicas(50, source, store, &log)
		app := testApp()
		var wg sync.WaitGroup
		for _, b := range all {
			for session := range 20 {
				wg.Go(func() { must(t, b, coze.TokenRequest{App: app, Session: fmt.Sprint(session)}, broker.GetOptions{}) })
			}
		}
		began := time.Now()
		wg.Wait()
		source.expect(t, 20)
		if d := time.Since(began); d > 800*time.Millisecond {
			t.Errorf("waited %v for an exchange of 400 ms", d)
		}
		// Then an hour of traffic on all replicas: refreshes are shared as well.
		for range 360 {
			for _, b := range all {
				wg.Go(func() { must(t, b, coze.TokenRequest{App: app, Session: "0"}, broker.GetOptions{}) })
			}
			wg.Wait()
			time.Sleep(10 * time.Second)
		}
		if n := source.calls.Load() - 20; n > 11 {
			t.Errorf("%d exchanges in an hour for one session on 50 replicas", n)
		}
	})
}

// While a broker has a claim, the store fails others of its calls, and its breaker opens. Other
// replicas do not wait for the claim's end because of that.
func TestClaimIsKeptThroughAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{latency: 300 * time.Millisecond}
		var fail atomic.Int32
		store := &storetest.Memory{Fault: func(context.Context, string) error {
			if fail.Add(-1) >= 0 {
				return errors.New("down")
			}
			return nil
		}}
		var log logs
		all := replicas(2, source, store, &log)
		app := testApp()
		var wg sync.WaitGroup
		wg.Go(func() { must(t, all[0], coze.TokenRequest{App: app, Session: "a"}, broker.GetOptions{}) })
		synctest.Wait()
		began := time.Now()
		wg.Go(func() {
			got := must(t, all[1], coze.TokenRequest{App: app, Session: "a"}, broker.GetOptions{})
			if got.CacheStatus != broker.Shared {
				t.Error(got.CacheStatus)
			}
			if d := time.Since(began); d > 600*time.Millisecond {
				t.Errorf("waited %v for an exchange of 300 ms", d)
			}
		})
		synctest.Wait()
		fail.Store(5)
		for i := range 5 {
			wg.Go(func() { must(t, all[0], coze.TokenRequest{App: app, Session: fmt.Sprint("b", i)}, broker.GetOptions{}) })
		}
		wg.Wait()
	})
}

// A replica that came first and has no token to show for it does not keep the others waiting.
func TestClaimIsReleased(t *testing.T) {
	const latency = 300 * time.Millisecond
	for name, first := range map[string]struct {
		source coze.Source
		budget int
		fault  func(context.Context, string) error
	}{
		"refused":     {source: &fake{latency: latency, fail: func(int64, coze.TokenRequest) error { return refused() }}},
		"panics":      {source: sourceFunc(func() (coze.Token, error) { panic("the source's own trouble") })},
		"exits":       {source: sourceFunc(func() (coze.Token, error) { runtime.Goexit(); return coze.Token{}, nil })},
		"over budget": {source: &fake{}, budget: 1},
		"failed put": {source: &fake{latency: latency}, fault: func(ctx context.Context, operation string) error {
			return only("put", operation, ctx, func(context.Context, string) error { return errors.New("read only") })
		}},
		"claimed unawares": {source: &fake{latency: latency, fail: func(int64, coze.TokenRequest) error { return refused() }},
			fault: func(ctx context.Context, operation string) error {
				return only("claimed", operation, ctx, func(context.Context, string) error {
					return errors.New("connection reset")
				})
			}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &storetest.Memory{}
				options := broker.Options{Store: faulty{store, first.fault}, Secret: secret, Budget: first.budget}
				unlucky := broker.New(first.source, options)
				healthy := broker.New(&fake{latency: latency}, broker.Options{Store: store, Secret: secret})
				ask := func(request coze.TokenRequest, wait time.Duration) {
					t.Helper()
					began := time.Now()
					must(t, healthy, request, broker.GetOptions{})
					if d := time.Since(began); d > wait {
						t.Errorf("waited %v, at most %v are needed", d, wait)
					}
				}
				request := coze.TokenRequest{App: testApp(), Session: "before"}
				unlucky.Get(t.Context(), request, broker.GetOptions{})
				synctest.Wait()
				ask(request, latency)
				request.Session = "meanwhile"
				go unlucky.Get(t.Context(), request, broker.GetOptions{})
				synctest.Wait()
				ask(request, 2*latency+lastLook)
			})
		})
	}
}

// lastLook is how long after the others somebody who waits for a claim may notice that it is free.
const lastLook = 300 * time.Millisecond

// faulty lets some operations fail: those that the fault says by their names, and "claimed" after
// it was done.
type faulty struct {
	broker.Claimer
	fault func(context.Context, string) error
}

func (f faulty) Put(ctx context.Context, name string, value []byte, ttl time.Duration) error {
	if f.fault != nil {
		if err := f.fault(ctx, "put"); err != nil {
			return err
		}
	}
	return f.Claimer.Put(ctx, name, value, ttl)
}

func (f faulty) Claim(ctx context.Context, name, owner string, ttl time.Duration) (bool, error) {
	ok, err := f.Claimer.Claim(ctx, name, owner, ttl)
	if f.fault != nil {
		if err := f.fault(ctx, "claimed"); err != nil {
			return false, err
		}
	}
	return ok, err
}

// Who is over its budget and comes back when told to does not wait for its own claim.
func TestOverBudgetDoesNotBlockItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(&fake{}, broker.Options{Store: &storetest.Memory{}, Secret: secret, Budget: 60})
		for i := range 60 {
			must(t, b, coze.TokenRequest{App: testApp(), Session: fmt.Sprint(i)}, broker.GetOptions{})
		}
		request := coze.TokenRequest{App: testApp(), Session: "one too many"}
		time.Sleep(fails(t, b, request, coze.Busy).RetryAfter)
		began := time.Now()
		must(t, b, request, broker.GetOptions{})
		if d := time.Since(began); d > 0 {
			t.Errorf("waited %v", d)
		}
	})
}

// However long Coze takes, the others wait for the one that came first, and not longer.
func TestSlowExchangesAreSharedToo(t *testing.T) {
	for _, latency := range []time.Duration{
		1500 * time.Millisecond, 2200 * time.Millisecond, 3 * time.Second, 7 * time.Second,
	} {
		t.Run(latency.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := &fake{latency: latency}
				store := &storetest.Memory{Fault: func(_ context.Context, operation string) error {
					time.Sleep(5 * time.Millisecond)
					return nil
				}}
				var log logs
				began := time.Now()
				var wg sync.WaitGroup
				for _, b := range replicas(50, source, store, &log) {
					wg.Go(func() { must(t, b, coze.TokenRequest{App: testApp()}, broker.GetOptions{}) })
				}
				wg.Wait()
				source.expect(t, 1)
				if d := time.Since(began); d > latency+lastLook {
					t.Errorf("the last waited %v for an exchange of %v", d, latency)
				}
				claims := store.Calls("claim")
				time.Sleep(time.Minute)
				if n := store.Calls("claim") - claims; n > 0 {
					t.Errorf("%d renewals after the exchange", n)
				}
			})
		})
	}
}

// A renewal that is late must not take the claim again after it was released.
func TestRenewalDoesNotOvertakeTheRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &storetest.Memory{Fault: func(_ context.Context, operation string) error {
			if operation == "claim" {
				time.Sleep(100 * time.Millisecond)
			}
			return nil
		}}
		var log logs
		// The exchange fails while the first renewal is under way.
		refuses := &fake{latency: 650 * time.Millisecond, fail: func(int64, coze.TokenRequest) error { return refused() }}
		unlucky := replicas(1, refuses, store, &log)[0]
		fails(t, unlucky, coze.TokenRequest{App: testApp()}, coze.Rejected)
		time.Sleep(time.Second)
		began := time.Now()
		must(t, replicas(1, &fake{}, store, &log)[0], coze.TokenRequest{App: testApp()}, broker.GetOptions{})
		if d := time.Since(began); d > 200*time.Millisecond {
			t.Errorf("waited %v for nobody", d)
		}
		time.Sleep(time.Second)
	})
}

// mortal is the store as a replica sees it that dies: nothing more comes of it.
type mortal struct {
	broker.Claimer
	dead *atomic.Bool
}

func (m mortal) Claim(ctx context.Context, name, owner string, ttl time.Duration) (bool, error) {
	if m.dead.Load() {
		return false, errors.New("dead")
	}
	return m.Claimer.Claim(ctx, name, owner, ttl)
}

// The replica that came first may die with its claim.
func TestAbandonedClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, store := &fake{}, &storetest.Memory{}
		var dead atomic.Bool
		var log logs
		first := broker.New(&fake{latency: time.Hour}, broker.Options{Store: mortal{store, &dead}, Secret: secret})
		go first.Get(t.Context(), coze.TokenRequest{App: testApp()}, broker.GetOptions{})
		synctest.Wait()
		dead.Store(true)
		began := time.Now()
		var wg sync.WaitGroup
		for _, b := range replicas(50, source, store, &log) {
			wg.Go(func() { must(t, b, coze.TokenRequest{App: testApp()}, broker.GetOptions{}) })
		}
		wg.Wait()
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("waited %v for the dead", d)
		}
		source.expect(t, 1)
		time.Sleep(20 * time.Second) // the first one's flight ends
	})
}

func TestStoreFaults(t *testing.T) {
	hang := func(ctx context.Context, _ string) error { time.Sleep(time.Minute); return nil }
	for name, fault := range map[string]func(context.Context, string) error{
		"error":            func(context.Context, string) error { return errors.New("connection refused") },
		"hangs":            func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() },
		"hangs for good":   hang,
		"panics":           func(context.Context, string) error { panic("a bug in the store") },
		"only claim hangs": func(ctx context.Context, operation string) error { return only("claim", operation, ctx, hang) },
		"only put hangs":   func(ctx context.Context, operation string) error { return only("put", operation, ctx, hang) },
		"slow, then it hangs": func(ctx context.Context, operation string) error {
			time.Sleep(140 * time.Millisecond)
			return only("claim", operation, ctx, hang)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, store := &fake{latency: 300 * time.Millisecond}, &storetest.Memory{Fault: fault}
				var log logs
				b := broker.New(source, broker.Options{Store: store, Secret: secret, Log: log.logger()})
				app := testApp()
				for i := range 60 {
					began := time.Now()
					must(t, b, coze.TokenRequest{App: app, Session: fmt.Sprint(i)}, broker.GetOptions{})
					if d := time.Since(began); d > 450*time.Millisecond {
						t.Fatalf("waited %v for an exchange of 300 ms", d)
					}
					time.Sleep(time.Second)
				}
				// A store that failed is left alone for a while, so the next caller pays nothing.
				switch name {
				case "error", "panics", "only put hangs":
				default:
					time.Sleep(10 * time.Second)
					must(t, b, coze.TokenRequest{App: app, Session: "pays"}, broker.GetOptions{})
					began := time.Now()
					must(t, b, coze.TokenRequest{App: app, Session: "pays nothing"}, broker.GetOptions{})
					if d := time.Since(began); d != 300*time.Millisecond {
						t.Errorf("waited %v for an exchange of 300 ms", d)
					}
				}
				if n := log.lines(); n < 1 || n > 2 {
					t.Errorf("%d lines in 78 s:\n%s", n, log.String())
				}
				if b.Stats().StoreFaults == 0 {
					t.Error("no faults counted")
				}
				time.Sleep(2 * time.Minute)
			})
		})
	}
}

func only(which, operation string, ctx context.Context, fault func(context.Context, string) error) error {
	if which == operation {
		return fault(ctx, operation)
	}
	return nil
}

// One failure may be this machine's own. It costs its flight the store, and the others nothing.
func TestOneFailureDoesNotRestTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failing := 0
		store := &storetest.Memory{Fault: func(_ context.Context, operation string) error {
			if operation == "get" && failing > 0 {
				failing--
				return errors.New("i/o timeout")
			}
			return nil
		}}
		source := &fake{}
		var log logs
		all := replicas(2, source, store, &log)
		session := 0
		// get says whether the second broker is served what the first one exchanged, and how many of its
		// gets failed before.
		get := func(fail int) broker.CacheStatus {
			session++
			request := coze.TokenRequest{App: testApp(), Session: fmt.Sprint(session)}
			must(t, all[0], request, broker.GetOptions{})
			synctest.Wait()
			failing = fail
			return must(t, all[1], request, broker.GetOptions{}).CacheStatus
		}
		for _, fail := range []int{1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0} {
			want := broker.Shared
			if fail > 0 {
				want = broker.Miss
			}
			if got := get(fail); got != want {
				t.Fatalf("session %d was %s", session, got)
			}
		}
		for range 5 {
			get(1)
		}
		asked := store.Calls("get")
		for range 10 {
			if get(0) != broker.Miss {
				t.Fatal("a store that failed five times in a row is not left alone")
			}
		}
		if n := store.Calls("get") - asked; n != 10 { // the first broker's
			t.Errorf("a store that is left alone was asked %d times", n-10)
		}
		// One that is still down is asked by one flight each second.
		for range 3 {
			time.Sleep(time.Second)
			if get(1) != broker.Miss || get(0) != broker.Miss {
				t.Fatal("one failure is enough now")
			}
		}
		time.Sleep(time.Second)
		for range 3 {
			if get(0) != broker.Shared {
				t.Fatal("the store works again")
			}
		}
	})
}

// When the store's breaker is half-open, one call tries it, not all of them. A clock that was set back
// does not keep it open for hours.
func TestOneCallTriesTheStoreAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &storetest.Memory{Fault: func(ctx context.Context, operation string) error {
			return only("get", operation, ctx, func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })
		}}
		var ahead atomic.Int64
		ahead.Store(int64(time.Hour))
		b := broker.New(&fake{}, broker.Options{Store: store, Secret: secret, Now: func() time.Time {
			return time.Now().Add(time.Duration(ahead.Load()))
		}})
		session := 0
		asked := func(flights int) int {
			before := store.Calls("get")
			var wg sync.WaitGroup
			for range flights {
				session++
				request := coze.TokenRequest{App: testApp(), Session: fmt.Sprint(session), Duration: 10 * time.Hour}
				wg.Go(func() { must(t, b, request, broker.GetOptions{}) })
			}
			wg.Wait()
			return store.Calls("get") - before
		}
		for range 5 {
			if asked(1) != 1 {
				t.Fatal("left alone too soon")
			}
		}
		for range 3 {
			if n := asked(20); n != 0 {
				t.Errorf("asked %d times while it rests", n)
			}
			time.Sleep(3 * time.Second)
			if n := asked(20); n != 1 {
				t.Errorf("asked %d times after its rest", n)
			}
		}
		ahead.Store(0)
		if n := asked(20); n != 1 {
			t.Errorf("asked %d times after the clock was set back", n)
		}
	})
}

func TestStoreRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		store := &storetest.Memory{Fault: func(context.Context, string) error {
			if down {
				return errors.New("down")
			}
			return nil
		}}
		source := &fake{}
		var log logs
		all := replicas(2, source, store, &log)
		must(t, all[0], coze.TokenRequest{App: testApp(), Session: "a"}, broker.GetOptions{})
		synctest.Wait()
		down = false
		time.Sleep(4 * time.Second)
		must(t, all[0], coze.TokenRequest{App: testApp(), Session: "b"}, broker.GetOptions{})
		synctest.Wait()
		got := must(t, all[1], coze.TokenRequest{App: testApp(), Session: "b"}, broker.GetOptions{})
		if got.CacheStatus != broker.Shared {
			t.Error(got.CacheStatus)
		}
	})
}

// Whoever can write to the store can make brokers exchange, and nothing else.
func TestStoreIsNotTrusted(t *testing.T) {
	app := func(id string) *coze.App { a := testApp(); a.ClientID = id; return a }
	for name, tamper := range map[string]func(own, other []byte) []byte{
		"another name's": func(_, other []byte) []byte { return other },
		"a bit flipped":  func(own, _ []byte) []byte { own[len(own)-1] ^= 1; return own },
		"later expiry":   func(own, _ []byte) []byte { own[1]++; return own },
		"cut":            func(own, _ []byte) []byte { return own[:len(own)-1] },
		"short":          func([]byte, []byte) []byte { return []byte{1} },
		"garbage":        func([]byte, []byte) []byte { return []byte(strings.Repeat("x", 100)) },
		"huge":           func([]byte, []byte) []byte { return make([]byte, 1<<20) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, store := &fake{}, &storetest.Memory{}
				var log logs
				all := replicas(2, source, store, &log)
				requests := []coze.TokenRequest{{App: app("1"), Session: "a"}, {App: app("1"), Session: "b"}}
				for _, request := range requests {
					must(t, all[0], request, broker.GetOptions{})
				}
				synctest.Wait()
				var values [][]byte
				store.Each(func(_ string, value []byte, _ time.Time) []byte { values = append(values, value); return value })
				if len(values) != 2 {
					t.Fatalf("%d values", len(values))
				}
				store.Each(func(_ string, value []byte, _ time.Time) []byte {
					other := values[0]
					if string(other) == string(value) {
						other = values[1]
					}
					return tamper(append([]byte(nil), value...), other)
				})
				time.Sleep(3 * time.Second) // the claims are over
				for _, request := range requests {
					got := must(t, all[1], request, broker.GetOptions{})
					if got.CacheStatus != broker.Miss || !strings.Contains(got.Token.AccessToken, "_"+request.Session+"_") {
						t.Errorf("%+v", got)
					}
				}
				source.expect(t, 4)
				if log.lines() != 1 {
					t.Error(log.String())
				}
			})
		})
	}
}

func TestStoreWithoutSecret(t *testing.T) {
	store := &storetest.Memory{}
	for _, s := range [][]byte{nil, []byte("short")} {
		b := broker.New(&fake{}, broker.Options{Store: store, Secret: func(*coze.App) []byte { return s }})
		must(t, b, coze.TokenRequest{App: testApp()}, broker.GetOptions{})
	}
	must(t, broker.New(&fake{}, broker.Options{Store: store}), coze.TokenRequest{App: testApp()}, broker.GetOptions{})
	if n := store.Calls("get") + store.Calls("put"); n != 0 {
		t.Errorf("%d calls of a store that nothing may be put into", n)
	}
}

// A token from the store may do for the first caller of a flight and not for one who joined it.
func TestJoinedCallersWantMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{}
		store := &storetest.Memory{Fault: func(context.Context, string) error {
			time.Sleep(50 * time.Millisecond)
			return nil
		}}
		var log logs
		all := replicas(2, source, store, &log)
		request := coze.TokenRequest{App: testApp()}
		first := must(t, all[0], request, broker.GetOptions{})
		time.Sleep(200 * time.Second)
		var wg sync.WaitGroup
		wg.Go(func() {
			got := must(t, all[1], request, broker.GetOptions{})
			if got.Token != first.Token || got.CacheStatus != broker.Shared {
				t.Errorf("%+v", got)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			got := must(t, all[1], request, broker.GetOptions{MinTTL: 800 * time.Second})
			if time.Until(got.Token.Expiry) < 800*time.Second {
				t.Errorf("%+v", got)
			}
		})
		wg.Wait()
		source.expect(t, 2)
		time.Sleep(time.Minute)
	})
}

// A token that is to be refreshed is not replaced by itself.
func TestRefreshThroughTheStore(t *testing.T) {
	for name, store := range map[string]broker.Store{
		"claims": &storetest.Memory{}, "no claims": withoutClaims{&storetest.Memory{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := &fake{latency: time.Second}
				var log logs
				b := replicas(1, source, store, &log)[0]
				request := coze.TokenRequest{App: testApp()}
				must(t, b, request, broker.GetOptions{})
				for range 6000 {
					if got := must(t, b, request, broker.GetOptions{}); got.CacheStatus != broker.Hit {
						t.Fatal(got.CacheStatus)
					}
					time.Sleep(time.Second)
				}
				if st := b.Stats(); st.Refreshes != st.Exchanges-1 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// neverFirst is a store whose claims are never won.
type neverFirst struct{ storetest.Memory }

func (*neverFirst) Claim(context.Context, string, string, time.Duration) (bool, error) {
	return false, nil
}

// Whoever has waited in vain for another still has the time for an exchange.
func TestPatienceEnds(t *testing.T) {
	for _, wait := range []time.Duration{0, 10 * time.Second, 2 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			var log logs
			b := replicas(1, &fake{latency: 500 * time.Millisecond}, &neverFirst{}, &log)[0]
			began := time.Now()
			must(t, b, coze.TokenRequest{App: testApp()}, broker.GetOptions{Wait: wait})
			most := broker.DefaultTimeout
			if wait > 0 {
				most = wait
			}
			if d := time.Since(began); d > most/2+500*time.Millisecond+lastLook {
				t.Errorf("of %v, waited %v for nobody", most, d)
			}
		})
	}
}
