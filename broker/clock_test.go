package broker_test

import (
	"errors"
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

// dated is a transport to Coze, whose clock is off by some time, or to a proxy that answers in its place.
type dated struct {
	off     time.Duration
	latency time.Duration
	header  func(time.Time) string
	proxy   bool
}

func (d *dated) RoundTrip(*http.Request) (*http.Response, error) {
	time.Sleep(d.latency)
	header := http.Header{}
	if !d.proxy {
		header.Set("X-Tt-Logid", "2026")
	}
	if d.header != nil {
		header.Set("Date", d.header(time.Now().Add(d.off)))
	} else {
		header.Set("Date", time.Now().Add(d.off).UTC().Format(http.TimeFormat))
	}
	return &http.Response{StatusCode: 401, Header: header, Body: http.NoBody}, nil
}

func TestClock(t *testing.T) {
	tests := []struct {
		off, latency time.Duration
		want, error  time.Duration
		lines        int
		log          string
	}{
		{0, 0, 0, 0, 0, ""},
		{0, 10 * time.Second, 0, 0, 0, ""},
		{1500 * time.Millisecond, time.Second, 0, 0, 0, ""},
		{-1500 * time.Millisecond, 0, 0, 0, 0, ""},
		{10 * time.Second, 0, 10 * time.Second, time.Second, 0, ""},
		{-10 * time.Second, 300 * time.Millisecond, -10 * time.Second, time.Second, 0, ""},
		{35 * time.Second, 0, 35 * time.Second, time.Second, 1, `"3`},
		{time.Hour, time.Second, time.Hour, 1500 * time.Millisecond, 1, `slow"`},
		{-24 * time.Hour, 0, -24 * time.Hour, time.Second, 1, `fast"`},
	}
	for _, test := range tests {
		t.Run(test.off.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(123456 * time.Microsecond)
				var log logs
				clock := &broker.Clock{Log: log.logger()}
				transport := clock.Watch(&dated{off: test.off, latency: test.latency})
				var by time.Duration
				for i := range 20 {
					if _, err := transport.RoundTrip(nil); err != nil {
						t.Fatal(err)
					}
					if d := clock.Now().Sub(time.Now()) - test.want; d.Abs() > test.error {
						t.Fatalf("wrong by %v", d)
					}
					if d := clock.Now().Sub(time.Now()); i > 0 && d != by {
						t.Fatalf("moved by %v without a reason", d-by)
					} else {
						by = d
					}
					time.Sleep(777 * time.Millisecond)
				}
				if log.lines() != test.lines || !strings.Contains(log.String(), test.log) {
					t.Errorf("%d lines, want %d with %q: %s", log.lines(), test.lines, test.log, log.String())
				}
			})
		})
	}
}

func TestClockIgnoresNonsense(t *testing.T) {
	clock := &broker.Clock{}
	for _, date := range []string{"", "yesterday", "0"} {
		clock.Watch(&dated{header: func(time.Time) string { return date }}).RoundTrip(nil)
	}
	clock.Watch(broken{}).RoundTrip(nil)
	if d := time.Until(clock.Now()); d.Abs() > time.Second {
		t.Error(d)
	}
}

type broken struct{}

func (broken) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no network") }

// answers lets a clock see answers of Coze's, each from a server whose clock is off by that much.
func answers(clock *broker.Clock, offs ...time.Duration) {
	for _, off := range offs {
		clock.Watch(&dated{off: off}).RoundTrip(nil)
	}
}

func TestClockBelievesNoSingleAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		offs []time.Duration
		want time.Duration
	}{
		"the first":                 {[]time.Duration{time.Hour}, time.Hour},
		"one against one":           {[]time.Duration{0, -2 * time.Hour}, 0},
		"one against many":          {[]time.Duration{0, 0, 0, -2 * time.Hour, 0}, 0},
		"now and then":              {[]time.Duration{0, time.Hour, 0, time.Hour, 0, time.Hour}, 0},
		"two that do not agree":     {[]time.Duration{0, time.Hour, -2 * time.Hour}, 0},
		"two that agree":            {[]time.Duration{0, time.Hour, time.Hour + time.Second}, time.Hour},
		"the first was wrong":       {[]time.Duration{-2 * time.Hour, 0, 0}, 0},
		"the machine's is slewed":   {[]time.Duration{10 * time.Second, 7 * time.Second, 7 * time.Second, 0, 0}, 0},
		"two that agree with a lie": {[]time.Duration{time.Minute, time.Hour, time.Minute, time.Hour}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock := &broker.Clock{}
				answers(clock, test.offs...)
				if d := clock.Now().Sub(time.Now()) - test.want; d.Abs() > 1500*time.Millisecond {
					t.Errorf("wrong by %v", d)
				}
			})
		})
	}
}

// A proxy's clock is anyone's.
func TestClockBelievesOnlyCoze(t *testing.T) {
	clock := &broker.Clock{}
	for range 5 {
		clock.Watch(&dated{off: -2 * time.Hour, proxy: true}).RoundTrip(nil)
	}
	if d := time.Until(clock.Now()); d.Abs() > time.Second {
		t.Error(d)
	}
}

// However wrong the clock, a token is not handed out for longer than it was asked for.
func TestWrongClockDoesNotMakeTokensLiveLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := &broker.Clock{}
		answers(clock, -2*time.Hour) // the first, so it is believed
		source := &fake{}
		b := broker.New(source, broker.Options{Now: clock.Now})
		for range 3600 {
			if got := must(t, b, coze.TokenRequest{App: testApp()}, broker.GetOptions{}); time.Until(got.Token.Expiry) < 290*time.Second {
				t.Fatalf("%v left", time.Until(got.Token.Expiry))
			}
			time.Sleep(time.Second)
		}
		if n := source.calls.Load(); n > 12 {
			t.Errorf("%d exchanges in an hour", n)
		}
	})
}

// Coze refuses assertions from the future and from long ago. The refusal says what time it is, so the first caller has a token already.
func TestFirstExchangeOfAWrongClock(t *testing.T) {
	for _, off := range []time.Duration{-2 * time.Hour, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			clock := &broker.Clock{Base: func() time.Time { return time.Now().Add(off) }}
			transport := clock.Watch(&dated{latency: 300 * time.Millisecond})
			refuse := false
			source := &fake{fail: func(int64, coze.TokenRequest) error {
				signed := clock.Now()
				transport.RoundTrip(nil)
				if d := time.Until(signed); refuse || d > time.Second || d < -time.Hour {
					return refused()
				}
				return nil
			}}
			b := broker.New(source, broker.Options{Now: clock.Now})
			must(t, b, coze.TokenRequest{App: testApp()}, broker.GetOptions{})
			source.expect(t, 2)
			// A refusal that is about something else is not tried again.
			refuse = true
			fails(t, b, coze.TokenRequest{App: testApp(), Session: "a"}, coze.Rejected)
			source.expect(t, 3)
			if n := b.Stats().Exchanges; n != 3 {
				t.Errorf("%d exchanges are counted", n)
			}
		})
	}
}

// An exchange is under way for as long as it is, whatever becomes of the clock meanwhile.
func TestClockSetWhileInFlight(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			var off atomic.Int64
			source := &fake{latency: 2 * time.Second}
			flights := 0
			b := broker.New(source, broker.Options{
				Now: func() time.Time { return time.Now().Add(time.Duration(off.Load())) },
				Go: func(f func()) {
					if flights++; flights != 2 { // the second is lost
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

// A machine whose clock is an hour fast: tokens last as long as Coze says, no more and no less.
func TestClockAndTokens(t *testing.T) {
	for _, off := range []time.Duration{-time.Hour, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			clock := &broker.Clock{Base: func() time.Time { return time.Now().Add(off) }} // the bubble's time is Coze's
			clock.Watch(&dated{}).RoundTrip(nil)
			source := &fake{}
			b := broker.New(source, broker.Options{Now: clock.Now})
			grant := coze.TokenRequest{App: testApp()}
			for range 3600 {
				got := must(t, b, grant, broker.GetOptions{})
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
