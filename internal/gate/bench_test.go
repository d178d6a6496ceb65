package gate_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"coze-token/broker"
	"coze-token/coze"
	"coze-token/internal/gate"
	"coze-token/internal/ratelimit"
)

// nowhere is an answer that goes nowhere, made anew for each request as net/http does.
type nowhere struct{ h http.Header }

func (n *nowhere) Header() http.Header       { return n.h }
func (*nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (*nowhere) WriteHeader(int)             {}

// BenchmarkRemembered is what the gate and the broker cost for a token that is remembered, beside a handler that writes the
// same bytes: the ceiling.
func BenchmarkRemembered(b *testing.B) {
	source := sourceOf(func(ctx context.Context, g coze.TokenRequest) (coze.Token, error) {
		return coze.Token{AccessToken: "czs_0123456789abcdefghijklmnopqrstuvwxyzABCDEF", Expiry: time.Now().Add(time.Hour), Type: "Bearer"}, nil
	})
	app := &coze.App{ClientID: "1", Audience: coze.China.Audience, Endpoint: coze.China.Endpoint}
	h := gate.New(gate.Options{
		Source: broker.New(source, broker.Options{}),
		Apps:   map[string]gate.App{"": {Request: coze.TokenRequest{App: app, Duration: time.Hour}}},
		Limits: gate.Limits{Addresses: ratelimit.New(ratelimit.Options{Name: "address"}), AddressRate: ratelimit.Rate{Requests: 1_000_000, Per: time.Second}},
		Log:    slog.New(slog.DiscardHandler),
	})
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"czs_0123456789abcdefghijklmnopqrstuvwxyzABCDEF","expires_in":1795429307,"token_type":"Bearer"}`)
	})
	for name, h := range map[string]http.Handler{"gate": h, "bare": bare} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest("POST", "/", nil)
			r.Header.Set("X-User-ID", "user-1")
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(&nowhere{http.Header{}}, r)
			}
		})
	}
}

type sourceOf func(context.Context, coze.TokenRequest) (coze.Token, error)

func (f sourceOf) Token(ctx context.Context, g coze.TokenRequest) (coze.Token, error) {
	return f(ctx, g)
}
