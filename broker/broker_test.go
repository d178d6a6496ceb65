package broker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"coze-token/broker"
	"coze-token/coze"
)

func TestRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{}
		b := broker.New(source, broker.Options{})
		request := coze.TokenRequest{App: testApp(), Session: "anna", Duration: 900*time.Second + 500*time.Millisecond}
		first := must(t, b, request, broker.GetOptions{})
		if want := "czs_app-1_anna_15m0s_1"; first.Token.AccessToken != want {
			t.Errorf("%s, want %s", first.Token.AccessToken, want)
		}
		second := must(t, b, request, broker.GetOptions{})
		if first.CacheStatus != broker.Miss || second.CacheStatus != broker.Hit || first.Token != second.Token {
			t.Fatalf("got %+v, then %+v", first, second)
		}
		source.expect(t, 1)
		// The default duration, written out, is the same request; so are fractions of a second, which
		// Coze never sees.
		must(t, b, coze.TokenRequest{App: testApp(), Session: "anna"}, broker.GetOptions{})
		source.expect(t, 1)
		if st := b.Stats(); st.Entries != 1 || st.Exchanges != 1 || st.Calls != 0 {
			t.Fatalf("%+v", st)
		}
	})
}

// TestKey changes each input that shapes a token. A field that is added to coze.App must be added
// to the key, or here.
func TestKey(t *testing.T) {
	source := &fake{}
	b := broker.New(source, broker.Options{})
	want := int64(0)
	ask := func(what string, request coze.TokenRequest) {
		t.Helper()
		want++
		if got := must(t, b, request, broker.GetOptions{}); got.CacheStatus != broker.Miss {
			t.Fatalf("%s: the token is another request's", what)
		}
		source.expect(t, want)
	}
	ask("plain", coze.TokenRequest{App: testApp(), Session: "s"})
	ask("no session", coze.TokenRequest{App: testApp()})
	ask("session", coze.TokenRequest{App: testApp(), Session: "t"})
	ask("duration", coze.TokenRequest{App: testApp(), Session: "s", Duration: time.Hour})
	ask("device", coze.TokenRequest{App: testApp(), Session: "s", DeviceID: "d"})
	ask("consumer", coze.TokenRequest{App: testApp(), Session: "s", CustomConsumer: "d"})
	ask("device and consumer", coze.TokenRequest{App: testApp(), Session: "s", DeviceID: "d", CustomConsumer: "c"})
	ask("device, of no session", coze.TokenRequest{App: testApp(), DeviceID: "d"})
	ask("a longer device", coze.TokenRequest{App: testApp(), Session: "s", DeviceID: "dc"})
	ask("a longer consumer", coze.TokenRequest{App: testApp(), Session: "s", CustomConsumer: "dc"})
	kind := reflect.TypeFor[coze.App]()
	for i := range kind.NumField() {
		app := testApp()
		field := reflect.ValueOf(app).Elem().Field(i)
		switch value := field.Addr().Interface().(type) {
		case *string:
			*value += "x"
		case *json.RawMessage:
			*value = json.RawMessage(`{}`)
		case *time.Duration:
			*value = time.Minute
		case *coze.SessionContext:
			for _, c := range []coze.SessionContext{{DeviceID: "x"}, {CustomConsumer: "x"}, {ConnectorID: "x"}} {
				app := testApp()
				app.SessionContext = c
				ask(fmt.Sprintf("%+v", c), coze.TokenRequest{App: app, Session: "s"})
			}
			continue
		case *[]coze.Key:
			*value = []coze.Key{{ID: "another"}}
			if got := must(t, b, coze.TokenRequest{App: app, Session: "s"}, broker.GetOptions{}); got.CacheStatus != broker.Hit {
				t.Fatal("a change of keys must keep the tokens")
			}
			continue
		default:
			t.Fatalf("what does App.%s do to a token?", kind.Field(i).Name)
		}
		ask(kind.Field(i).Name, coze.TokenRequest{App: app, Session: "s"})
	}
	// Parts that run together.
	for _, ids := range [][2]string{{"ab", "c"}, {"a", "bc"}, {"abc", ""}, {"a\x00b", "c"}, {"a", "b\x00c"}} {
		app := testApp()
		app.AccountID, app.EnterpriseID = ids[0], ids[1]
		ask(ids[0]+"|"+ids[1], coze.TokenRequest{App: app, Session: "s"})
	}
}

// appsInMemory is how many of the apps are still reachable.
func appsInMemory(apps []weak.Pointer[coze.App]) (n int) {
	runtime.GC()
	for _, app := range apps {
		if app.Value() != nil {
			n++
		}
	}
	return n
}

func TestManyAppsAreBounded(t *testing.T) {
	b := broker.New(&fake{}, broker.Options{Budget: -1})
	var all []weak.Pointer[coze.App]
	for i := range 5000 { // a program that makes an app for each call
		app := testApp()
		app.ClientID = fmt.Sprint(i % 3000)
		all = append(all, weak.Make(app))
		got := must(t, b, coze.TokenRequest{App: app}, broker.GetOptions{})
		if want := "czs_" + app.ClientID + "_"; got.Token.AccessToken[:len(want)] != want {
			t.Fatalf("app %s got %s", app.ClientID, got.Token.AccessToken)
		}
	}
	if n := appsInMemory(all); n > 1024 {
		t.Errorf("%d apps are kept in memory", n)
	}
	runtime.KeepAlive(b)
}

// However often settings are read again, tokens stay, and the private keys of before do not.
func TestReloads(t *testing.T) {
	for _, test := range []struct{ apps, reloads int }{{1, 1100}, {600, 3}} {
		for _, declared := range []bool{false, true} {
			t.Run(fmt.Sprint(test, declared), func(t *testing.T) {
				source := &fake{}
				b := broker.New(source, broker.Options{Budget: -1})
				var old []weak.Pointer[coze.App]
				var first *coze.App
				for i := range test.reloads {
					var apps []*coze.App
					for i := range test.apps {
						app := testApp()
						app.ClientID = fmt.Sprint(i)
						apps = append(apps, app)
						old = append(old, weak.Make(app))
					}
					if declared {
						b.Use(apps...)
					}
					for _, app := range apps {
						must(t, b, coze.TokenRequest{App: app, Session: "anna"}, broker.GetOptions{})
					}
					if first == nil {
						first = apps[0]
					}
					if declared { // a request that began before
						must(t, b, coze.TokenRequest{App: first, Session: "anna"}, broker.GetOptions{})
					}
					if i%100 < 3 {
						runtime.GC() // what nothing refers to any more, the identities among it, goes
					}
				}
				first = nil
				source.expect(t, int64(test.apps))
				if n := appsInMemory(old); declared && n > test.apps {
					t.Errorf("%d apps are kept in memory, %d are in use", n, test.apps)
				}
				runtime.KeepAlive(b)
			})
		}
	}
}

func TestWrongGrants(t *testing.T) {
	b := broker.New(&fake{}, broker.Options{})
	fails(t, b, coze.TokenRequest{}, coze.InvalidRequest)
	fails(t, b, coze.TokenRequest{App: testApp(), Duration: -time.Second}, coze.InvalidRequest)
	fails(t, b, coze.TokenRequest{App: testApp(), Duration: 25 * time.Hour}, coze.InvalidRequest)
	_, err := b.Get(t.Context(), coze.TokenRequest{App: testApp()}, broker.GetOptions{MinTTL: 901 * time.Second})
	if !errors.Is(err, broker.ErrMinTTL) {
		t.Fatal(err)
	}
}

func TestMinTTL(t *testing.T) {
	tests := []struct {
		option, duration, want, floor time.Duration
	}{
		{0, 900 * time.Second, 0, 300 * time.Second},
		{0, 600 * time.Second, 0, 200 * time.Second},
		{0, time.Hour, 0, 300 * time.Second},
		{0, 900 * time.Second, 500 * time.Second, 500 * time.Second},
		{0, 900 * time.Second, 100 * time.Second, 300 * time.Second}, // less than the broker's is not less
		{60 * time.Second, 900 * time.Second, 0, 60 * time.Second},
		{time.Hour, 100 * time.Second, 0, 90 * time.Second}, // more than can be had
		{0, 3 * time.Second, 0, time.Second},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := &fake{}
				// Refreshing early is another test's subject.
				b := broker.New(source, broker.Options{MinTTL: test.option, Go: func(f func()) {
					if source.calls.Load() == 0 {
						go f()
					}
				}})
				request := coze.TokenRequest{App: testApp(), Duration: test.duration}
				want := broker.GetOptions{MinTTL: test.want}
				first := must(t, b, request, want)
				time.Sleep(test.duration - test.floor)
				if got := must(t, b, request, want); got.Token != first.Token {
					t.Error("exchanged anew, although the token had just enough life left")
				}
				time.Sleep(time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if got, err := b.Get(ctx, request, want); err == nil {
					t.Errorf("a token with %v left, promised %v", time.Until(got.Token.Expiry), test.floor)
				}
			})
		})
	}
}

// A fresh token never has the whole duration left. Asking for that much must not cost an exchange
// each time.
func TestMinTTLOfTheWholeDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{latency: time.Second}
		b := broker.New(source, broker.Options{})
		request := coze.TokenRequest{App: testApp()}
		for range 100 { // over 11 s in all
			must(t, b, request, broker.GetOptions{MinTTL: coze.DefaultDuration})
			time.Sleep(100 * time.Millisecond)
		}
		source.expect(t, 1)
		time.Sleep(2 * time.Second)
		must(t, b, request, broker.GetOptions{MinTTL: coze.DefaultDuration})
		source.expect(t, 2)
	})
}

// Coze may give less than was asked for. That must not cost an exchange for each call either.
func TestShortLivedTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{life: 30 * time.Second}
		b := broker.New(source, broker.Options{})
		for range 600 {
			if got := must(t, b, coze.TokenRequest{App: testApp()}, broker.GetOptions{}); time.Until(got.Token.Expiry) <= 0 {
				t.Fatal("an expired token")
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := source.calls.Load(); n > 7 {
			t.Fatalf("%d exchanges in a minute", n)
		}
	})
}

func TestSteadyTrafficNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{latency: 2 * time.Second}
		b := broker.New(source, broker.Options{})
		request := coze.TokenRequest{App: testApp(), Session: "anna"}
		must(t, b, request, broker.GetOptions{})
		for range 24 * 60 * 12 { // a day, every five seconds
			start := time.Now()
			got := must(t, b, request, broker.GetOptions{})
			if time.Since(start) != 0 || got.CacheStatus != broker.Hit {
				t.Fatalf("waited %v, %s", time.Since(start), got.CacheStatus)
			}
			if left := time.Until(got.Token.Expiry); left < 300*time.Second {
				t.Fatalf("%v left", left)
			}
			time.Sleep(5 * time.Second)
		}
		// One each 360 to 540 s.
		if n := source.calls.Load(); n < 160 || n > 241 {
			t.Fatalf("%d exchanges in a day", n)
		}
	})
}

func TestRefreshTimesAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{}
		b := broker.New(source, broker.Options{})
		app := testApp()
		began := time.Now()
		first, last := time.Duration(0), time.Duration(0)
		for sec := 0; sec < 600; sec++ {
			before := source.calls.Load()
			for i := range 50 {
				must(t, b, coze.TokenRequest{App: app, Session: fmt.Sprint(i)}, broker.GetOptions{})
			}
			synctest.Wait()
			if source.calls.Load() > before && sec > 0 {
				if first == 0 {
					first = time.Since(began)
				}
				if source.calls.Load() <= 100 {
					last = time.Since(began)
				}
			}
			time.Sleep(time.Second)
		}
		if first < 360*time.Second || last > 541*time.Second || last-first < 60*time.Second {
			t.Fatalf("refreshed from %v to %v", first, last)
		}
	})
}

func TestFailedRefreshKeepsTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := false
		source := &fake{fail: func(int64, coze.TokenRequest) error {
			if down {
				return &coze.Error{Kind: coze.Unavailable, Status: 502}
			}
			return nil
		}}
		var log logs
		b := broker.New(source, broker.Options{Log: log.logger()})
		request := coze.TokenRequest{App: testApp()}
		first := must(t, b, request, broker.GetOptions{})
		down = true
		for range 599 {
			if got := must(t, b, request, broker.GetOptions{}); got.Token != first.Token {
				t.Fatal("another token")
			}
			time.Sleep(time.Second)
		}
		n := source.calls.Load()
		if n < 5 || n > 40 {
			t.Errorf("%d exchanges: the refresh is to be tried again, with pauses", n)
		}
		if lines := log.lines(); lines < 1 || lines > 5 {
			t.Errorf("%d lines in four minutes of trouble:\n%s", lines, log.String())
		}
		time.Sleep(2 * time.Second)
		if e := fails(t, b, request, coze.Unavailable); e.RetryAfter <= 0 {
			t.Error("no RetryAfter")
		}
		down = false
		time.Sleep(40 * time.Second)
		must(t, b, request, broker.GetOptions{})
	})
}

func TestStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{latency: 100 * time.Millisecond}
		b := broker.New(source, broker.Options{})
		request := coze.TokenRequest{App: testApp()}
		old := must(t, b, request, broker.GetOptions{})
		time.Sleep(11 * time.Second)
		if got := must(t, b, request, broker.GetOptions{Stale: "another"}); got.Token != old.Token {
			t.Fatal("a stale token that is not the remembered one changes nothing")
		}
		var wg sync.WaitGroup
		for range 100 { // a storm
			wg.Go(func() {
				if got := must(t, b, request, broker.GetOptions{Stale: old.Token.AccessToken}); got.Token == old.Token {
					t.Error("the stale token again")
				}
			})
		}
		synctest.Wait()
		if got := must(t, b, request, broker.GetOptions{}); got.Token != old.Token {
			t.Error("others are to keep the old token until there is a new one")
		}
		wg.Wait()
		source.expect(t, 2)
		fresh := must(t, b, request, broker.GetOptions{})
		if fresh.Token == old.Token {
			t.Fatal("the new token is not remembered")
		}
		for range 50 { // it goes on, each with the newest token, as with a 4101 that no token helps against
			fresh = must(t, b, request, broker.GetOptions{Stale: fresh.Token.AccessToken})
			time.Sleep(100 * time.Millisecond)
		}
		source.expect(t, 2)
		time.Sleep(10 * time.Second)
		must(t, b, request, broker.GetOptions{Stale: fresh.Token.AccessToken})
		source.expect(t, 3)
	})
}

func TestOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{fail: func(n int64, _ coze.TokenRequest) error {
			if n > 3 {
				return refused()
			}
			return nil
		}}
		b := broker.New(source, broker.Options{Off: true, Budget: 8})
		request := coze.TokenRequest{App: testApp()}
		for range 3 {
			if got := must(t, b, request, broker.GetOptions{}); got.CacheStatus != broker.Miss {
				t.Fatal(got.CacheStatus)
			}
		}
		for range 5 {
			fails(t, b, request, coze.Rejected)
		}
		source.expect(t, 8)
		fails(t, b, request, coze.Busy)
	})
}

func TestHitsDoNotAllocate(t *testing.T) {
	b := broker.New(&fake{}, broker.Options{})
	request := coze.TokenRequest{App: testApp(), Session: "anna"}
	ctx := t.Context()
	must(t, b, request, broker.GetOptions{})
	options := broker.GetOptions{MinTTL: 400 * time.Second, Stale: "x"}
	if n := testing.AllocsPerRun(1000, func() { b.Get(ctx, request, options) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	var source coze.Source = b
	if n := testing.AllocsPerRun(1000, func() { source.Token(ctx, request) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
