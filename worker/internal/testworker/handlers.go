//go:build wasip1

package main

import (
	"compress/gzip"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"coze-token/worker"
)

// handler answers each path with one behaviour.
func handler() http.Handler {
	paths := map[string]http.HandlerFunc{
		"/hello":      hello,
		"/echo":       echo,
		"/headers":    headers,
		"/status":     status,
		"/panic":      func(http.ResponseWriter, *http.Request) { panic("on purpose") },
		"/goexit":     func(http.ResponseWriter, *http.Request) { runtime.Goexit() },
		"/crash":      crash,
		"/exit":       func(http.ResponseWriter, *http.Request) { os.Exit(3) },
		"/deep":       func(http.ResponseWriter, *http.Request) { fmt.Println(deep(0)) },
		"/sleep":      sleep,
		"/late":       late,
		"/release":    release,
		"/clock":      clock,
		"/packed":     packed,
		"/flight":     flight,
		"/fetch":      fetch,
		"/sign":       sign,
		"/random":     random,
		"/hog":        hog,
		"/log":        log,
		"/env":        env,
		"/stats":      stats,
		"/background": background,
		"/conform":    conform,
		"/keep":       keep,
		"/limit":      limit,
		"/token":      token,
		"/secret":     secret,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := paths[r.URL.Path]; f != nil {
			f(w, r)
			return
		}
		http.NotFound(w, r)
	})
}

var warmed string

// warm shows what a start may do: variables and logs, but no effects.
func warm() {
	_, err := transport.RoundTrip(must(http.NewRequest("GET", "http://127.0.0.1/", nil)))
	warmed = fmt.Sprint(errors.Is(err, worker.ErrStarting))
	signer().Secret() // made while the Worker starts
	if os.Getenv("RANDOM_AT_START") != "" {
		rand.Text()
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func hello(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	io.WriteString(w, `{"hello":"world","user":"`+r.Header.Get("X-User-ID")+`"}`)
}

// echo tells what arrived: headers as JSON in base64, so that every byte can be compared, and the body itself.
func echo(w http.ResponseWriter, r *http.Request) {
	p, err := io.ReadAll(r.Body)
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		w.Header().Set("X-Limit", strconv.FormatInt(tooLarge.Limit, 10))
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	got := map[string]string{
		"method": r.Method, "host": r.Host, "uri": r.RequestURI, "path": r.URL.Path, "length": fmt.Sprint(r.ContentLength),
		"remote": r.RemoteAddr,
	}
	for name, values := range r.Header {
		got["header "+name] = strings.Join(values, "|")
	}
	w.Header().Set("X-Got", base64.StdEncoding.EncodeToString(must(json.Marshal(got))))
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Write(p)
}

// headers answers with what is hard to carry.
func headers(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Set-Cookie", "a=1")
	w.Header().Add("Set-Cookie", "b=2")
	w.Header().Set("X-Text", "é用户")
	w.Header().Set("X-Split", "a\r\nX-Injected: b")
	w.Header().Set("X-Invalid", "a\xffb")
	w.Header()["bad name"] = []string{"x"}
	w.Header().Set("Content-Length", "999")
	w.Write([]byte{0, 1, 0xff, 0xfe})
}

func status(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(must(strconv.Atoi(r.URL.Query().Get("code"))))
	io.WriteString(w, "body")
}

func crash(w http.ResponseWriter, r *http.Request) {
	go func() { panic("in a goroutine, on purpose") }()
	<-r.Context().Done()
}

func deep(n int) int {
	var fill [1 << 10]byte
	fill[n%len(fill)] = 1
	return deep(n+1) + int(fill[(n+1)%len(fill)])
}

// sleep waits, or gives up when its deadline or its client says so.
func sleep(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	if t := r.URL.Query().Get("timeout"); t != "" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, must(time.ParseDuration(t)))
		defer cancel()
	}
	begun := time.Now()
	select {
	case <-time.After(must(time.ParseDuration(r.URL.Query().Get("for")))):
		fmt.Fprint(w, time.Since(begun).Milliseconds())
	case <-ctx.Done():
		http.Error(w, ctx.Err().Error(), http.StatusGatewayTimeout)
	}
}

var (
	lateMu  sync.Mutex
	waiting []chan struct{}
)

// late reads its body after a release.
func late(w http.ResponseWriter, r *http.Request) {
	released := make(chan struct{})
	lateMu.Lock()
	waiting = append(waiting, released)
	lateMu.Unlock()
	<-released
	p, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%d %v", len(p), err)
}

// release keeps the thread for as many megabytes' hashes, and then releases.
func release(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	megabyte := make([]byte, 1<<20)
	for range must(strconv.Atoi(r.URL.Query().Get("mb"))) {
		h.Write(megabyte)
	}
	lateMu.Lock()
	defer lateMu.Unlock()
	for _, released := range waiting {
		close(released)
	}
	fmt.Fprintf(w, "%d %x", len(waiting), h.Sum(nil)[:4])
	waiting = nil
}

// clock tells by how much time goes back at most.
func clock(w http.ResponseWriter, r *http.Request) {
	worst, last := int64(0), time.Now().UnixNano()
	for range 300_000 {
		now := time.Now().UnixNano()
		worst, last = max(worst, last-now), now
	}
	fmt.Fprint(w, worst)
}

// packed is an answer that the handler itself has encoded.
func packed(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Content-Type", "text/plain")
	z := gzip.NewWriter(w)
	io.WriteString(z, "plain")
	z.Close()
}

var transport = &worker.Transport{UserAgent: "testworker"}

// get asks an upstream with a deadline.
func get(ctx context.Context, target string) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, "POST", target, strings.NewReader("question"))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Authorization", "Bearer secret")
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	p, err := io.ReadAll(resp.Body)
	return resp, p, err
}

func fetch(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	if t := r.URL.Query().Get("timeout"); t != "" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, must(time.ParseDuration(t)))
		defer cancel()
	}
	resp, p, err := get(ctx, r.URL.Query().Get("url"))
	if errors.Is(err, context.DeadlineExceeded) {
		http.Error(w, err.Error(), http.StatusGatewayTimeout)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("X-Status", resp.Status)
	w.Header().Set("X-Upstream", strings.Join(resp.Header.Values("X-Repeated"), "|")+"|"+strings.Join(resp.Header.Values("Set-Cookie"), "|"))
	w.Header().Set("X-Encoding", resp.Header.Get("Content-Encoding"))
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Write(p)
}

// A call is a flight that many requests share: a small singleflight.
type call struct {
	done chan struct{}
	body []byte
	err  error
}

var (
	flightsMu sync.Mutex
	flights   = map[string]*call{}
)

// flight asks the upstream once for all who want the same thing at one time. Its
// leader's departure does not end it.
func flight(w http.ResponseWriter, r *http.Request) {
	target := r.URL.Query().Get("url")
	flightsMu.Lock()
	c := flights[target]
	if c == nil {
		c = &call{done: make(chan struct{})}
		flights[target] = c
		go func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			defer func() {
				if v := recover(); v != nil {
					c.err = fmt.Errorf("flight: %v", v)
				}
				flightsMu.Lock()
				delete(flights, target)
				flightsMu.Unlock()
				close(c.done)
			}()
			_, c.body, c.err = get(ctx, target)
			if string(c.body) == "panic" {
				panic("on purpose")
			}
		}(context.WithoutCancel(r.Context()))
	}
	flightsMu.Unlock()
	select {
	case <-c.done:
	case <-r.Context().Done():
		http.Error(w, "gone", 499)
		return
	}
	if c.err != nil {
		http.Error(w, c.err.Error(), http.StatusBadGateway)
		return
	}
	w.Write(c.body)
}

var signer = sync.OnceValue(func() *worker.Signer {
	block, _ := pem.Decode([]byte(worker.Env()["PRIVATE_KEY"]))
	if block == nil {
		// RSA to the letter, and far too small for the platform.
		tiny := &rsa.PrivateKey{
			PublicKey: rsa.PublicKey{N: big.NewInt(143), E: 7},
			D:         big.NewInt(103),
			Primes:    []*big.Int{big.NewInt(11), big.NewInt(13)},
		}
		return must(worker.NewSigner(tiny))
	}
	return must(worker.NewSigner(must(x509.ParsePKCS8PrivateKey(block.Bytes)).(*rsa.PrivateKey)))
})

func sign(w http.ResponseWriter, r *http.Request) {
	sig, err := crypto.SignMessage(signer(), nil, must(io.ReadAll(r.Body)), crypto.SHA256)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	io.WriteString(w, base64.StdEncoding.EncodeToString(sig))
}

func random(w http.ResponseWriter, r *http.Request) {
	p := make([]byte, 16)
	rand.Read(p)
	io.WriteString(w, hex.EncodeToString(p))
}

// hog takes memory, and lets it go when the request ends.
func hog(w http.ResponseWriter, r *http.Request) {
	n := must(strconv.Atoi(r.URL.Query().Get("mb")))
	held := make([][]byte, n)
	for i := range held {
		held[i] = make([]byte, 1<<20)
		held[i][i] = 1
	}
	if t := r.URL.Query().Get("hold"); t != "" {
		time.Sleep(must(time.ParseDuration(t)))
	}
	fmt.Fprint(w, len(held))
	runtime.KeepAlive(held)
}

func log(w http.ResponseWriter, r *http.Request) {
	l := slog.New(worker.NewLogHandler(slog.LevelDebug)).With("service", "test")
	l.Debug("debugged", "n", 1)
	l.Info("informed", "user", "用户", slog.Group("g", "took", time.Second))
	l.WithGroup("in").Warn("warned", "list", []int{1, 2})
	l.Error("failed", "err", errors.New("why"))
	fmt.Fprintln(os.Stderr, "plain words")
	w.WriteHeader(http.StatusNoContent)
}

func env(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	fmt.Fprintf(w, "%s %s %s", worker.Env()[name], os.Getenv(name), warmed)
}

// instance tells one Go program from the next: counted, not drawn, as nothing may be drawn at start.
var served int

func stats(w http.ResponseWriter, r *http.Request) {
	served++
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Fprintf(w, `{"goroutines":%d,"sys":%d,"heap":%d,"cycles":%d,"served":%d}`,
		runtime.NumGoroutine(), m.Sys, m.HeapAlloc, m.NumGC, served)
}

// background answers at once and calls the upstream later, twice.
func background(w http.ResponseWriter, r *http.Request) {
	target := r.URL.Query().Get("url")
	worker.Background(r.Context(), func(ctx context.Context) {
		for range 2 {
			time.Sleep(100 * time.Millisecond)
			get(ctx, target)
		}
	})
	io.WriteString(w, "begun")
}
