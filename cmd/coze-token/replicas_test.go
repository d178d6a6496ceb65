//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"coze-token/internal/redistest"
	"coze-token/sandbox"
)

// startReplicas starts so many that share a Redis, or nothing.
func startReplicas(b *testing.B, environ []string, n int, share bool) (replicas []*child) {
	environ = append(slices.Clone(environ), "LISTEN=127.0.0.1:0", "METRICS_LISTEN=127.0.0.1:0", "RATE_LIMIT=off",
		"MINT_BUDGET=off")
	if share {
		environ = append(environ, "REDIS_URL="+redistest.Start(b, redistest.Options{}).URL)
	}
	for range n {
		replicas = append(replicas, startChild(b, environ...))
	}
	return replicas
}

// askFor asks a replica, and reports whether the token is the session's.
func askFor(b *testing.B, sb *sandbox.Sandbox, replica *child, session string) (took time.Duration, right bool) {
	began := time.Now()
	body, err := post(b.Context(), replica.url, session)
	took = time.Since(began)
	var answer struct {
		Token string `json:"access_token"`
	}
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	if err != nil {
		b.Error(err)
	}
	issue, ok := sb.Issued(answer.Token)
	return took, ok && issue.Session == session
}

// How many exchanges 1, 2 and 4 replicas make when all are asked for the same 500 sessions at the
// same time, and how many tokens are another session's. Coze takes 100 ms. On a busy machine Redis is
// too slow at times (store-faults), and replicas exchange for themselves.
func BenchmarkReplicas(b *testing.B) {
	const sessions, callers = 500, 64
	for _, n := range []int{1, 2, 4} {
		for _, store := range []string{"alone", "Redis"} {
			b.Run(fmt.Sprint(n, "/", store), func(b *testing.B) {
				sb, environ := startSandboxServer(b, "latency=100ms")
				replicas := startReplicas(b, environ, n, store == "Redis")
				var next, mixed atomic.Int64
				var all sync.WaitGroup
				for range callers {
					all.Go(func() {
						for i := next.Add(1) - 1; i < int64(sessions*n*b.N); i = next.Add(1) - 1 {
							session := fmt.Sprint("user-", i/int64(n))
							if _, right := askFor(b, sb, replicas[i%int64(n)], session); !right {
								mixed.Add(1)
							}
						}
					})
				}
				all.Wait()
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(sessions*n), "requests")
				b.ReportMetric(float64(sb.Exchanges())/float64(b.N), "exchanges")
				b.ReportMetric(float64(mixed.Load()), "mixed")
				faults := 0.0
				for _, r := range replicas {
					_, text := get(b, r.metrics())
					faults += sample(b, text, "coze_token_store_faults_total")
				}
				b.ReportMetric(faults, "store-faults")
			})
		}
	}
}

// What one caller waits for a token that the replica does not have: an exchange without Redis, one
// with Redis, and a token that another replica has. A hit is for comparison. Coze answers at once.
func BenchmarkMiss(b *testing.B) {
	sb, environ := startSandboxServer(b)
	alone := startReplicas(b, environ, 1, false)[0]
	shared := startReplicas(b, environ, 2, true)
	var took [4][]time.Duration // alone, with Redis, shared, hit
	ask := func(kind int, replica *child, session string) {
		d, right := askFor(b, sb, replica, session)
		if !right {
			b.Fatal("a token of another session")
		}
		took[kind] = append(took[kind], d)
	}
	for i := range b.N {
		ask(0, alone, fmt.Sprint("user-", i))
		ask(1, shared[0], fmt.Sprint("user-", i))
	}
	for i := range b.N {
		ask(2, shared[1], fmt.Sprint("user-", i))
		ask(3, shared[1], fmt.Sprint("user-", i))
	}
	_, text := get(b, shared[1].metrics())
	if want := fmt.Sprintf(`cache="shared"} %d`, b.N); !strings.Contains(text, want+"\n") {
		b.Errorf("not all tokens were the other replica's: %s is missing", want)
	}
	median := func(of func(i int) float64) float64 {
		values := make([]float64, b.N)
		for i := range values {
			values[i] = of(i)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	b.ReportMetric(0, "ns/op")
	for kind, name := range []string{"miss-µs", "miss-with-Redis-µs", "shared-µs", "hit-µs"} {
		b.ReportMetric(median(func(i int) float64 { return float64(took[kind][i].Microseconds()) }), name)
	}
	ratio := func(over int) float64 {
		return median(func(i int) float64 { return float64(took[over][i]) / float64(took[0][i]) })
	}
	b.ReportMetric(ratio(1), "miss-with-Redis/miss")
	b.ReportMetric(ratio(2), "shared/miss")
}
