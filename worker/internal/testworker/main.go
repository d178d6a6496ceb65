//go:build wasip1

// The testworker is a Worker that does, on request, whatever the bridge must carry, survive or
// bound. worker/test runs it in workerd.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"coze-token/worker"
)

func main() {}

// atStart is the error of an effect before the first request.
var atStart error

func init() {
	worker.Serve(http.HandlerFunc(serve), worker.Options{
		MaxBody: 1000,
		Headers: strings.Fields(os.Getenv("HEADERS")),
		// It draws zeros, and what requests draw later is random all the same.
		WarmUp: &worker.WarmUp{
			Handler: http.HandlerFunc(random),
			Request: must(http.NewRequest("GET", "https://localhost/random", nil)),
			Times:   1,
		},
	})
	_, atStart = transport.RoundTrip(must(http.NewRequest("GET", "http://127.0.0.1/", nil)))
	signer().Secret()
	if os.Getenv("RANDOM_AT_START") != "" {
		rand.Text()
	}
}

func serve(w http.ResponseWriter, r *http.Request) {
	paths := map[string]http.HandlerFunc{
		"/hello":      func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") },
		"/echo":       echo,
		"/headers":    headers,
		"/status":     status,
		"/packed":     packed,
		"/env":        env,
		"/log":        log,
		"/random":     random,
		"/clock":      clock,
		"/stats":      stats,
		"/sleep":      sleep,
		"/late":       late,
		"/release":    release,
		"/background": background,
		"/hog":        hog,
		"/panic":      func(http.ResponseWriter, *http.Request) { panic("on purpose") },
		"/goexit":     func(http.ResponseWriter, *http.Request) { runtime.Goexit() },
		"/crash":      crash,
		"/exit":       func(http.ResponseWriter, *http.Request) { os.Exit(3) },
		"/deep":       func(http.ResponseWriter, *http.Request) { fmt.Println(deep(0)) },
		"/fetch":      fetch,
		"/shared":     shared,
		"/sign":       sign,
		"/secret":     secret,
		"/keep":       keep,
		"/limit":      limit,
	}
	if f := paths[r.URL.Path]; f != nil {
		f(w, r)
		return
	}
	http.NotFound(w, r)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// query returns a parameter of the request's URL.
func query(r *http.Request, name string) string { return r.URL.Query().Get(name) }

func number(r *http.Request, name string) int { return must(strconv.Atoi(query(r, name))) }

func duration(r *http.Request, name string) time.Duration {
	return must(time.ParseDuration(query(r, name)))
}

// deadline returns the request's context, with a deadline if the request asks for one.
func deadline(r *http.Request) (context.Context, context.CancelFunc) {
	if query(r, "timeout") == "" {
		return r.Context(), func() {}
	}
	return context.WithTimeout(r.Context(), duration(r, "timeout"))
}

// answer answers with an error, or else with bytes.
func answer(w http.ResponseWriter, p []byte, err error) {
	if errors.Is(err, context.DeadlineExceeded) {
		http.Error(w, err.Error(), http.StatusGatewayTimeout)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Write(p)
}
