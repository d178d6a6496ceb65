//go:build wasip1

package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"time"

	"coze-token/broker"
	"coze-token/broker/storetest"
	"coze-token/coze"
	"coze-token/worker"
)

// store is the kind of store that a request asks for: "cache", or else the name of a KV binding.
func store(r *http.Request) broker.Store {
	if kind := r.URL.Query().Get("kind"); kind != "cache" {
		return worker.KV(kind)
	}
	return worker.Cache{Space: "test-store"}
}

// conform runs the checks that every store must pass, and answers with what is wrong.
func conform(w http.ResponseWriter, r *http.Request) {
	rec := &recorder{ctx: r.Context()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		storetest.Run(rec, store(r), r.URL.Query().Get("prefix"), time.Second)
		rec.ran = true
	}()
	<-done
	if !rec.ran {
		rec.Errorf("the checks ended early")
	}
	io.WriteString(w, strings.Join(rec.faults, "\n"))
}

// A recorder is a storetest.Reporter.
type recorder struct {
	ctx    context.Context
	mu     sync.Mutex
	faults []string
	ran    bool
}

func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Helper()                  {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// keep puts the body under a name, or gets what is there.
func keep(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	ctx := r.Context()
	if t := q.Get("timeout"); t != "" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, must(time.ParseDuration(t)))
		defer cancel()
	}
	begun := time.Now()
	var value []byte
	var err error
	if r.Method == http.MethodPut {
		err = store(r).Put(ctx, q.Get("name"), must(io.ReadAll(r.Body)), must(time.ParseDuration(q.Get("ttl"))))
	} else {
		value, err = store(r).Get(ctx, q.Get("name"))
	}
	w.Header().Set("X-Took", fmt.Sprint(time.Since(begun).Microseconds()))
	w.Header().Set("X-Unbound", fmt.Sprint(errors.Is(err, worker.ErrNotBound)))
	w.Header().Set("Content-Type", "application/octet-stream")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Write(value)
}

func limit(w http.ResponseWriter, r *http.Request) {
	allowed, err := worker.RateLimit(r.URL.Query().Get("binding")).Allow(r.Context(), r.URL.Query().Get("key"))
	if err != nil {
		w.Header().Set("X-Unbound", fmt.Sprint(errors.Is(err, worker.ErrNotBound)))
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	fmt.Fprint(w, allowed)
}

// secret tells the secret that the start made of the key.
func secret(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, hex.EncodeToString(signer().Secret()))
}

// upstream is a source of tokens: whatever the URL of its app answers.
type upstream struct{}

func (upstream) Token(ctx context.Context, grant coze.TokenRequest) (coze.Token, error) {
	_, p, err := get(ctx, grant.App.Endpoint+"?session="+url.QueryEscape(grant.Session))
	if err != nil {
		return coze.Token{}, err
	}
	return coze.Token{AccessToken: string(p), Expiry: time.Now().Add(grant.Duration), Type: "Bearer"}, nil
}

var (
	brokersMu sync.Mutex
	brokers   = map[string]*broker.Broker{}
	apps      = map[string]*coze.App{}
)

// token gets a token through a broker over the store that is asked for.
func token(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	brokersMu.Lock()
	b, app := brokers[q.Get("kind")], apps[q.Get("url")]
	if b == nil {
		b = broker.New(upstream{}, broker.Options{
			Store:  store(r),
			Secret: func(*coze.App) []byte { return broker.KeySecret(signer()) },
		})
		brokers[q.Get("kind")] = b
	}
	if app == nil {
		app = &coze.App{ClientID: "client-1155", Endpoint: q.Get("url")}
		apps[q.Get("url")] = app
	}
	brokersMu.Unlock()
	got, err := b.Get(r.Context(), coze.TokenRequest{App: app, Session: q.Get("session")}, broker.GetOptions{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("X-Cache-Status", string(got.CacheStatus))
	w.Header().Set("X-Faults", fmt.Sprint(b.Stats().StoreFaults))
	io.WriteString(w, got.Token.AccessToken)
}
