package broker_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"coze-token/broker"
	"coze-token/coze"
)

func otherApp() *coze.App {
	a := testApp()
	a.ClientID = "app-2"
	return a
}

// spend asks for tokens of new sessions until one is refused, and returns how many there were.
func spend(t *testing.T, b *broker.Broker, app *coze.App, name string, o broker.GetOptions) int {
	t.Helper()
	for n := range 1000 {
		_, err := b.Get(t.Context(), coze.TokenRequest{App: app, Session: fmt.Sprint(name, n)}, o)
		if errors.Is(err, broker.ErrBudget) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the budget never ends")
	return 0
}

func TestEachAppHasItsPartOfTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(&fake{}, broker.Options{Budget: 16})
		one, two := testApp(), otherApp()
		b.Use(one, two)
		if n := spend(t, b, one, "a", broker.GetOptions{}); n != 12 { // its own 4, and the common 8
			t.Errorf("one app spent %d", n)
		}
		if n := spend(t, b, two, "a", broker.GetOptions{}); n != 4 {
			t.Errorf("%d were left to the other app, not its own 4", n)
		}
		if left := b.Stats().BudgetLeft; left >= 1 {
			t.Errorf("%v are left", left)
		}
		b.Use(testApp(), otherApp()) // a reload gives nothing back
		if n := spend(t, b, one, "b", broker.GetOptions{}); n != 0 {
			t.Errorf("a reload brought %d", n)
		}
	})
}

func TestAReloadGivesTheBudgetOfOneAppNotBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(&fake{}, broker.Options{Budget: 8})
		b.Use(testApp())
		if n := spend(t, b, testApp(), "a", broker.GetOptions{}); n != 8 {
			t.Errorf("%d were spent, not all 8", n)
		}
		b.Use(testApp())
		if n := spend(t, b, testApp(), "b", broker.GetOptions{}); n != 0 {
			t.Errorf("a reload brought %d", n)
		}
	})
}

func TestHalfOfTheBudgetIsForThoseWhoProveWhoTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(&fake{}, broker.Options{Budget: 20})
		if n := spend(t, b, testApp(), "visitor", broker.GetOptions{Anonymous: true}); n != 10 {
			t.Errorf("the anonymous spent %d", n)
		}
		if n := spend(t, b, testApp(), "user", broker.GetOptions{}); n != 10 {
			t.Errorf("%d were left to others", n)
		}
	})
}

func TestOnlySoManyExchangesAreUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{latency: 10 * time.Second}
		b := broker.New(source, broker.Options{MaxExchanges: 8})
		one, two := testApp(), otherApp()
		b.Use(one, two)
		var calls sync.WaitGroup
		ask := func(app *coze.App, n int, err *error) {
			calls.Go(func() {
				_, *err = b.Get(t.Context(), coze.TokenRequest{App: app, Session: fmt.Sprint(n)}, broker.GetOptions{})
			})
		}
		errs := make([]error, 20)
		for i := range errs {
			ask(one, i, &errs[i])
		}
		synctest.Wait()
		if n := source.running.Load(); n != 6 { // its own 2, and the common 4
			t.Errorf("%d are under way", n)
		}
		var other error
		ask(two, 0, &other)
		synctest.Wait()
		if n := source.running.Load(); n != 7 {
			t.Errorf("%d are under way; the other app has 2 of its own", n)
		}
		calls.Wait()
		busy := 0
		for _, err := range errs {
			var e *coze.Error
			if errors.As(err, &e) && errors.Is(err, broker.ErrExchanges) && e.RetryAfter == time.Second {
				busy++
			} else if err != nil {
				t.Error(err)
			}
		}
		if busy != 14 || other != nil {
			t.Errorf("%d were refused, not 14; the other app: %v", busy, other)
		}
		must(t, b, coze.TokenRequest{App: one, Session: "busy before"}, broker.GetOptions{}) // nothing stays taken
	})
}

func TestAdmitIsAskedBeforeAnExchangeOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{}
		b := broker.New(source, broker.Options{})
		never := broker.GetOptions{Admit: func() bool { return false }}
		request := coze.TokenRequest{App: testApp(), Session: "s"}
		if _, err := b.Get(t.Context(), request, never); !errors.Is(err, broker.ErrNotAdmitted) {
			t.Errorf("%v", err)
		}
		source.expect(t, 0)
		must(t, b, request, broker.GetOptions{})
		must(t, b, request, never)
		source.expect(t, 1)
	})
}

// One client's sessions that Coze refuses, or fails at, cost others nothing. When clients that have
// nothing in common fail, the app rests for all.
func TestOneClientsFailuresAreItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := false
		source := &fake{fail: func(_ int64, request coze.TokenRequest) error {
			if down || request.Session[0] == 'x' {
				return &coze.Error{Kind: coze.Unavailable, Status: 500}
			}
			return nil
		}}
		b := broker.New(source, broker.Options{})
		app := testApp()
		n := 0
		get := func(client, session string) error {
			n++
			_, err := b.Get(t.Context(), coze.TokenRequest{App: app, Session: fmt.Sprint(session, n)},
				broker.GetOptions{Client: client})
			return err
		}
		for range 60 { // the attacker asks without a pause, and somebody new comes every second
			for range 10 {
				if get("attacker", "x") == nil {
					t.Fatal("a token for a session that Coze refuses")
				}
			}
			if err := get(fmt.Sprint("client", n), "u"); err != nil {
				t.Fatalf("a new client is refused for what another one did: %v", err)
			}
			time.Sleep(time.Second)
		}
		if calls := source.calls.Load(); calls > 300 {
			t.Errorf("%d exchanges: the attacker does not rest", calls)
		}
		down = true
		for i := range 100 {
			get(fmt.Sprint("client", i), "u")
		}
		before := source.calls.Load()
		if get("yet another", "u") == nil || source.calls.Load() != before {
			t.Error("the app does not rest for all")
		}
		down = false
		time.Sleep(time.Minute)
		if err := get("yet another", "u"); err != nil {
			t.Error(err)
		}
	})
}
