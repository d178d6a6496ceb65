//go:build !wasip1

// Package metrics counts what the native server does, for Prometheus. No label holds a text that a
// caller chose: apps are those of the settings, and everything else is one of a few words.
package metrics

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	vm "github.com/VictoriaMetrics/metrics"

	cozetoken "coze-token"
	"coze-token/broker"
	"coze-token/internal/gate"
	"coze-token/internal/ratelimit"
	"coze-token/internal/version"
)

// Metrics are the metrics of one service. They are safe for concurrent use.
type Metrics struct {
	set         *vm.Set
	connections atomic.Int64
	service     *cozetoken.Service
	certificate func() *tls.Certificate
	lost        map[string]func() int64 // :: kind of record
}

// The bounds of the histograms' buckets, in seconds. Coze answers within half a second or so; a
// remembered token takes microseconds, and a Redis nearby a millisecond or two. It has 0.15 s for a
// token, and 0.1 s for a count.
var (
	requestBounds  = []float64{.001, .005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	exchangeBounds = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	sharedBounds   = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .15}
	keyBounds      = []float64{.05, .1, .25, .5, 1, 2.5, 5} // a fetch is given up after 5 s
)

// New makes metrics that have counted nothing. Counters without labels begin with 0, so that their
// first step is seen as one.
func New() *Metrics {
	m := &Metrics{set: vm.NewSet()}
	m.set.NewCounter(accepted)
	for _, ok := range []bool{true, false} {
		m.set.NewCounter(outcome(keyFetches, ok))
		m.set.NewCounter(outcome(reloads, ok))
	}
	for _, kind := range []string{"address", "caller", "session", "app", "exchange"} {
		m.set.NewCounter(fmt.Sprintf(limited, kind))
	}
	return m
}

// Names with labels, as they are written for Prometheus.
const (
	requests         = `coze_token_requests_total{app=%q,way=%q,status="%d",code=%q,cache=%q}`
	requestDuration  = `coze_token_request_duration_seconds{app=%q,cache=%q}`
	limited          = `coze_token_rate_limited_total{limit=%q}`
	exchanges        = `coze_token_exchanges_total{app=%q,outcome=%q}`
	exchangeDuration = `coze_token_exchange_duration_seconds{app=%q}`
	storeDuration    = `coze_token_store_duration_seconds{operation=%q}`
	sharedDuration   = `coze_token_shared_limit_duration_seconds{limit=%q}`
	keyFetches       = `coze_token_login_key_fetches_total{outcome=%q}`
	keyDuration      = `coze_token_login_key_fetch_duration_seconds`
	reloads          = `coze_token_reloads_total{outcome=%q}`
	accepted         = `coze_token_connections_accepted_total`
)

func outcome(name string, ok bool) string {
	if ok {
		return fmt.Sprintf(name, "ok")
	}
	return fmt.Sprintf(name, "failed")
}

// Observe has a service that is built with the options count for these metrics. The options' store
// and counters are set before.
func (m *Metrics) Observe(o *cozetoken.Options) {
	o.Observe = cozetoken.Observer{Request: m.request, Exchange: m.exchange, KeyFetch: m.keyFetch}
	if store, ok := o.Store.(broker.Claimer); ok {
		o.Store = timedStore{store, m}
	}
	if counter := o.Counter; counter != nil {
		o.Counter = func(limit string) ratelimit.Counter {
			return timedCounter{counter(limit), m, fmt.Sprintf(sharedDuration, limit)}
		}
	}
}

func (m *Metrics) request(o gate.Observation) {
	app := "/" + o.App
	m.set.GetOrCreateCounter(fmt.Sprintf(requests, app, o.Way, o.Status, o.Code, o.Cache)).Inc()
	m.took(fmt.Sprintf(requestDuration, app, o.Cache), requestBounds, o.Duration)
	if o.Limit != "" {
		m.set.GetOrCreateCounter(fmt.Sprintf(limited, o.Limit)).Inc()
	}
}

func (m *Metrics) exchange(app, outcome string, took time.Duration) {
	m.set.GetOrCreateCounter(fmt.Sprintf(exchanges, "/"+app, outcome)).Inc()
	m.took(fmt.Sprintf(exchangeDuration, "/"+app), exchangeBounds, took)
}

func (m *Metrics) keyFetch(ok bool, took time.Duration) {
	m.set.GetOrCreateCounter(outcome(keyFetches, ok)).Inc()
	m.took(keyDuration, keyBounds, took)
}

func (m *Metrics) took(name string, bounds []float64, took time.Duration) {
	m.set.GetOrCreatePrometheusHistogramExt(name, bounds).Update(took.Seconds())
}

// Reloaded counts that the settings were read again, and whether they are in force.
func (m *Metrics) Reloaded(ok bool) { m.set.GetOrCreateCounter(outcome(reloads, ok)).Inc() }

// Serve says which service is measured, and which certificate it serves: nil if none. It comes
// before the first call of the handler.
func (m *Metrics) Serve(s *cozetoken.Service, certificate func() *tls.Certificate) {
	m.service, m.certificate = s, certificate
}

// Records says how many records were lost, and of which kind: "log" or "audit". It comes before the
// first call of the handler.
func (m *Metrics) Records(kind string, lost func() int64) {
	if m.lost == nil {
		m.lost = map[string]func() int64{}
	}
	m.lost[kind] = lost
}

// Handler serves the metrics at /metrics, and nothing else.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		write(w, func(w io.Writer) {
			m.set.WritePrometheus(w)
			m.state(w)
			vm.WriteProcessMetrics(w)
			vm.WriteFDMetrics(w)
		})
	})
	return mux
}

// state writes what the service and the process have counted themselves.
func (m *Metrics) state(w io.Writer) {
	fmt.Fprintf(w, "coze_token_build_info{version=%q,goversion=%q} 1\n", version.String(), runtime.Version())
	fmt.Fprintf(w, "coze_token_connections %d\n", m.connections.Load())
	if m.certificate != nil {
		fmt.Fprintf(w, "coze_token_tls_certificate_not_after_timestamp_seconds %d\n", m.certificate().Leaf.NotAfter.Unix())
	}
	for kind, lost := range m.lost {
		fmt.Fprintf(w, "coze_token_records_lost_total{kind=%q} %d\n", kind, lost())
	}
	s := m.service.Stats()
	for name, value := range map[string]int64{
		"cache_entries": int64(s.Entries), "cache_evictions_total": s.Evicted, "calls": int64(s.Calls),
		"refreshes_total": s.Refreshes, "over_budget_total": s.OverBudget, "store_faults_total": s.StoreFaults,
	} {
		fmt.Fprintf(w, "coze_token_%s %d\n", name, value)
	}
	if s.BudgetLimit > 0 {
		fmt.Fprintf(w, "coze_token_budget_limit %d\ncoze_token_budget_remaining %.0f\n", s.BudgetLimit, s.BudgetLeft)
	}
	for app, state := range s.Breakers {
		for _, other := range []broker.BreakerState{broker.BreakerClosed, broker.BreakerHalfOpen, broker.BreakerOpen} {
			in := 0
			if other == state {
				in = 1
			}
			fmt.Fprintf(w, "coze_token_breaker_state{app=%q,state=%q} %d\n", "/"+app, other, in)
		}
	}
	for limit, faults := range s.CounterFaults {
		fmt.Fprintf(w, "coze_token_shared_limit_faults_total{limit=%q} %d\n", limit, faults)
	}
}

// Listener counts the connections of l.
func (m *Metrics) Listener(l net.Listener) net.Listener { return &listener{l, m} }

type listener struct {
	net.Listener
	m *Metrics
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.m.set.GetOrCreateCounter(accepted).Inc()
	l.m.connections.Add(1)
	return &conn{c, sync.OnceFunc(func() { l.m.connections.Add(-1) })}, nil
}

type conn struct {
	net.Conn
	closed func()
}

func (c *conn) Close() error {
	c.closed()
	return c.Conn.Close()
}
