//go:build wasip1

// The testbroker is a Worker with a broker over the stores of package worker. cmd/worker/test runs
// it in workerd.
package main

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
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

func main() {}

func init() {
	mux := http.NewServeMux()
	mux.HandleFunc("/conform", conform)
	mux.HandleFunc("/token", token)
	worker.Serve(mux, worker.Options{})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// storeOf returns the store that a request names: "cache", or else a KV binding.
func storeOf(r *http.Request) broker.Store {
	if kind := r.URL.Query().Get("kind"); kind != "cache" {
		return worker.KV(kind)
	}
	return worker.Cache("test-store")
}

// conform runs the checks that every store must pass, and answers with the faults.
func conform(w http.ResponseWriter, r *http.Request) {
	rec := &recorder{ctx: r.Context()}
	done := make(chan struct{})
	ran := false
	go func() {
		defer close(done)
		storetest.Run(rec, storeOf(r), r.URL.Query().Get("prefix"), time.Second)
		ran = true
	}()
	<-done
	if !ran {
		rec.Errorf("the checks ended early")
	}
	io.WriteString(w, strings.Join(rec.faults, "\n"))
}

// A recorder is a storetest.Reporter.
type recorder struct {
	ctx    context.Context
	mu     sync.Mutex
	faults []string
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

// An upstream is a source of tokens: the answer of an app's endpoint is the token.
type upstream struct{ worker.Transport }

func (u *upstream) Token(ctx context.Context, req coze.TokenRequest) (coze.Token, error) {
	target := req.App.Endpoint + "?session=" + url.QueryEscape(req.Session)
	r, err := http.NewRequestWithContext(ctx, "POST", target, nil)
	if err != nil {
		return coze.Token{}, err
	}
	response, err := u.RoundTrip(r)
	if err != nil {
		return coze.Token{}, err
	}
	defer response.Body.Close()
	p, err := io.ReadAll(response.Body)
	return coze.Token{AccessToken: string(p), Expiry: time.Now().Add(req.Duration), Type: "Bearer"}, err
}

var signer = sync.OnceValue(func() *worker.Signer {
	block, _ := pem.Decode([]byte(worker.Env()["PRIVATE_KEY"]))
	return must(worker.NewSigner(must(x509.ParsePKCS8PrivateKey(block.Bytes)).(*rsa.PrivateKey)))
})

var (
	mu      sync.Mutex
	brokers = map[string]*broker.Broker{} // :: kind of store → its broker
	apps    = map[string]*coze.App{}      // :: endpoint → its app
)

// token gets a token through a broker over the store that the request names.
func token(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	mu.Lock()
	b, app := brokers[q.Get("kind")], apps[q.Get("url")]
	if b == nil {
		b = broker.New(new(upstream), broker.Options{
			Store:  storeOf(r),
			Secret: func(*coze.App) []byte { return broker.KeySecret(signer()) },
		})
		brokers[q.Get("kind")] = b
	}
	if app == nil {
		app = &coze.App{ClientID: "client-1155", Endpoint: q.Get("url")}
		apps[q.Get("url")] = app
	}
	mu.Unlock()
	got, err := b.Get(r.Context(), coze.TokenRequest{App: app, Session: q.Get("session")}, broker.GetOptions{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("X-Cache-Status", string(got.CacheStatus))
	w.Header().Set("X-Faults", fmt.Sprint(b.Stats().StoreFaults))
	io.WriteString(w, got.Token.AccessToken)
}
