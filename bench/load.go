package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A job is load for one server: POST / over connections that are kept open, each of which sends its
// next request when it has read the answer to the one before. It ends after Seconds or Requests,
// whichever comes first.
//
// Requests are bytes made beforehand, answers are read without an HTTP library, and all of this
// costs a fraction of what any server here needs for a request. That the generator holds nobody up
// is not believed but measured: result.Busy.
type job struct {
	URL         string  `json:"url"`
	Connections int     `json:"connections"`
	Seconds     float64 `json:"seconds"`
	Requests    int     `json:"requests"` // 0 means no bound but Seconds
	Sessions    int     `json:"sessions"` // the requests take turns with so many values of X-User-ID; 0 sends none
}

// A result is how a job went. A job with a single wrong answer has none but an error.
type result struct {
	Requests int     `json:"requests"`
	Seconds  float64 `json:"seconds"`
	P50      float64 `json:"p50"` // microseconds, as is P99
	P99      float64 `json:"p99"`
	Busy     float64 `json:"busy"` // the generator's own CPU time, in cores
}

func (r result) rate() float64 { return float64(r.Requests) / r.Seconds }

// wanted is in every right answer, whoever gives it.
var wanted = []byte(`"access_token":"czs_`)

func (j job) run() (result, error) {
	u, err := url.Parse(j.URL)
	if err != nil {
		return result{}, err
	}
	if u.Hostname() != "127.0.0.1" {
		return result{}, errors.New("load is for 127.0.0.1 only")
	}
	requests := make([][]byte, max(1, j.Sessions))
	for i := range requests {
		header := ""
		if j.Sessions > 0 {
			header = fmt.Sprintf("X-User-ID: user-%06d\r\n", i)
		}
		requests[i] = []byte("POST / HTTP/1.1\r\nHost: " + u.Host + "\r\nContent-Length: 0\r\n" + header + "\r\n")
	}
	var (
		wg    sync.WaitGroup
		next  atomic.Int64
		mu    sync.Mutex
		all   []uint32
		errs  []error
		began = time.Now()
		cpu   = cpuTime()
		end   = began.Add(time.Duration(j.Seconds * float64(time.Second)))
	)
	for range max(1, j.Connections) {
		wg.Go(func() {
			took, err := j.caller(u.Host, requests, &next, end)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(began)
	if len(errs) > 0 {
		return result{}, fmt.Errorf("%d of %d connections failed, the first with: %w", len(errs), j.Connections, errs[0])
	}
	slices.Sort(all)
	at := func(q float64) float64 {
		if len(all) == 0 {
			return 0
		}
		return float64(all[int(q*float64(len(all)-1))]) / 1000
	}
	return result{
		Requests: len(all),
		Seconds:  elapsed.Seconds(),
		P50:      at(0.50),
		P99:      at(0.99),
		Busy:     (cpuTime() - cpu).Seconds() / elapsed.Seconds(),
	}, nil
}

// caller is one connection. It returns how long each request took, in nanoseconds; the first one's
// includes connecting.
func (j job) caller(host string, requests [][]byte, next *atomic.Int64, end time.Time) ([]uint32, error) {
	took := make([]uint32, 0, 1<<14)
	before := time.Now()
	conn, err := net.DialTimeout("tcp", host, 5*time.Second)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(end.Add(10 * time.Second)); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(conn, 8<<10)
	body := make([]byte, 0, 1<<10)
	for before.Before(end) {
		n := next.Add(1)
		if j.Requests > 0 && n > int64(j.Requests) {
			break
		}
		if _, err := conn.Write(requests[int(n-1)%len(requests)]); err != nil {
			return nil, err
		}
		if body, err = readAnswer(in, body[:0]); err != nil {
			return nil, err
		}
		now := time.Now()
		took = append(took, uint32(min(now.Sub(before), 4*time.Second)))
		before = now
	}
	return took, nil
}

var (
	ok200           = []byte("HTTP/1.1 200 ")
	contentLength   = []byte("content-length:")
	transferChunked = []byte("transfer-encoding: chunked")
)

// readAnswer reads one HTTP answer, whose body it appends to body, and makes sure that it is one
// with a token.
func readAnswer(in *bufio.Reader, body []byte) ([]byte, error) {
	status, err := in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	right := bytes.HasPrefix(status, ok200)
	what := ""
	if !right {
		what = strings.TrimSpace(string(status))
	}
	length, chunked := 0, false
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if len(line) <= 2 {
			break
		}
		switch line[0] | 0x20 {
		case 'c':
			if len(line) > len(contentLength) && bytes.EqualFold(line[:len(contentLength)], contentLength) {
				if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(contentLength):]))); err != nil {
					return nil, err
				}
			}
		case 't':
			chunked = chunked || bytes.EqualFold(bytes.TrimSpace(line), transferChunked)
		}
	}
	for more := true; more; more = chunked && length > 0 {
		if chunked {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return nil, err
			}
			n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
			if err != nil {
				return nil, err
			}
			length = int(n)
		}
		at := len(body)
		body = append(body, make([]byte, length)...)
		if _, err := io.ReadFull(in, body[at:]); err != nil {
			return nil, err
		}
		if chunked {
			if _, err := in.Discard(2); err != nil {
				return nil, err
			}
		}
	}
	if !right || !bytes.Contains(body, wanted) {
		return nil, fmt.Errorf("not a token: %s %s", what, body)
	}
	return body, nil
}
