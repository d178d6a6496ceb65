package gate_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"coze-token/broker"
	"coze-token/coze"
	"coze-token/internal/gate"
	"coze-token/internal/native"
	"coze-token/internal/ratelimit"
)

// discard is a response that nobody reads. It is made anew for each request, as net/http does.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header       { return d.h }
func (*discard) Write(p []byte) (int, error) { return len(p), nil }
func (*discard) WriteHeader(int)             {}

type exchange struct{}

func (exchange) Token(context.Context, coze.TokenRequest) (coze.Token, error) {
	return coze.Token{
		AccessToken: "czs_0123456789abcdefghijklmnopqrstuvwxyzABCDEF",
		Expiry:      time.Now().Add(time.Hour),
		Type:        "Bearer",
	}, nil
}

// BenchmarkHit is the cost of the gate and the broker for a cache hit, "logged" with its record. "bare"
// is the lower bound: a handler that only writes such an answer.
func BenchmarkHit(b *testing.B) {
	app := &coze.App{ClientID: "1", Audience: coze.China.Audience, Endpoint: coze.China.Endpoint}
	with := func(log slog.Handler) http.Handler {
		return gate.New(gate.Options{
			Source: broker.New(exchange{}, broker.Options{}),
			Apps:   oneApp(gate.App{Request: coze.TokenRequest{App: app, Duration: time.Hour}}),
			Limits: gate.Limits{
				Addresses:   ratelimit.New(ratelimit.Options{Name: "address"}),
				AddressRate: ratelimit.Rate{Requests: 1_000_000, Per: time.Second},
			},
			Log: slog.New(log),
		})
	}
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"czs_0123456789abcdefghijklmnopqrstuvwxyzABCDEF",`+
			`"expires_in":1795429307,"token_type":"Bearer"}`)
	})
	for name, h := range map[string]http.Handler{
		"gate":   with(slog.DiscardHandler),
		"logged": with(native.Logger(io.Discard, slog.LevelInfo, "json").Handler()),
		"bare":   bare,
	} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest("POST", "/", nil)
			r.Header.Set("X-User-ID", "user-1")
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(&discard{http.Header{}}, r)
			}
		})
	}
}
