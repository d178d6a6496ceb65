package coze_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"coze-token/coze"
)

// dated is a transport to Coze, whose clock is off, or to a proxy that answers in its place.
type dated struct {
	off     time.Duration
	latency time.Duration
	date    string // the header, if it is not that clock's time
	proxy   bool
	refuses func(issued time.Time) bool
	sent    int
	t       *testing.T // where refuses is set
}

func (d *dated) RoundTrip(r *http.Request) (*http.Response, error) {
	d.sent++
	time.Sleep(d.latency)
	now := time.Now().Add(d.off)
	headers := []string{"Date", now.UTC().Format(http.TimeFormat)}
	if d.date != "" {
		headers[1] = d.date
	}
	if !d.proxy {
		headers = append(headers, "X-Tt-Logid", "2026")
	}
	if d.refuses != nil {
		_, claims, _ := claimsOf(d.t, r)
		if d.refuses(time.Unix(int64(claims["iat"].(float64)), 0)) {
			return says(401, `{"error_code":"invalid_client","error_message":"no"}`, headers...)(r)
		}
	}
	return says(200, fmt.Sprintf(`{"access_token":"x","expires_in":%d}`, now.Unix()+900), headers...)(r)
}

// ask lets a clock see an answer. The token does not matter.
func ask(t *testing.T, clock *coze.Clock, transport http.RoundTripper) (coze.Token, error) {
	a := app()
	a.Keys[0].Signer = stamp{rsaKey()}
	client := &coze.Client{Transport: transport, Clock: clock}
	return client.Token(t.Context(), coze.TokenRequest{App: a})
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
				var log bytes.Buffer
				clock := &coze.Clock{Log: slog.New(slog.NewTextHandler(&log, nil))}
				transport := &dated{off: test.off, latency: test.latency}
				var by time.Duration
				for i := range 20 {
					if _, err := ask(t, clock, transport); err != nil {
						t.Fatal(err)
					}
					moved := clock.Now().Sub(time.Now()) - by
					by += moved
					if d := by - test.want; d.Abs() > test.error {
						t.Fatalf("wrong by %v", d)
					}
					if i > 0 && moved != 0 {
						t.Fatalf("moved by %v without a reason", moved)
					}
					time.Sleep(777 * time.Millisecond)
				}
				if n := strings.Count(log.String(), "\n"); n != test.lines || !strings.Contains(log.String(), test.log) {
					t.Errorf("%d lines, want %d with %q: %s", n, test.lines, test.log, &log)
				}
			})
		})
	}
}

// A Date that is missing or odd proves nothing, and neither does a proxy's clock.
func TestClockIgnores(t *testing.T) {
	for name, transport := range map[string]http.RoundTripper{
		"none":  &dated{date: " "},
		"words": &dated{date: "yesterday"},
		"zero":  &dated{date: "0"},
		"no network": &script{answers: []func(*http.Request) (*http.Response, error){breaks(io.EOF), breaks(io.EOF),
			breaks(io.EOF)}},
		"a proxy": &dated{off: -2 * time.Hour, proxy: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock := &coze.Clock{}
				for range 5 {
					ask(t, clock, transport)
				}
				if d := time.Until(clock.Now()); d != 0 {
					t.Error(d)
				}
			})
		})
	}
	var none *coze.Clock
	if d := time.Until(none.Now()); d.Abs() > time.Second {
		t.Error(d)
	}
}

func TestClockBelievesNoSingleAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		offs []time.Duration // of the servers that answer
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
				clock := &coze.Clock{}
				for _, off := range test.offs {
					ask(t, clock, &dated{off: off})
				}
				if d := clock.Now().Sub(time.Now()) - test.want; d.Abs() > 1500*time.Millisecond {
					t.Errorf("wrong by %v", d)
				}
			})
		})
	}
}

// Coze refuses assertions from the future and from long ago. The refusal says what time it is, so
// the first caller has a token already.
func TestFirstExchangeOfAWrongClock(t *testing.T) {
	for _, off := range []time.Duration{-2 * time.Hour, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			clock := &coze.Clock{Base: func() time.Time { return time.Now().Add(off) }}
			transport := &dated{t: t, latency: 300 * time.Millisecond, refuses: func(issued time.Time) bool {
				d := time.Until(issued)
				return d > time.Second || d < -time.Hour
			}}
			if _, err := ask(t, clock, transport); err != nil || transport.sent != 2 {
				t.Errorf("%d assertions were sent: %v", transport.sent, err)
			}
			// A refusal for another reason is not tried again.
			transport.refuses = func(time.Time) bool { return true }
			_, err := ask(t, clock, transport)
			if e, ok := errors.AsType[*coze.Error](err); !ok || e.Kind != coze.Rejected || e.Attempts != 1 ||
				transport.sent != 3 {
				t.Errorf("%d assertions were sent: %v", transport.sent, err)
			}
			// The assertions of both tries are counted.
			clock = &coze.Clock{Base: clock.Base}
			_, err = ask(t, clock, transport)
			if e, ok := errors.AsType[*coze.Error](err); !ok || e.Attempts != 2 || transport.sent != 5 {
				t.Errorf("%d assertions were sent: %v", transport.sent, err)
			}
		})
	}
}
