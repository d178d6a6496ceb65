package broker_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"coze-token/broker"
	"coze-token/coze"
)

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// still is a source that answers at once with a token that the benchmark made before.
type still struct{ tokens map[string]string }

func (s still) Token(_ context.Context, request coze.TokenRequest) (coze.Token, error) {
	expiry := time.Now().Add(request.Duration)
	return coze.Token{AccessToken: s.tokens[request.Session], Expiry: expiry, Type: "Bearer"}, nil
}

// filled is a broker with n entries, whose sessions and tokens are in memory already, so that only
// its own memory is measured.
func filled(tb testing.TB, n int) (b *broker.Broker, app *coze.App, sessions []string, grown uint64) {
	tb.Helper()
	tokens := make(map[string]string, n)
	sessions = make([]string, n)
	for i := range sessions {
		sessions[i] = fmt.Sprintf("user-%028d", i) // as long as a UUID without dashes
		tokens[sessions[i]] = fmt.Sprintf("czs_%060d", i)
	}
	app = testApp()
	b = broker.New(still{tokens}, broker.Options{Size: n + n/10, Budget: -1})
	before := heap()
	for _, session := range sessions {
		request := coze.TokenRequest{App: app, Session: session, Duration: 10 * time.Hour}
		if _, err := b.Get(context.Background(), request, broker.GetOptions{}); err != nil {
			tb.Fatal(err)
		}
	}
	grown = heap() - before
	if st := b.Stats(); st.Entries != n {
		tb.Fatalf("%+v", st)
	}
	runtime.KeepAlive(tokens)
	return b, app, sessions, grown
}

// BenchmarkMemory prints what one of a million entries takes beyond its token (held by the source's
// map) and its session, whose copy of 33 bytes (a 48-byte block) the broker makes.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		const n = 1_000_000
		broker, _, sessions, grown := filled(b, n)
		b.ReportMetric(float64(grown)/n-48, "B/request")
		runtime.KeepAlive(broker)
		runtime.KeepAlive(sessions)
	}
}

func BenchmarkHit(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000, 1_000_000} {
		broker1, app, sessions, _ := filled(b, n)
		ctx := context.Background()
		b.Run(fmt.Sprintf("requests=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if i++; i == n {
					i = 0
				}
				broker1.Get(ctx, coze.TokenRequest{App: app, Session: sessions[i], Duration: 10 * time.Hour}, broker.GetOptions{})
			}
		})
		b.Run(fmt.Sprintf("parallel/requests=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				i := 0
				for pb.Next() {
					if i++; i == n {
						i = 0
					}
					broker1.Get(ctx, coze.TokenRequest{App: app, Session: sessions[i], Duration: 10 * time.Hour}, broker.GetOptions{})
				}
			})
		})
	}
}

// BenchmarkMiss is what the broker adds to an exchange that takes no time: a call, and room made in a
// full table.
func BenchmarkMiss(b *testing.B) {
	source := &still{map[string]string{}}
	app := testApp()
	token := strings.Repeat("x", 64)
	const n = 1 << 16
	sessions := make([]string, n)
	for i := range sessions {
		sessions[i] = fmt.Sprint("user-", i)
		source.tokens[sessions[i]] = token
	}
	br := broker.New(source, broker.Options{Size: n / 2, Budget: -1})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		br.Get(context.Background(), coze.TokenRequest{App: app, Session: sessions[i%n]}, broker.GetOptions{})
		i++
	}
}
