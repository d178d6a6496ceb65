package worker

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A message is one of the outbox, read as JavaScript reads it.
type message struct {
	kind, id, owner uint32
	payload         []byte
}

// messages empties the outbox.
func messages(b *bridge) []message {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []message
	for p := b.out.buf; len(p) > 0; {
		n := binary.LittleEndian.Uint32(p[12:])
		all = append(all, message{
			binary.LittleEndian.Uint32(p), binary.LittleEndian.Uint32(p[4:]), binary.LittleEndian.Uint32(p[8:]),
			append([]byte(nil), p[messageHead:messageHead+n]...),
		})
		p = p[(messageHead+n+3)&^3:]
	}
	b.out.reset()
	return all
}

// next waits for the next message, which may come from another thread.
func next(t *testing.T, b *bridge) message {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); runtime.Gosched() {
		if all := messages(b); len(all) > 0 {
			if len(all) > 1 {
				t.Fatalf("%d messages", len(all))
			}
			return all[0]
		}
	}
	t.Fatal("no message")
	return message{}
}

// post is the frame of a POST with a body of so many bytes.
func post(length uint32, headers ...string) []byte {
	return appendFrame(nil, length, append([]string{"POST", "https://example.com/path?q=1"}, headers...), nil)
}

func quiet(h http.HandlerFunc) *bridge {
	return newBridge(h, Options{MaxBody: 10})
}

func wantAnswer(t *testing.T, m message, id, status uint32) frame {
	t.Helper()
	f, err := decodeFrame(m.payload)
	if err != nil || m.kind != kindAnswer || m.id != id || f.number != status {
		t.Fatalf("message %+v, frame %+v, %v; want an answer to %d with %d", m, f, err, id, status)
	}
	return f
}

func TestHandlersThatDoNotReturnHaveNoAnswer(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"panic":  func(http.ResponseWriter, *http.Request) { panic("x") },
		"abort":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"goexit": func(http.ResponseWriter, *http.Request) { runtime.Goexit() },
	} {
		b := quiet(h)
		b.start(7, post(0))
		if m := next(t, b); m.kind != kindAnswer || m.id != 7 || len(m.payload) != 0 {
			t.Errorf("%s: message %+v", name, m)
		}
		if len(b.open) != 0 {
			t.Errorf("%s: request is still open", name)
		}
	}
}

func TestMalformedRequestsAre400(t *testing.T) {
	for _, p := range []string{"", "\x00\x00\x00\x00\xff\x00\x00\x00", "\x00\x00\x00\x00\x04\x00\x00\x00GET\x00"} {
		b := quiet(func(http.ResponseWriter, *http.Request) { t.Error("called") })
		b.start(1, []byte(p))
		wantAnswer(t, next(t, b), 1, 400)
	}
}

// A client may announce a body and not send it.
func TestABodyThatNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := quiet(func(w http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			if !errors.Is(err, context.DeadlineExceeded) || r.Context().Err() != nil {
				t.Errorf("err = %v, and the request's own %v", err, r.Context().Err())
			}
			w.WriteHeader(http.StatusBadRequest)
		})
		b.start(1, post(5))
		synctest.Wait()
		asked := messages(b)
		if len(asked) != 1 || asked[0].kind != kindBody {
			t.Fatalf("messages %+v", asked)
		}
		time.Sleep(bodyTimeout)
		synctest.Wait()
		all := messages(b)
		if len(all) != 2 || all[0].kind != kindAbort || all[0].id != asked[0].id {
			t.Fatalf("messages %+v", all)
		}
		wantAnswer(t, all[1], 1, http.StatusBadRequest)
		close(b.idle) // ends the idle goroutine
	})
}

func TestBodyIsCarriedWhenRead(t *testing.T) {
	for _, c := range []struct {
		cut  uint32
		want string
	}{{0, "hello <nil>"}, {1, "hello http: request body too large"}} {
		b := quiet(func(w http.ResponseWriter, r *http.Request) {
			p, err := io.ReadAll(r.Body)
			if err != nil {
				io.WriteString(w, string(p)+" "+err.Error())
				return
			}
			io.WriteString(w, string(p)+" <nil>")
		})
		b.start(1, post(5))
		m := next(t, b)
		if m.kind != kindBody || m.owner != 1 || binary.LittleEndian.Uint32(m.payload) != 10 {
			t.Fatalf("message %+v", m)
		}
		b.resolve(m.id, true, appendFrame(nil, c.cut, nil, []byte("hello")))
		if f := wantAnswer(t, next(t, b), 1, 200); string(f.body) != c.want {
			t.Errorf("body %q, want %q", f.body, c.want)
		}
	}
}

func TestEffectsEnd(t *testing.T) {
	b := quiet(nil)
	if _, err := b.perform(t.Context(), kindSign, nil); !errors.Is(err, errStarting) {
		t.Errorf("before the first request: %v", err)
	}
	b.live = true
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error)
	go func() {
		_, err := b.perform(ctx, kindSign, nil)
		errs <- err
	}()
	asked := next(t, b)
	cancel()
	if err := <-errs; !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	if m := next(t, b); m.kind != kindAbort || m.id != asked.id {
		t.Errorf("message %+v, want the abort of %d", m, asked.id)
	}
	b.resolve(asked.id, true, nil) // too late: nothing happens

	go func() {
		_, err := b.perform(t.Context(), kindSign, nil)
		errs <- err
	}()
	b.resolve(next(t, b).id, false, []byte("the reason"))
	if err := <-errs; err == nil || err.Error() != "the reason" {
		t.Errorf("err = %v", err)
	}
	if len(b.effects) != 0 {
		t.Errorf("%d effects are left", len(b.effects))
	}
}

func TestCancelEndsTheContext(t *testing.T) {
	b := quiet(func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		w.WriteHeader(499)
	})
	b.start(3, post(0))
	b.cancel(3)
	wantAnswer(t, next(t, b), 3, 499)
	b.cancel(3) // no longer open
}

func TestRequestsAreAsInNetHTTP(t *testing.T) {
	b := newBridge(nil, Options{Headers: []string{"x-user-id", "CF-Connecting-IP"}})
	if !slices.Equal(b.names, []string{clientIP, "X-User-Id"}) {
		t.Errorf("names %q", b.names)
	}
	f, _ := decodeFrame(post(0, clientIP, "192.0.2.1", "X-User-Id", "u", "x-a", "1", "x-a", "2", "host", "other"))
	r, err := b.newRequest(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	want := http.Header{clientIP: {"192.0.2.1"}, "X-User-Id": {"u"}, "X-A": {"1", "2"}}
	if !reflect.DeepEqual(r.Header, want) || r.RemoteAddr != "192.0.2.1:0" || r.Host != "example.com" {
		t.Errorf("request %+v", r)
	}
}

// What is parsed without url.ParseRequestURI is what that returns.
func TestTargetsAreParsedAsByNetURL(t *testing.T) {
	for _, target := range []string{
		"/", "//", "//host/x", "/a/../b.js", "/a-b_c", "/%68ealthz", "/a%2Fb", "/用户", "/a b", "/?q=1", "/a?", "/a:b@c",
		"/[", "/~x", "/a;b", "/a+b", "/%zz",
	} {
		got, err := parseTarget(target)
		want, wantErr := url.ParseRequestURI(target)
		if !reflect.DeepEqual(got, want) || (err == nil) != (wantErr == nil) {
			t.Errorf("%s: %+v, %v; want %+v, %v", target, got, err, want, wantErr)
		}
	}
}

// JavaScript looks for a repeated name, and for an encoding, only where Go says that there is one.
func TestAnswersSayWhatIsRare(t *testing.T) {
	for want, header := range map[uint32]http.Header{
		200:                      {"A": {"1"}},
		200 | repeated:           {"A": {"1", "2"}, "B": {}},
		200 | encoded:            {"Content-Encoding": {"gzip"}},
		200 | repeated | encoded: {"Content-Encoding": {"gzip"}, "A": {"1", "2"}},
	} {
		a := &answer{header: header, body: []byte("x")}
		if f, err := decodeFrame(a.appendTo(nil)); err != nil || f.number != want || string(f.body) != "x" {
			t.Errorf("%v: %+v, %v; want %x", header, f, err, want)
		}
	}
}

func TestTransportRefusesWithoutASecret(t *testing.T) {
	for _, c := range []struct{ url, name, value string }{
		{"ftp://host/secret", "A", "b"}, {"/secret", "A", "b"},
		{"https://host/", "A", "secret\r\nB: c"}, {"https://host/", "a secret", "b"},
	} {
		r := httptest.NewRequest("GET", "/", strings.NewReader("x"))
		r.URL, _ = r.URL.Parse(c.url)
		if strings.HasPrefix(c.url, "/") {
			r.URL.Host = ""
		}
		r.Header[c.name] = []string{c.value}
		if _, _, err := flatten(r); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestAnswerBodyOverItsCapIsAnError(t *testing.T) {
	resp, err := decodeResponse(nil, appendFrame(nil, 200|truncated, []string{"content-length", "9"}, []byte("abc")), 3)
	if err != nil {
		t.Fatal(err)
	}
	p, err := io.ReadAll(resp.Body)
	if tooLarge := new(http.MaxBytesError); string(p) != "abc" || !errors.As(err, &tooLarge) || resp.StatusCode != 200 {
		t.Errorf("%q, %v, %d", p, err, resp.StatusCode)
	}
}

func BenchmarkRequest(b *testing.B) {
	br := newBridge(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		io.WriteString(w, `{"hello":"`+r.Header.Get("X-User-Id")+`"}`)
	}), Options{})
	p := post(0, "cf-connecting-ip", "192.0.2.1", "x-user-id", "u1", "origin", "https://example.com")
	b.ReportAllocs()
	for b.Loop() {
		br.mu.Lock()
		br.out.reset()
		br.mu.Unlock()
		br.start(1, p)
		br.settle()
	}
}
