// Package contract is the HTTP contract as a test suite. It runs against every build of the
// service, native or Worker: a build says how it is started, and the suite speaks to it over HTTP
// only, with a sandbox in Coze's place. Each request and answer is held against docs/openapi.yaml.
package contract

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"coze-token/sandbox"
)

// A Build starts the service under test.
type Build interface {
	// Start serves with the given settings until t ends, and returns the base URL, without a slash at
	// the end. Wrong settings are served, too: as the misconfigured answer.
	Start(t *testing.T, settings map[string]string) (url string)
	// Output is everything that the services started so far have logged or printed.
	Output() string
	// StartDraining is Start, and the service is about to stop for some seconds. ok is false if this
	// host never is.
	StartDraining(t *testing.T, settings map[string]string) (url string, ok bool)
	// Host is the name that the description has for where the service runs: native or workers.
	Host() string
}

// Run runs the whole suite.
func Run(t *testing.T, b Build) {
	t.Cleanup(func() { checkOutput(t, b) })
	rotated := beginRotation(t, b) // it takes half a minute, the most of which is waiting
	parts := []struct {
		name string
		test func(*testing.T, Build)
	}{
		{"Token", testToken},
		{"Session", testSession},
		{"Quota", testQuota},
		{"Parallel", testParallel},
		{"Request", testRequest},
		{"Health", testHealth},
		{"Client", testClient},
		{"Quickstart", testQuickstart},
		{"Language", testLanguage},
		{"Settings", testSettings},
		{"Upstream", testUpstream},
		{"Remember", testRemember},
		{"Wiring", testWiring},
		{"Misconfigured", testMisconfigured},
		{"Access", testAccess},
		{"Limits", testLimits},
		{"Statuses", testStatuses},
		{"Rotation", func(t *testing.T, _ Build) { rotated(t) }},
	}
	ran := 0
	for _, part := range parts {
		t.Run(part.name, func(t *testing.T) { ran++; part.test(t, b) })
	}
	t.Run("Description", func(t *testing.T) {
		if ran < len(parts) {
			t.Skip("only the whole suite sees the whole description")
		}
		testDescription(t, b.Host())
	})
}

// key is the made-up private key of every sandbox here: making one takes a while.
var key = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// A server is a service, and the sandbox that it asks in the place of Coze.
type server struct {
	*sandbox.Sandbox
	url      string
	coze     string // the sandbox's address
	settings map[string]string
	tried    atomic.Int64 // requests
}

// start starts a service. The settings are added to those of the sandbox app; an empty one removes
// one.
func start(t *testing.T, b Build, settings map[string]string) *server {
	t.Helper()
	s := newServer(t)
	s.serve(t, b, settings)
	return s
}

// newServer starts the sandbox only, for settings that depend on it.
func newServer(t *testing.T) *server {
	t.Helper()
	sb, err := sandbox.New(sandbox.Options{Key: key()})
	if err != nil {
		t.Fatal(err)
	}
	coze := httptest.NewServer(sb)
	t.Cleanup(coze.Close)
	s := &server{Sandbox: sb, coze: coze.URL, settings: sb.Settings(coze.URL)}
	t.Cleanup(func() { s.keepSecrets(t) })
	return s
}

// serve starts the service.
func (s *server) serve(t *testing.T, b Build, settings map[string]string) {
	t.Helper()
	s.settings["RATE_LIMIT"] = "off" // the suite asks more often than a caller may
	maps.Copy(s.settings, settings)
	maps.DeleteFunc(s.settings, func(_, value string) bool { return value == "" })
	s.url = b.Start(t, s.settings)
}

// An answer is what the service said.
type answer struct {
	*http.Response
	body []byte
}

// A tokenBody has every member of the answer with a token.
type tokenBody struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int64  `json:"expires_in"`
	TokenType   string `json:"token_type"`
	Token       string `json:"token"`
	TTL         int64  `json:"ttl"`
}

// A failureBody has every member of the answer without one.
type failureBody struct {
	Error     string `json:"error"`
	Code      string `json:"code"`
	Hint      string `json:"hint"`
	RequestID string `json:"request_id"`
	Upstream  *struct {
		Status  int    `json:"status"`
		Code    string `json:"code"`
		Message string `json:"message"`
		LogID   string `json:"logid"`
	} `json:"upstream"`
}

var client = &http.Client{
	Transport:     described{&http.Transport{MaxIdleConnsPerHost: 100}},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       30 * time.Second,
}

// do sends a request.
func (s *server) do(t *testing.T, method, path string, body io.Reader, headers ...string) answer {
	t.Helper()
	a, err := s.try(method, path, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// try sends a request. The error is the connection's.
func (s *server) try(method, path string, body io.Reader, headers ...string) (answer, error) {
	r, err := http.NewRequestWithContext(context.Background(), method, s.url+path, body)
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	if r.Header.Get("Accept-Language") == "" { // every failure is to be good in both languages
		r.Header.Set("Accept-Language", []string{"en", "zh-CN,zh;q=0.9,en;q=0.8"}[s.tried.Add(1)%2])
	}
	r.Host = r.Header.Get("Host") // "" is the URL's
	response, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	a := answer{Response: response}
	a.body, err = io.ReadAll(response.Body)
	return a, err
}

func (s *server) post(t *testing.T, headers ...string) answer {
	t.Helper()
	return s.do(t, "POST", "/", nil, headers...)
}

// token reads an answer with a token, to the letter of the contract.
func (a answer) token(t *testing.T) tokenBody {
	t.Helper()
	if a.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s", a.StatusCode, a.body)
	}
	var body tokenBody
	decode(t, a.body, &body)
	keepSecret("a token", body.AccessToken)
	return body
}

// failure reads an answer without one.
func (a answer) failure(t *testing.T, status int, code string) failureBody {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("status %d, not %d: %s", a.StatusCode, status, a.body)
	}
	if a.Request.Method == http.MethodHead {
		return failureBody{}
	}
	var body failureBody
	decode(t, a.body, &body)
	if body.Code != code {
		t.Errorf("code %q, not %q: %s", body.Code, code, a.body)
	}
	if body.Error == "" || body.Hint == "" {
		t.Errorf("what went wrong, or what to do, is not said: %s", a.body)
	}
	a.checkLanguage(t, body)
	if body.RequestID != a.Header.Get("X-Request-ID") {
		t.Errorf("request_id is %q, the header says %q", body.RequestID, a.Header.Get("X-Request-ID"))
	}
	return body
}

// decode insists that the JSON has the members of v and no others.
func decode(t *testing.T, data []byte, v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	if d.More() {
		t.Fatalf("more than one JSON value: %s", data)
	}
}

// issued is what the sandbox knows of a token.
func (s *server) issued(t *testing.T, token string) sandbox.Issue {
	t.Helper()
	issue, ok := s.Issued(token)
	if !ok {
		t.Fatal("the sandbox did not issue this token")
	}
	return issue
}

func fails(t *testing.T, s *server, faults ...string) {
	t.Helper()
	if err := s.Fail(faults...); err != nil {
		t.Fatal(fmt.Errorf("%v: %w", faults, err))
	}
}
