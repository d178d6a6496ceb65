package broker_test

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"coze-token/broker"
	"coze-token/coze"
)

// dated answers as Coze, whose clock is off by that much.
type dated time.Duration

func (off dated) RoundTrip(*http.Request) (*http.Response, error) {
	now := time.Now().Add(time.Duration(off))
	return &http.Response{
		StatusCode: 200,
		Header:     http.Header{"X-Tt-Logid": {"2026"}, "Date": {now.UTC().Format(http.TimeFormat)}},
		Body:       io.NopCloser(strings.NewReader(fmt.Sprintf(`{"access_token":"x","expires_in":%d}`, now.Unix()+900))),
	}, nil
}

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// see lets a clock see an answer of Coze, whose own clock is off by that much.
func see(t *testing.T, clock *coze.Clock, off time.Duration) {
	t.Helper()
	key, err := rsaKey()
	if err != nil {
		t.Fatal(err)
	}
	app := testApp()
	app.Keys = []coze.Key{{ID: "kid", Signer: key}}
	client := &coze.Client{Transport: dated(off), Clock: clock}
	if _, err := client.Token(t.Context(), coze.TokenRequest{App: app}); err != nil {
		t.Fatal(err)
	}
}

// However wrong the clock, a token is not handed out for longer than it was asked for.
func TestWrongClockDoesNotMakeTokensLiveLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := &coze.Clock{}
		see(t, clock, -2*time.Hour) // the first, so it is believed
		source := &fake{}
		b := broker.New(source, broker.Options{Now: clock.Now})
		for range 3600 {
			got := must(t, b, coze.TokenRequest{App: testApp()}, broker.GetOptions{})
			if left := time.Until(got.Token.Expiry); left < 290*time.Second {
				t.Fatalf("%v left", left)
			}
			time.Sleep(time.Second)
		}
		if n := source.calls.Load(); n > 12 {
			t.Errorf("%d exchanges in an hour", n)
		}
	})
}

// A machine whose clock is an hour fast or slow: tokens last as long as Coze says.
func TestClockAndTokens(t *testing.T) {
	for _, off := range []time.Duration{-time.Hour, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			clock := &coze.Clock{Base: func() time.Time { return time.Now().Add(off) }} // the bubble's time is Coze's
			see(t, clock, 0)
			source := &fake{}
			b := broker.New(source, broker.Options{Now: clock.Now})
			request := coze.TokenRequest{App: testApp()}
			for range 3600 {
				got := must(t, b, request, broker.GetOptions{})
				if left := time.Until(got.Token.Expiry); left < 298*time.Second {
					t.Fatalf("%v left", left)
				}
				time.Sleep(time.Second)
			}
			if n := source.calls.Load(); n < 6 || n > 12 {
				t.Errorf("%d exchanges in an hour", n)
			}
		})
	}
}

// An exchange goes on for as long as it does, whatever becomes of the clock meanwhile.
func TestClockSetDuringACall(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			var off atomic.Int64
			source := &fake{latency: 2 * time.Second}
			calls := 0
			b := broker.New(source, broker.Options{
				Now: func() time.Time { return time.Now().Add(time.Duration(off.Load())) },
				Go: func(f func()) {
					if calls++; calls != 2 { // the second is lost
						go f()
					}
				},
			})
			app := testApp()
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() { must(t, b, coze.TokenRequest{App: app, Duration: 10 * time.Hour}, broker.GetOptions{}) })
				time.Sleep(time.Second)
				off.Store(int64(step))
			}
			wg.Wait()
			source.expect(t, 1)

			off.Store(0)
			lost := coze.TokenRequest{App: app, Session: "lost", Duration: 10 * time.Hour}
			b.Get(t.Context(), lost, broker.GetOptions{Wait: time.Second})
			off.Store(int64(step))
			time.Sleep(broker.DefaultTimeout)
			must(t, b, lost, broker.GetOptions{})
		})
	}
}
