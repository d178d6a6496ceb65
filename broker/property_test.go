package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"coze-token/broker"
	"coze-token/broker/storetest"
	"coze-token/coze"
)

// A call is one caller's, drawn by chance.
type call struct {
	at       time.Duration // after the call before
	replica  int
	session  string
	duration time.Duration
	minTTL   time.Duration
	patience time.Duration // 0: for ever
	stale    bool          // says that the last token it saw is dead
}

// Weather is what happens behind the brokers, by the number of the operation.
type weather struct {
	latency []time.Duration
	faults  []error
	store   []string
}

func drawCalls(t *rapid.T) []call {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) call {
		c := call{
			replica: rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "replica"),
			session: rapid.SampledFrom([]string{"", "a", "a", "ab"}).Draw(t, "session"),
			duration: rapid.SampledFrom([]time.Duration{
				900 * time.Second, 900 * time.Second, 10 * time.Second, 4 * time.Hour,
			}).Draw(t, "duration"),
			stale: rapid.SampledFrom([]bool{false, false, false, false, true}).Draw(t, "stale"),
		}
		// Sampled, because rapid's ranges prefer small numbers, and what goes wrong goes wrong late in a token's life.
		c.at = rapid.SampledFrom([]time.Duration{
			0, 0, 0, time.Millisecond, 300 * time.Millisecond, time.Second, 4 * time.Second, 11 * time.Second,
			50 * time.Second, 200 * time.Second, 420 * time.Second, 590 * time.Second, time.Hour,
		}).Draw(t, "at")
		percent := rapid.SampledFrom([]time.Duration{0, 0, 0, 10, 50, 89, 95, 100}).Draw(t, "min_ttl")
		c.minTTL = c.duration / 100 * percent
		c.patience = rapid.SampledFrom([]time.Duration{
			0, 0, 0, 1, 200 * time.Millisecond, 3 * time.Second,
		}).Draw(t, "patience")
		return c
	}), 100, 200).Draw(t, "calls")
}

func drawWeather(t *rapid.T) weather {
	return weather{
		latency: rapid.SliceOfN(rapid.SampledFrom([]time.Duration{
			0, 10 * time.Millisecond, 300 * time.Millisecond, 3 * time.Second, 20 * time.Second,
		}), 1, 10).Draw(t, "latency"),
		faults: rapid.SliceOfN(rapid.SampledFrom([]error{nil, nil, nil,
			&coze.Error{Kind: coze.Rejected, Code: "invalid_client"},
			&coze.Error{Kind: coze.Rejected, Code: "invalid_request"},
			&coze.Error{Kind: coze.Busy, RetryAfter: 3 * time.Second},
			&coze.Error{Kind: coze.Unavailable, Status: 502},
			&coze.Error{Kind: coze.InvalidRequest},
			errors.New("plain"),
		}), 1, 10).Draw(t, "faults"),
		store: rapid.SliceOfN(rapid.SampledFrom([]string{"", "", "", "error", "slow", "hang"}), 1, 10).Draw(t, "store"),
	}
}

// TestAnyOrder lets any calls meet any weather. Whatever happens: no caller gets a token of another
// request, or one with less life than promised; none waits longer than it wants to; failures are
// *coze.Error; a broker does not exchange a token more often than every tenth of its duration; no call
// goes on in the end.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		calls, w := drawCalls(rt), drawWeather(rt)
		size := rapid.SampledFrom([]int{1, 3, 1000}).Draw(rt, "size")
		shared := rapid.Bool().Draw(rt, "shared")
		perMinute := rapid.SampledFrom([]int{2, 1000, -1}).Draw(rt, "budget")
		var wrong string
		synctest.Test(t, func(t *testing.T) { wrong = play(t, calls, w, size, shared, perMinute) })
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

func play(t *testing.T, calls []call, w weather, size int, shared bool, perMinute int) string {
	var mu sync.Mutex
	var wrong []string
	complain := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		wrong = append(wrong, fmt.Sprintf(format, args...))
	}
	store := &storetest.Memory{}
	operations := 0
	store.Fault = func(ctx context.Context, _ string) error {
		mu.Lock()
		operations++
		weather := w.store[operations%len(w.store)]
		mu.Unlock()
		switch weather {
		case "error":
			return errors.New("no")
		case "slow":
			time.Sleep(100 * time.Millisecond)
		case "hang":
			time.Sleep(10 * time.Second)
		}
		return nil
	}
	sources := make([]*recorder, 2)
	brokers := make([]*broker.Broker, 2)
	for i := range brokers {
		sources[i] = &recorder{weather: w, begun: map[string]time.Time{}, complain: complain, kept: size == 1000}
		o := broker.Options{Size: size, Budget: perMinute}
		if shared {
			o.Store, o.Secret = store, secret
		}
		brokers[i] = broker.New(sources[i], o)
	}
	app := testApp()
	seen := map[string]string{} // the last token :: request
	var wg sync.WaitGroup
	for _, c := range calls {
		time.Sleep(c.at)
		wg.Go(func() {
			ctx := t.Context()
			if c.patience > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.patience)
				defer cancel()
			}
			request := coze.TokenRequest{App: app, Session: c.session, Duration: c.duration}
			name := fmt.Sprintf("czs_%s_%s_%s_", app.ClientID, c.session, c.duration)
			want := broker.GetOptions{MinTTL: c.minTTL}
			mu.Lock()
			if c.stale {
				want.Stale = seen[name]
			}
			mu.Unlock()
			began := time.Now()
			got, err := brokers[c.replica].Get(ctx, request, want)
			waited := time.Since(began)
			if c.patience > 0 && waited > c.patience || waited > 60*time.Second {
				complain("%+v waited %v", c, waited)
			}
			if err != nil {
				var e *coze.Error
				if !errors.As(err, &e) || e.Kind == "" {
					complain("%+v: error %v", c, err)
				}
				if got.Token != (coze.Token{}) {
					complain("%+v: a token and an error", c)
				}
				return
			}
			if !strings.HasPrefix(got.Token.AccessToken, name) || strings.Count(got.Token.AccessToken, "_") != 4 {
				complain("%+v got %s", c, got.Token.AccessToken)
			}
			// The fake cuts a token's life to whole seconds, so a second less than promised is possible with
			// fresh ones only.
			promised := max(min(300*time.Second, c.duration/3), c.minTTL)
			promised = min(promised, c.duration-min(10*time.Second, c.duration/10)-time.Second)
			if left := time.Until(got.Token.Expiry); left < promised {
				complain("%+v got a token with %v left, promised %v", c, left, promised)
			}
			mu.Lock()
			seen[name] = got.Token.AccessToken
			mu.Unlock()
		})
	}
	wg.Wait()
	time.Sleep(time.Minute)
	for i, b := range brokers {
		if st := b.Stats(); st.Calls != 0 || st.Entries > size || sources[i].running.Load() != 0 {
			complain("in the end %+v, %d running", st, sources[i].running.Load())
		}
	}
	return strings.Join(wrong, "\n")
}

// recorder is a fake with weather that watches how often each request is asked for.
type recorder struct {
	fake
	weather  weather
	complain func(string, ...any)
	kept     bool // nothing is evicted, so nothing may be exchanged twice
	begunMu  sync.Mutex
	begun    map[string]time.Time // the last success :: request
}

func (r *recorder) Token(ctx context.Context, request coze.TokenRequest) (coze.Token, error) {
	name := fmt.Sprint(request.Session, "|", request.Duration)
	r.begunMu.Lock()
	last, ok := r.begun[name]
	r.begunMu.Unlock()
	if again := min(10*time.Second, request.Duration/10); ok && r.kept && time.Since(last) < again {
		r.complain("%s exchanged %v after the last time", name, time.Since(last))
	}
	n := int(r.calls.Load())
	select {
	case <-time.After(r.weather.latency[n%len(r.weather.latency)]):
	case <-ctx.Done():
	}
	if err := r.weather.faults[n%len(r.weather.faults)]; err != nil {
		r.calls.Add(1)
		return coze.Token{}, err
	}
	token, err := r.fake.Token(ctx, request)
	r.begunMu.Lock()
	r.begun[name] = time.Now()
	r.begunMu.Unlock()
	return token, err
}
