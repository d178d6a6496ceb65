package broker_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"coze-token/broker"
	"coze-token/coze"
)

func TestOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{latency: 300 * time.Millisecond}
		b := broker.New(source, broker.Options{})
		var minted, joined atomic.Int64
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				got := must(t, b, coze.TokenRequest{App: testApp(), Session: "anna"}, broker.GetOptions{})
				switch got.CacheStatus {
				case broker.Miss:
					minted.Add(1)
				case broker.Collapsed:
					joined.Add(1)
				}
			})
		}
		wg.Wait()
		source.expect(t, 1)
		if minted.Load() != 1 || joined.Load() != 999 {
			t.Errorf("%d minted, %d joined", minted.Load(), joined.Load())
		}
	})
}

// The same without synctest, on real threads, with an exchange that takes no time: no caller may come
// between the end of a call and the table.
func TestOneCallOnThreads(t *testing.T) {
	for range 1000 {
		source := &fake{}
		b := broker.New(source, broker.Options{})
		app := testApp()
		start := make(chan struct{})
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				<-start
				must(t, b, coze.TokenRequest{App: app, Session: "anna"}, broker.GetOptions{})
			})
		}
		close(start)
		wg.Wait()
		source.expect(t, 1)
	}
}

func TestLeaderLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{latency: time.Second}
		b := broker.New(source, broker.Options{})
		request := coze.TokenRequest{App: testApp()}
		gone, leave := context.WithCancelCause(t.Context())
		reason := errors.New("the visitor closed the page")
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := b.Get(gone, request, broker.GetOptions{})
			var e *coze.Error
			if !errors.As(err, &e) || e.Kind != coze.Timeout || !errors.Is(err, reason) {
				t.Error(err)
			}
		})
		synctest.Wait()
		for range 3 {
			wg.Go(func() { must(t, b, request, broker.GetOptions{}) })
		}
		hurried, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		wg.Go(func() {
			began := time.Now()
			_, err := b.Get(hurried, request, broker.GetOptions{})
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 500*time.Millisecond {
				t.Error(err, time.Since(began))
			}
		})
		synctest.Wait()
		leave(reason)
		wg.Wait()
		source.expect(t, 1)
	})
}

func TestGoneCallersStartNothing(t *testing.T) {
	source := &fake{}
	b := broker.New(source, broker.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Get(ctx, coze.TokenRequest{App: testApp()}, broker.GetOptions{}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	source.expect(t, 0)
}

func TestCallEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{latency: time.Hour}
		b := broker.New(source, broker.Options{Timeout: 4 * time.Second})
		began := time.Now()
		fails(t, b, coze.TokenRequest{App: testApp()}, coze.Timeout)
		if time.Since(began) != 4*time.Second {
			t.Error(time.Since(began))
		}
		synctest.Wait()
		if st := b.Stats(); st.Calls != 0 || source.running.Load() != 0 {
			t.Errorf("%+v, %d running", st, source.running.Load())
		}
	})
}

// On Workers the goroutine of a call stops with the last request that keeps the isolate awake. Later
// callers must not wait for it.
func TestLostCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{}
		var lost []func()
		b := broker.New(source, broker.Options{Go: func(f func()) {
			if lost == nil {
				lost = append(lost, f)
				return
			}
			go f()
		}})
		request := coze.TokenRequest{App: testApp()}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Get(ctx, request, broker.GetOptions{}); err == nil {
			t.Fatal("who made this token?")
		}
		time.Sleep(20 * time.Second)
		got := must(t, b, request, broker.GetOptions{})
		lost[0]() // awake again
		if again := must(t, b, request, broker.GetOptions{}); again.Token != got.Token {
			t.Error("the call that was lost pushed out the token of its successor")
		}
	})
}

// A refresh that was lost is made up for while the token is good.
func TestLostRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{}
		calls := 0
		b := broker.New(source, broker.Options{Go: func(f func()) {
			if calls++; calls != 2 {
				go f()
			}
		}})
		request := coze.TokenRequest{App: testApp(), Duration: time.Hour}
		for calls < 2 {
			must(t, b, request, broker.GetOptions{})
			time.Sleep(time.Second)
		}
		for range 60 {
			must(t, b, request, broker.GetOptions{})
			time.Sleep(time.Second)
		}
		source.expect(t, 2)
	})
}

func TestSourceMisbehaves(t *testing.T) {
	for name, misbehave := range map[string]func() (coze.Token, error){
		"panics":        func() (coze.Token, error) { panic("the source's own trouble") },
		"exits":         func() (coze.Token, error) { runtime.Goexit(); return coze.Token{}, nil },
		"empty token":   func() (coze.Token, error) { return coze.Token{Expiry: time.Now().Add(time.Hour)}, nil },
		"expired token": func() (coze.Token, error) { return coze.Token{AccessToken: "x", Expiry: time.Now()}, nil },
		"plain error":   func() (coze.Token, error) { return coze.Token{}, errors.New("no") },
		"nil error":     func() (coze.Token, error) { return coze.Token{}, (*coze.Error)(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			b := broker.New(sourceFunc(misbehave), broker.Options{})
			for range 3 {
				fails(t, b, coze.TokenRequest{App: testApp()}, coze.Unavailable)
			}
			if st := b.Stats(); st.Calls != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

type sourceFunc func() (coze.Token, error)

func (f sourceFunc) Token(context.Context, coze.TokenRequest) (coze.Token, error) { return f() }

// A call that was lost may end while its successor goes on. The successor's callers must not be
// forgotten.
func TestLostCallEndsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		source := sourceFunc(func() (coze.Token, error) {
			if calls.Add(1) == 2 {
				return coze.Token{}, &coze.Error{Kind: coze.InvalidRequest}
			}
			time.Sleep(5 * time.Second)
			return coze.Token{AccessToken: "x", Expiry: time.Now().Add(time.Hour)}, nil
		})
		var lost func()
		b := broker.New(source, broker.Options{Go: func(f func()) {
			if lost == nil {
				lost = f
				return
			}
			go f()
		}})
		request := coze.TokenRequest{App: testApp(), Duration: time.Hour}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		b.Get(ctx, request, broker.GetOptions{})
		time.Sleep(20 * time.Second)
		go b.Get(t.Context(), request, broker.GetOptions{}) // its successor
		synctest.Wait()
		lost()
		go b.Get(t.Context(), request, broker.GetOptions{}) // is to join that
		synctest.Wait()
		if n := calls.Load(); n != 2 {
			t.Errorf("%d exchanges, want 2", n)
		}
		time.Sleep(time.Minute)
	})
}

func TestErrorsAreEachCallersOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{latency: time.Second, fail: func(int64, coze.TokenRequest) error { return refused() }}
		b := broker.New(source, broker.Options{})
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				_, err := b.Get(t.Context(), coze.TokenRequest{App: testApp()}, broker.GetOptions{})
				e := err.(*coze.Error)
				if e.Message == "mine" {
					t.Error("another caller's error")
				}
				e.Message = "mine"
			})
		}
		wg.Wait()
		if e := fails(t, b, coze.TokenRequest{App: testApp()}, coze.Rejected); e.Message == "mine" {
			t.Error("another caller's error")
		}
	})
}
