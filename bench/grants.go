package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"time"

	cozetoken "coze-token"
	"coze-token/broker"
	"coze-token/coze"
	"coze-token/internal/auth"
	"coze-token/internal/gate"
	"coze-token/sandbox"
)

// grants shows how memory and time grow with the number of grants that are remembered, and what the
// handlers cost in one process, without sockets.
func grants(ctx context.Context, out io.Writer, p plan) error {
	t := table{{"remembered grants", "bytes/grant", "goal", "", "ns/request", "allocations", "bytes"}}
	for _, n := range p.grants {
		row, err := remember(ctx, n, p.calls)
		if err != nil {
			return err
		}
		t = append(t, row)
	}
	fmt.Fprintln(out, "Growth with grants: bytes beyond the token and the session themselves, "+
		"and the handler without sockets, asked for sessions at random:")
	t.print(out)

	t = table{{"handler, without sockets", "ns/request", "allocations", "bytes"}}
	add := func(name string, n int, h http.Handler) {
		w, r := &writer{header: http.Header{}}, request("user-1")
		for range 10 {
			h.ServeHTTP(w.clear(), r)
		}
		ns, allocs, size := quickly(n, func(int) { h.ServeHTTP(w.clear(), r) })
		t = append(t, []string{name, num(ns), num(allocs), num(size)})
	}
	add("bare", p.calls, http.HandlerFunc(bareHandler))
	for _, c := range []struct {
		name, cache string
		log         *slog.Logger
		n           int
	}{
		{"remembered", "on", discard, p.calls},
		{"remembered, LOG_LEVEL=warn", "on", slog.New(slog.DiscardHandler), p.calls},
		{"exchanging, upstream in memory", "off", discard, max(1, p.calls/100)},
	} {
		s, err := madeUp(c.cache)
		if err != nil {
			return err
		}
		h, err := ours(s, immediate{}, c.log)
		if err != nil {
			return err
		}
		add(c.name, c.n, h)
	}
	fmt.Fprintln(out, "The handlers alone; a log record is formatted and thrown away:")
	t.print(out)
	return nil
}

// boundless counts requests, as the service does unless told otherwise, and refuses none.
const boundless = "1000000/1s"

var discard = slog.New(slog.NewJSONHandler(io.Discard, nil))

// madeUp are settings with a made-up app.
func madeUp(cache string) (*cozetoken.Settings, error) {
	sb, err := sandbox.New(sandbox.Options{})
	if err != nil {
		return nil, err
	}
	env := sb.Settings("http://127.0.0.1:1")
	env["CACHE"], env["MINT_BUDGET"], env["RATE_LIMIT"] = cache, "off", boundless
	s, _, err := cozetoken.Read(env, cozetoken.Options{})
	return s, err
}

// remember measures a gate over a broker with n grants.
func remember(ctx context.Context, n, calls int) ([]string, error) {
	tokens := make(map[string]string, n)
	sessions := make([]string, n)
	for i := range sessions {
		sessions[i] = fmt.Sprintf("user-%028d", i) // 33 bytes, like a UUID with a letter before it
		tokens[sessions[i]] = fmt.Sprintf("czs_%060d", i)
	}
	app := &coze.App{ClientID: "1", Audience: "api.coze.cn", Endpoint: coze.China.Endpoint}
	b := broker.New(known(tokens), broker.Options{Size: n + n/4 + 100, Budget: -1})
	before := heap()
	for _, session := range sessions {
		if _, err := b.Get(ctx, coze.TokenRequest{App: app, Session: session, Duration: 10 * time.Hour},
			broker.GetOptions{}); err != nil {
			return nil, err
		}
	}
	// The source's map holds the tokens in any case; the broker's own copy of a session is not what
	// the bound is about.
	const session = 48 // the size class of 33 bytes
	grown := float64(heap()-before)/float64(n) - session
	if st := b.Stats(); st.Entries != n {
		return nil, fmt.Errorf("%d grants are remembered of %d", st.Entries, n)
	}
	h := gate.New(gate.Options{
		Source: b,
		Apps: map[string]gate.App{"": {
			Request: coze.TokenRequest{App: app, Duration: 10 * time.Hour},
			Callers: auth.New(auth.Config{}, auth.Options{}),
		}},
		Log: discard,
	})
	requests := make([]*http.Request, min(n, 10_000))
	for i := range requests {
		requests[i] = request(sessions[mathrand.IntN(n)])
	}
	w := &writer{header: http.Header{}}
	ns, allocs, size := quickly(calls, func(i int) { h.ServeHTTP(w.clear(), requests[i%len(requests)]) })
	if w.status != http.StatusOK {
		return nil, fmt.Errorf("status %d: %s", w.status, w.body.Bytes())
	}
	runtime.KeepAlive(tokens)
	row := []string{strconv.Itoa(n), "–", "", "", num(ns), num(allocs), num(size)}
	if n >= 1000 { // fewer do not pay for the table
		row[1] = num(grown)
	}
	if n == 1_000_000 {
		row[2], row[3] = "≤ 600", "missed"
		if grown <= 600 {
			row[3] = "reached"
		}
	}
	return row, nil
}

// known is a source that answers at once, with tokens that were there before.
type known map[string]string

func (k known) Token(_ context.Context, g coze.TokenRequest) (coze.Token, error) {
	return coze.Token{AccessToken: k[g.Session], Expiry: time.Now().Add(g.Duration), Type: "Bearer"}, nil
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// request is one that can be served again and again.
func request(session string) *http.Request {
	r, err := http.NewRequest(http.MethodPost, "/", http.NoBody)
	if err != nil {
		panic(err)
	}
	r.Header.Set("X-User-ID", session)
	return r
}

// A writer is an http.ResponseWriter that keeps nothing but the last answer.
type writer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *writer) clear() *writer {
	clear(w.header)
	w.status = 0
	w.body.Reset()
	return w
}

func (w *writer) Header() http.Header { return w.header }

func (w *writer) WriteHeader(status int) { w.status = status }

func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.body.Write(p)
}

// immediate is an upstream that answers at once, in memory.
type immediate struct{}

func (immediate) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body.Close()
	}
	answer := fmt.Appendf(nil, `{"access_token":"czs_%060d","expires_in":%d,"token_type":"Bearer"}`, 1,
		time.Now().Unix()+900)
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, ContentLength: int64(len(answer)),
		Body: io.NopCloser(bytes.NewReader(answer)), Request: r,
	}, nil
}
