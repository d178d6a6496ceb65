package sandbox

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	maxRequests = 256
	maxHeader   = 32 << 10 // bytes of names and values recorded for each request
)

// A Request is an exchange that was asked for, as it arrived, and what came of it.
type Request struct {
	Time time.Time `json:"time"`
	// LogID is the X-Tt-Logid of the answer.
	LogID string `json:"logid"`
	Path  string `json:"path"` // escaped, as it came, without the query
	// Header is what was sent. In its Authorization the credential is replaced by the first digits of
	// its SHA-256; see Assertion.
	Header http.Header `json:"header"`
	// JWTHeader and Claims are the assertion's, verified or not, nil if it could not be read. Numbers
	// are json.Number.
	JWTHeader map[string]any `json:"jwt_header"`
	Claims    map[string]any `json:"claims"`
	// Body is what was sent, up to 16 KiB.
	Body string `json:"body"`
	// ClientID is the app's, once its assertion was found good.
	ClientID string `json:"client_id"`
	// Status is that of the answer, 0 if the connection was reset.
	Status int `json:"status"`
	// Refusal is the error_message that the request deserved, empty if it deserved a token, whatever a
	// fault made of it.
	Refusal string `json:"refusal"`
	// Fault is the one that changed the answer, in the form that ParseFault reads. Latency is not
	// recorded.
	Fault string `json:"fault"`
	// Assertion is the JWT itself, up to 16 KiB. It is a credential, although a used one, so it stays
	// out of JSON and logs.
	Assertion string `json:"-"`
}

// LogValue keeps the assertion out of logs.
func (r Request) LogValue() slog.Value {
	return slog.GroupValue(slog.String("logid", r.LogID), slog.String("path", r.Path), slog.Int("status", r.Status))
}

func recordRequest(r *http.Request, body []byte, now time.Time, logID string) Request {
	request := Request{
		Time:   now,
		LogID:  logID,
		Path:   strings.Clone(r.URL.EscapedPath()[:min(len(r.URL.EscapedPath()), 4<<10)]),
		Header: http.Header{},
		Body:   strings.ToValidUTF8(string(body[:min(len(body), maxBody)]), "�"),
	}
	room := maxHeader
	for name, values := range r.Header {
		for _, value := range values {
			if name == "Authorization" {
				value = redact(value)
			}
			if room -= len(name) + len(value); room >= 0 {
				request.Header.Add(name, value)
			}
		}
	}
	if assertion := bearer(r.Header); len(assertion) <= maxJWT {
		request.Assertion = assertion
		token, _, _ := parser.ParseUnverified(assertion, jwt.MapClaims{})
		if token != nil && token.Header != nil {
			request.JWTHeader = token.Header
			request.Claims, _ = token.Claims.(jwt.MapClaims)
		}
	}
	return request
}

func redact(authorization string) string {
	scheme, credential, ok := strings.Cut(authorization, " ")
	if !ok {
		return "sha256:" + short(authorization)
	}
	return scheme + " sha256:" + short(credential)
}

// remember counts and keeps a request. The caller holds s.mu.
func (s *Sandbox) remember(request Request) {
	s.exchanges++
	if len(s.requests) == maxRequests {
		s.requests = slices.Delete(s.requests, 0, 1)
	}
	s.requests = append(s.requests, request)
}

// Exchanges is how many exchanges were asked for since New: every POST to one of the three token
// endpoints that arrived whole, also those that were refused or met a fault. Other methods and
// paths do not count.
func (s *Sandbox) Exchanges() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exchanges
}

// Requests are the last 256 exchanges that were asked for, in the order of arrival.
func (s *Sandbox) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Last is the last exchange that was asked for, and false if there was none.
func (s *Sandbox) Last() (Request, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) == 0 {
		return Request{}, false
	}
	return s.requests[len(s.requests)-1], true
}
