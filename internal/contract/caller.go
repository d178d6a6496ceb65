package contract

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func testToken(t *testing.T, b Build) {
	s := start(t, b, nil)
	before := time.Now().Unix()
	got := s.post(t).token(t)
	after := time.Now().Unix()
	issue := s.issued(t, got.AccessToken)
	if got.Token != got.AccessToken || got.TokenType != "Bearer" {
		t.Errorf("token %t, token_type %q", got.Token == got.AccessToken, got.TokenType)
	}
	if got.ExpiresIn != issue.Expiry.Unix() {
		t.Errorf("expires_in is %d, and Coze said %d", got.ExpiresIn, issue.Expiry.Unix())
	}
	if least, most := got.ExpiresIn-after-1, got.ExpiresIn-before; got.TTL < least || got.TTL > most {
		t.Errorf("ttl is %d, and expires_in is %d to %d s away", got.TTL, least, most)
	}
	if issue.Session != "" || issue.Duration != 900*time.Second {
		t.Errorf("without a session and settings, the token is for %q and %v", issue.Session, issue.Duration)
	}

	// What the original's callers sent is good, whatever it is.
	for name, a := range map[string]answer{
		"a JSON body":               s.do(t, "POST", "/", strings.NewReader(`{"x":1}`), "Content-Type", "application/json"),
		"a body that is none":       s.do(t, "POST", "/", strings.NewReader("\x00\xff<"), "Content-Type", "text/plain"),
		"a query":                   s.do(t, "POST", "/?a=b", nil),
		"an Accept for HTML":        s.do(t, "POST", "/", nil, "Accept", "text/html"),
		"an Origin":                 s.do(t, "POST", "/", nil, "Origin", "https://page.example"),
		"a request id of one's own": s.do(t, "POST", "/", nil, "X-Request-ID", "mine"),
	} {
		t.Run(name, func(t *testing.T) {
			a.token(t)
			for header := range a.Header {
				if strings.HasPrefix(header, "Access-Control-") {
					t.Errorf("%s is sent, and no origin was allowed", header)
				}
			}
		})
	}
}

func testSession(t *testing.T, b Build) {
	s := start(t, b, nil)
	for name, session := range map[string]string{
		"ASCII":                "user-42",
		"one character":        "x",
		"inner spaces":         "Ada  Lovelace",
		"punctuation":          `a"b\c<d>&e;f=g/h?i#j%20+`,
		"a comma":              "a,b",
		"Chinese":              "用户-小明",
		"emoji":                "👩‍👩‍👧 user 🙂",
		"Latin-1":              "José",
		"256 bytes":            strings.Repeat("x", 256),
		"256 bytes of Chinese": strings.Repeat("用", 85) + "x",
	} {
		t.Run(name, func(t *testing.T) {
			issue := s.issued(t, s.post(t, "X-User-ID", session).token(t).AccessToken)
			if issue.Session != session {
				t.Errorf("the token is for %q, not %q", issue.Session, session)
			}
		})
	}
	t.Run("header name in lower case", func(t *testing.T) {
		issue := s.issued(t, s.post(t, "x-user-id", "session-lower").token(t).AccessToken)
		if issue.Session != "session-lower" {
			t.Errorf("the token is for %q", issue.Session)
		}
	})

	asked := s.Exchanges()
	for name, headers := range map[string][]string{
		"empty":                  {"X-User-ID", ""},
		"257 bytes":              {"X-User-ID", strings.Repeat("x", 257)},
		"258 bytes in Chinese":   {"X-User-ID", strings.Repeat("用", 86)},
		"a tab":                  {"X-User-ID", "a\tb"},
		"a C1 control character": {"X-User-ID", "a\u0085b"},
		"not UTF-8":              {"X-User-ID", "a\xffb"},
		"UTF-8 cut off":          {"X-User-ID", "a\xe7\x94"},
		"U+FFFD":                 {"X-User-ID", "a\uFFFDb"},
		"sent twice":             {"X-User-ID", "a", "X-User-ID", "b"},
		"sent twice, the same":   {"X-User-ID", "a", "X-User-ID", "a"},
		"joined by a proxy":      {"X-User-ID", "a, b"},
	} {
		t.Run(name, func(t *testing.T) {
			s.post(t, headers...).failure(t, 400, "invalid_session")
		})
	}
	for name, control := range map[string]string{"NUL": "\x00", "escape": "\x1b", "delete": "\x7f"} {
		t.Run(name, func(t *testing.T) {
			// The HTTP implementation in front of the service may refuse these before it, in its own words.
			if status := s.raw(t, "POST / HTTP/1.1\r\nHost: x\r\nX-User-ID: a"+control+"b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"); status != 400 {
				t.Errorf("status %d", status)
			}
		})
	}
	if n := s.Exchanges() - asked; n != 0 {
		t.Errorf("Coze was asked %d times for sessions that were refused", n)
	}
}

// raw sends bytes that no HTTP library would send, and returns the status of what comes back.
func (s *server) raw(t *testing.T, request string) int {
	t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(s.url, "http://"), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func testParallel(t *testing.T, b Build) {
	s := start(t, b, nil)
	const callers = 100
	tokens := make([]string, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			// Errors, not failures: only the test's own goroutine may end it.
			response, err := postSession(s.url, fmt.Sprintf("caller-%d", i))
			if err != nil {
				t.Error(err)
				return
			}
			tokens[i] = response
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for i, token := range tokens {
		if token == "" {
			continue
		}
		issue := s.issued(t, token)
		if want := fmt.Sprintf("caller-%d", i); issue.Session != want {
			t.Errorf("%s was given the token of %s", want, issue.Session)
		}
		if seen[token] {
			t.Error("two callers were given one token")
		}
		seen[token] = true
	}
}

func testRequest(t *testing.T, b Build) {
	s := start(t, b, nil)
	for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		t.Run(method, func(t *testing.T) {
			a := s.do(t, method, "/", nil)
			a.failure(t, 405, "method_not_allowed")
			if allow := a.Header.Get("Allow"); allow != "POST" {
				t.Errorf("Allow is %q", allow)
			}
		})
	}
	for _, path := range []string{"/token", "/index.html", "/healthz/", "/HEALTHZ", "/%68ealthz", "//",
		"/api/get-coze-token"} {
		for _, method := range []string{"GET", "POST"} {
			t.Run(method+" "+path, func(t *testing.T) {
				s.do(t, method, path, nil).failure(t, 404, "not_found")
			})
		}
	}

	const most = 16 << 10
	t.Run("body at the cap", func(t *testing.T) {
		s.do(t, "POST", "/", bytes.NewReader(make([]byte, most))).token(t)
	})
	t.Run("body over the cap", func(t *testing.T) {
		s.tooLarge(t, func() io.Reader { return bytes.NewReader(make([]byte, most+1)) })
	})
	t.Run("body over the cap, of unknown length", func(t *testing.T) {
		s.tooLarge(t, func() io.Reader { return io.MultiReader(bytes.NewReader(make([]byte, most+1))) })
	})
	t.Run("the next request is served", func(t *testing.T) { s.post(t).token(t) })

	t.Run("request ids differ", func(t *testing.T) {
		seen := map[string]bool{}
		for range 20 {
			id := s.do(t, "GET", "/healthz", nil).Header.Get("X-Request-ID")
			if seen[id] {
				t.Errorf("%s came twice", id)
			}
			seen[id] = true
		}
	})
}

func testHealth(t *testing.T, b Build) {
	s := start(t, b, nil)
	for _, path := range []string{"/healthz", "/readyz"} {
		a := s.do(t, "GET", path, nil)
		if a.StatusCode != 200 || string(a.body) != "{\"status\":\"ok\"}\n" {
			t.Errorf("%s: status %d: %s", path, a.StatusCode, a.body)
		}
		if a := s.do(t, "HEAD", path, nil); a.StatusCode != 200 || len(a.body) != 0 {
			t.Errorf("HEAD %s: status %d: %s", path, a.StatusCode, a.body)
		}
		a = s.do(t, "POST", path, nil)
		a.failure(t, 405, "method_not_allowed")
		if allow := a.Header.Get("Allow"); allow != "GET, HEAD" {
			t.Errorf("Allow is %q", allow)
		}
	}
	if n := s.Exchanges(); n != 0 {
		t.Errorf("Coze was asked %d times", n)
	}
	s = newServer(t)
	var drains bool
	if s.url, drains = b.StartDraining(t, s.settings); drains {
		for _, method := range []string{"GET", "HEAD"} {
			s.do(t, method, "/readyz", nil).failure(t, 503, "draining")
		}
		s.post(t).token(t)
	}
}

// testClient is about the one file that the service serves.
func testClient(t *testing.T, b Build) {
	s := start(t, b, map[string]string{"ALLOWED_ORIGINS": "https://www.example.com", "RATE_LIMIT": "1"})
	get := func(method string, headers ...string) answer {
		t.Helper()
		a, err := s.try(method, "/client.js", nil, append(headers, "Origin", "https://anybody.example")...)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for range 3 { // no limit counts it
		a := get("GET")
		if a.StatusCode != 200 || !strings.Contains(string(a.body), "tokenSource") {
			t.Fatalf("status %d: %.100s", a.StatusCode, a.body)
		}
	}
	tag := get("GET").Header.Get("ETag")
	for _, match := range []string{tag, "W/" + tag, `"other", ` + tag} {
		if a := get("GET", "If-None-Match", match); a.StatusCode != 304 || len(a.body) != 0 {
			t.Errorf("If-None-Match: %s: status %d", match, a.StatusCode)
		}
	}
	if a := get("GET", "If-None-Match", `"other"`); a.StatusCode != 200 {
		t.Errorf("another ETag: status %d", a.StatusCode)
	}
	if a := get("HEAD"); a.StatusCode != 200 {
		t.Errorf("HEAD: status %d", a.StatusCode)
	}
	if a := get("HEAD", "If-None-Match", tag); a.StatusCode != 304 {
		t.Errorf("HEAD with If-None-Match: status %d", a.StatusCode)
	}
	a := s.do(t, "POST", "/client.js", nil)
	a.failure(t, 405, "method_not_allowed")
	off := start(t, b, map[string]string{"CLIENT_JS": "off"})
	for _, method := range []string{"GET", "HEAD"} {
		off.do(t, method, "/client.js", nil).failure(t, 404, "not_found")
	}
}

// postSession asks for a token and returns it, for goroutines that are not the test's own.
func postSession(url, session string) (string, error) {
	r, err := http.NewRequest("POST", url+"/", nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("X-User-ID", session)
	response, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	var body tokenBody
	if err := unmarshal(data, &body); err != nil || response.StatusCode != 200 {
		return "", fmt.Errorf("%s: %s", response.Status, data)
	}
	keepSecret("a token", body.AccessToken)
	return body.AccessToken, nil
}

// statusOf sends a POST, for goroutines that are not the test's own.
func statusOf(url string, headers []string) (int, error) {
	r, err := http.NewRequest("POST", url+"/", nil)
	if err != nil {
		return 0, err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	response, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// tooLarge sends a body that is. The service answers before it has read all of it, so now and then
// the connection breaks under the client before it has read the answer (RFC 9112, section 9.6);
// then it is tried again.
func (s *server) tooLarge(t *testing.T, body func() io.Reader) {
	t.Helper()
	var err error
	for range 10 {
		var a answer
		if a, err = s.try("POST", "/", body()); err == nil {
			a.failure(t, 413, "body_too_large")
			return
		}
	}
	t.Errorf("ten times there was no answer: %v", err)
}
