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

// There is one thread, and goroutines change only where they wait: variables need no lock.

// echo answers with the body, and with the rest of the request as JSON in base64, so that a test
// can compare every byte.
func echo(w http.ResponseWriter, r *http.Request) {
	p, err := io.ReadAll(r.Body)
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		w.Header().Set("X-Limit", strconv.FormatInt(tooLarge.Limit, 10))
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	got := map[string]string{
		"method": r.Method,
		"host":   r.Host,
		"uri":    r.RequestURI,
		"path":   r.URL.Path,
		"length": fmt.Sprint(r.ContentLength),
		"remote": r.RemoteAddr,
	}
	for name, values := range r.Header {
		got["header "+name] = strings.Join(values, "|")
	}
	w.Header().Set("X-Got", base64.StdEncoding.EncodeToString(must(json.Marshal(got))))
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
	w.WriteHeader(number(r, "code"))
	io.WriteString(w, "body")
}

// packed is an answer that the handler itself has encoded.
func packed(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Content-Type", "text/plain")
	z := gzip.NewWriter(w)
	io.WriteString(z, "plain")
	z.Close()
}

func env(w http.ResponseWriter, r *http.Request) {
	name := query(r, "name")
	fmt.Fprintf(w, "%s %s %v", worker.Env()[name], os.Getenv(name), atStart)
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

func random(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, rand.Text())
}

// clock answers with the largest step that time went back.
func clock(w http.ResponseWriter, r *http.Request) {
	worst, last := int64(0), time.Now().UnixNano()
	for range 300_000 {
		now := time.Now().UnixNano()
		worst, last = max(worst, last-now), now
	}
	fmt.Fprint(w, worst)
}

// served tells one program from the next. It is counted, because nothing may be drawn at start.
var served int

func stats(w http.ResponseWriter, r *http.Request) {
	served++
	fmt.Fprintf(w, `{"goroutines":%d,"served":%d}`, runtime.NumGoroutine(), served)
}

func sleep(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := deadline(r)
	defer cancel()
	begun := time.Now()
	select {
	case <-time.After(duration(r, "for")):
		fmt.Fprint(w, time.Since(begun).Milliseconds())
	case <-ctx.Done():
		answer(w, nil, ctx.Err())
	}
}

var (
	waiting  int
	released = make(chan struct{})
)

// late reads its body after a release.
func late(w http.ResponseWriter, r *http.Request) {
	waiting++
	<-released
	p, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%d %v", len(p), err)
}

// release keeps the thread busy with hashing some megabytes, and then releases.
func release(w http.ResponseWriter, r *http.Request) {
	megabyte := make([]byte, 1<<20)
	for i := range number(r, "mb") {
		megabyte[0] = byte(i) ^ sha256.Sum256(megabyte)[0]
	}
	close(released)
	fmt.Fprint(w, waiting)
}

// background answers at once and calls the upstream later, twice.
func background(w http.ResponseWriter, r *http.Request) {
	target := query(r, "url")
	ctx := context.WithoutCancel(r.Context())
	worker.Background(func() {
		for range 2 {
			time.Sleep(100 * time.Millisecond)
			ask(ctx, target)
		}
	})
	io.WriteString(w, "begun")
}

// hog uses memory, which is free again when the request ends.
func hog(w http.ResponseWriter, r *http.Request) {
	held := make([][]byte, number(r, "mb"))
	for i := range held {
		held[i] = make([]byte, 1<<20)
		held[i][i] = 1
	}
	time.Sleep(300 * time.Millisecond)
	fmt.Fprint(w, len(held))
	runtime.KeepAlive(held)
}

func crash(w http.ResponseWriter, r *http.Request) {
	go func() { panic("in a goroutine, on purpose") }()
	<-r.Context().Done()
}

// deep never returns.
func deep(n int) int {
	var fill [1 << 10]byte
	fill[n%len(fill)] = 1
	return deep(n+1) + int(fill[(n+1)%len(fill)])
}

var transport = new(worker.Transport)

// ask sends a request to an upstream.
func ask(ctx context.Context, target string) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, "POST", target, strings.NewReader("question"))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Authorization", "Bearer secret")
	r.Header.Set("User-Agent", "testworker")
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	p, err := io.ReadAll(resp.Body)
	return resp, p, err
}

func fetch(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := deadline(r)
	defer cancel()
	resp, p, err := ask(ctx, query(r, "url"))
	if err == nil {
		w.Header().Set("X-Status", resp.Status)
		values := append(resp.Header.Values("X-Repeated"), resp.Header.Values("Set-Cookie")...)
		w.Header().Set("X-Upstream", strings.Join(values, "|"))
		w.Header().Set("X-Encoding", resp.Header.Get("Content-Encoding"))
	}
	answer(w, p, err)
}

// A call is what many requests share: a small singleflight.
type call struct {
	done chan struct{}
	body []byte
	err  error
}

var calls = map[string]*call{} // :: URL → the call under way

// shared asks the upstream once for all requests for the same URL. The call goes on when the client
// of the request that started it goes away.
func shared(w http.ResponseWriter, r *http.Request) {
	target := query(r, "url")
	c := calls[target]
	if c == nil {
		c = &call{done: make(chan struct{})}
		calls[target] = c
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 5*time.Second)
			defer cancel()
			_, c.body, c.err = ask(ctx, target)
			delete(calls, target)
			close(c.done)
		}()
	}
	select {
	case <-c.done:
		answer(w, c.body, c.err)
	case <-r.Context().Done():
	}
}

var signer = sync.OnceValue(func() *worker.Signer {
	block, _ := pem.Decode([]byte(worker.Env()["PRIVATE_KEY"]))
	if block == nil {
		// A key that Go accepts, and far too small for the platform.
		return must(worker.NewSigner(&rsa.PrivateKey{
			PublicKey: rsa.PublicKey{N: big.NewInt(143), E: 7},
			D:         big.NewInt(103),
			Primes:    []*big.Int{big.NewInt(11), big.NewInt(13)},
		}))
	}
	return must(worker.NewSigner(must(x509.ParsePKCS8PrivateKey(block.Bytes)).(*rsa.PrivateKey)))
})

func sign(w http.ResponseWriter, r *http.Request) {
	sig, err := crypto.SignMessage(signer(), nil, must(io.ReadAll(r.Body)), crypto.SHA256)
	answer(w, []byte(base64.StdEncoding.EncodeToString(sig)), err)
}

func secret(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, hex.EncodeToString(signer().Secret()))
}

// A store is what Cache and KV have in common.
type store interface {
	Get(ctx context.Context, name string) ([]byte, error)
	Put(ctx context.Context, name string, value []byte, ttl time.Duration) error
}

// keep puts the body under a name, or gets what is there.
func keep(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := deadline(r)
	defer cancel()
	var s store = worker.KV(query(r, "kind"))
	if query(r, "kind") == "cache" {
		s = worker.Cache("test-store")
	}
	begun := time.Now()
	var value []byte
	var err error
	if r.Method == http.MethodPut {
		err = s.Put(ctx, query(r, "name"), must(io.ReadAll(r.Body)), duration(r, "ttl"))
	} else {
		value, err = s.Get(ctx, query(r, "name"))
	}
	w.Header().Set("X-Took", fmt.Sprint(time.Since(begun).Microseconds()))
	answer(w, value, err)
}

func limit(w http.ResponseWriter, r *http.Request) {
	allowed, err := worker.RateLimit(query(r, "binding")).Allow(r.Context(), query(r, "key"))
	answer(w, fmt.Append(nil, allowed), err)
}
