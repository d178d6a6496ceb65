package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"coze-token/broker"
	"coze-token/coze"
	"coze-token/internal/testlog"
)

// fake is the source behind: it names what it was asked for in the token, takes its time, and fails
// on demand.
type fake struct {
	latency time.Duration
	life    time.Duration // of its tokens, instead of the request's duration
	fail    func(n int64, request coze.TokenRequest) error
	calls   atomic.Int64
	running atomic.Int64
	mu      sync.Mutex
	by      map[string]int // exchanges :: session → number
}

func (f *fake) Token(ctx context.Context, request coze.TokenRequest) (coze.Token, error) {
	n := f.calls.Add(1)
	f.running.Add(1)
	defer f.running.Add(-1)
	f.mu.Lock()
	if f.by == nil {
		f.by = map[string]int{}
	}
	f.by[request.Session]++
	f.mu.Unlock()
	if f.latency > 0 {
		timer := time.NewTimer(f.latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return coze.Token{}, &coze.Error{Kind: coze.Timeout, Err: context.Cause(ctx)}
		}
	}
	if f.fail != nil {
		if err := f.fail(n, request); err != nil {
			return coze.Token{}, err
		}
	}
	if request.Duration == 0 {
		request.Duration = coze.DefaultDuration
	}
	life := f.life
	if life == 0 {
		life = request.Duration
	}
	return coze.Token{
		AccessToken: fmt.Sprintf("czs_%s_%s_%s_%d", request.App.ClientID, request.Session, request.Duration, n),
		Expiry:      time.Unix(time.Now().Add(life).Unix(), 0),
		Type:        "Bearer",
	}, nil
}

func (f *fake) expect(t *testing.T, n int64) {
	t.Helper()
	if got := f.calls.Load(); got != n {
		t.Fatalf("%d exchanges, want %d", got, n)
	}
}

func refused() error {
	return &coze.Error{
		Kind: coze.Rejected, Status: 401, Code: "invalid_client", Message: "invalid jwt: kid not been registred", Attempts: 1,
	}
}

func testApp() *coze.App {
	return &coze.App{ClientID: "app-1", Audience: "api.coze.cn", Endpoint: coze.China.Endpoint}
}

func must(t *testing.T, b *broker.Broker, request coze.TokenRequest, want broker.GetOptions) broker.Result {
	t.Helper()
	got, err := b.Get(t.Context(), request, want)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// fails is the error of a call that must fail, with its kind.
func fails(t *testing.T, b *broker.Broker, request coze.TokenRequest, kind coze.Kind) *coze.Error {
	t.Helper()
	got, err := b.Get(t.Context(), request, broker.GetOptions{})
	if err == nil {
		t.Fatalf("a token, %q, %s; want an error", got.Token.AccessToken, got.CacheStatus)
	}
	e := err.(*coze.Error)
	if e.Kind != kind {
		t.Fatalf("kind %q, want %q: %v", e.Kind, kind, e)
	}
	return e
}

// logs collects what is logged.
type logs struct{ testlog.Buffer }

func (l *logs) lines() int { return bytes.Count([]byte(l.String()), []byte("\n")) }

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
