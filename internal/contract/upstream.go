package contract

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"coze-token/coze"
	"coze-token/sandbox"
)

func unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// testSettings shows that what is set reaches Coze.
func testSettings(t *testing.T, b Build) {
	t.Run("duration, session and context", func(t *testing.T) {
		s := start(t, b, map[string]string{
			"TOKEN_DURATION": "1800", "DEFAULT_SESSION": "session-shared", "ASSERTION_LIFETIME": "600", "CONNECTOR_ID": "2001",
			"DEVICE_ID": "device-1",
		})
		issue := s.issued(t, s.post(t).token(t).AccessToken)
		if issue.Duration != 30*time.Minute || issue.Session != "session-shared" {
			t.Errorf("the token is for %v and %q", issue.Duration, issue.Session)
		}
		if got := string(issue.SessionContext); got != `{"connector_info":{"connector_id":"2001"},"device_info":{"device_id":"device-1"}}` {
			t.Errorf("the session context is %s", got)
		}
		last, _ := s.Last()
		if life := number(last.Claims["exp"]) - number(last.Claims["iat"]); life != 600 {
			t.Errorf("the assertion lives %v s", life)
		}
		if agent := last.Header.Get("User-Agent"); !strings.HasPrefix(agent, "coze-token/") {
			t.Errorf("User-Agent is %q", agent)
		}
		if issue := s.issued(t, s.post(t, "X-User-ID", "own").token(t).AccessToken); issue.Session != "own" {
			t.Errorf("a caller's own session became %q", issue.Session)
		}
	})
	t.Run("account", func(t *testing.T) {
		s := start(t, b, map[string]string{"ACCOUNT_ID": sandbox.Account})
		if issue := s.issued(t, s.post(t).token(t).AccessToken); issue.AccountID != sandbox.Account {
			t.Errorf("the token is for account %q", issue.AccountID)
		}
	})
	t.Run("enterprise, and the key with literal line ends in quotes", func(t *testing.T) {
		plain := start(t, b, nil).settings["PRIVATE_KEY"]
		s := start(t, b, map[string]string{
			"ENTERPRISE_ID": sandbox.Enterprise,
			"PRIVATE_KEY":   `"` + strings.ReplaceAll(plain, "\n", `\n`) + `"`,
		})
		if issue := s.issued(t, s.post(t).token(t).AccessToken); issue.EnterpriseID != sandbox.Enterprise {
			t.Errorf("the token is for enterprise %q", issue.EnterpriseID)
		}
	})
}

func number(v any) float64 {
	switch n := v.(type) {
	case json.Number:
		f, _ := n.Float64()
		return f
	case float64:
		return n
	}
	return 0
}

// testUpstream holds every way that Coze can fail against the status table.
func testUpstream(t *testing.T, b Build) {
	s := start(t, b, map[string]string{"UPSTREAM_TIMEOUT": "3", "CACHE": "off"})
	cases := []struct {
		name       string
		fault      string
		status     int
		code       string
		upstream   int // its status; 0 where Coze did not answer
		exchanges  int
		retryAfter string
	}{
		{"unknown key", "unknown-key", 502, "upstream_rejected", 401, 1, ""},
		{"internal error", "internal-error", 502, "upstream_unavailable", 500, 3, ""},
		{"503", "503", 502, "upstream_unavailable", 503, 3, ""},
		{"HTML with 200", "html", 502, "upstream_unavailable", 200, 1, ""},
		{"HTML with 502", "html=502", 502, "upstream_unavailable", 502, 3, ""},
		{"truncated JSON", "truncated", 502, "upstream_unavailable", 200, 1, ""},
		{"an empty body", "empty", 502, "upstream_unavailable", 200, 1, ""},
		{"no token", "no-token", 502, "upstream_unavailable", 200, 1, ""},
		{"too large", "oversized", 502, "upstream_unavailable", 200, 1, ""},
		{"a relative expiry", "expires-in=relative", 502, "upstream_unavailable", 200, 1, ""},
		{"a far expiry", "expires-in=far", 502, "upstream_unavailable", 200, 1, ""},
		{"no expiry", "expires-in=missing", 502, "upstream_unavailable", 200, 1, ""},
		{"a redirect", "redirect", 502, "upstream_unavailable", 307, 1, ""},
		{"connection reset", "reset", 502, "upstream_unavailable", 0, 3, ""},
		{"429", "429,retry-after=20", 503, "upstream_busy", 429, 1, "20"},
		{"429 with a short Retry-After", "429,retry-after=2", 503, "upstream_busy", 429, 1, "2"},
		{"429 without Retry-After", "429", 503, "upstream_busy", 429, 3, "5"},
		{"silence", "latency=8s", 504, "upstream_timeout", 0, 1, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			fails(t, s, c.fault)
			defer fails(t, s)
			before := s.Exchanges()
			began := time.Now()
			a := s.post(t, "X-User-ID", "session of "+c.name)
			f := a.failure(t, c.status, c.code)
			if took := time.Since(began); took > 7*time.Second {
				t.Errorf("it took %v, and the service has 3 s", took)
			}
			if got := a.Header.Get("Retry-After"); got != c.retryAfter {
				t.Errorf("Retry-After is %q, not %q", got, c.retryAfter)
			}
			if n := s.Exchanges() - before; n != c.exchanges {
				t.Errorf("Coze was asked %d times, not %d", n, c.exchanges)
			}
			if c.upstream == 0 {
				if f.Upstream != nil {
					t.Errorf("Coze did not answer, and upstream is %+v", *f.Upstream)
				}
				return
			}
			if f.Upstream == nil {
				t.Fatalf("what Coze said is missing: %s", a.body)
			}
			if f.Upstream.Status != c.upstream || f.Upstream.LogID == "" {
				t.Errorf("upstream is %+v", *f.Upstream)
			}
		})
	}
	t.Run("Coze's own words", func(t *testing.T) {
		fails(t, s, "unknown-key")
		defer fails(t, s)
		f := s.post(t, "X-User-ID", "session-words").failure(t, 502, "upstream_rejected")
		if f.Upstream.Code != "invalid_client" || f.Upstream.Message != "invalid jwt: kid not been registred" {
			t.Errorf("upstream is %+v", *f.Upstream)
		}
		if !strings.Contains(f.Hint, "COZE_REGION") {
			t.Errorf("the hint does not name the first cause: %s", f.Hint)
		}
	})
	t.Run("a passing fault is not noticed", func(t *testing.T) {
		fails(t, s, "503,times=1", "reset,times=1")
		s.post(t, "X-User-ID", "session-passing").token(t)
		requests := s.Requests()
		jti := map[any]bool{}
		for _, r := range requests[len(requests)-3:] {
			jti[r.Claims["jti"]] = true
		}
		if len(jti) != 3 {
			t.Errorf("three attempts had %d different assertions", len(jti))
		}
	})
	t.Run("nobody listens", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		s := start(t, b, map[string]string{"TOKEN_ENDPOINT": "http://" + l.Addr().String() + coze.TokenPath})
		if f := s.post(t).failure(t, 502, "upstream_unavailable"); f.Upstream != nil {
			t.Errorf("upstream is %+v", *f.Upstream)
		}
	})
}

func testMisconfigured(t *testing.T, b Build) {
	for _, c := range []struct {
		name     string
		settings map[string]string
		want     []string // variables that are named
		never    []string // values that are not
	}{
		{"required settings missing", map[string]string{"CLIENT_ID": "", "PRIVATE_KEY": "", "KID": ""},
			[]string{"CLIENT_ID", "PRIVATE_KEY", "KID"}, nil},
		{"values that are wrong", map[string]string{"PRIVATE_KEY": "hunter2-hunter2", "TOKEN_DURATION": "86400",
			"TOKEN_ENDPOINT": "http://api.coze.cn/token"},
			[]string{"PRIVATE_KEY", "TOKEN_DURATION", "TOKEN_ENDPOINT"}, []string{"hunter2", "86400", "http://"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, b, c.settings)
			for range 2 {
				a := s.post(t)
				f := a.failure(t, 500, "misconfigured")
				for _, name := range c.want {
					if !strings.Contains(f.Error, name) {
						t.Errorf("%s is not named in %q", name, f.Error)
					}
				}
				for _, value := range c.never {
					if strings.Contains(string(a.body), value) {
						t.Errorf("the answer holds the value %q: %s", value, a.body)
					}
				}
			}
			s.do(t, "POST", "/shop", nil).failure(t, 500, "misconfigured")
			s.do(t, "GET", "/shop", nil).failure(t, 404, "not_found")
			s.do(t, "GET", "/readyz", nil).failure(t, 500, "misconfigured")
			s.do(t, "HEAD", "/readyz", nil).failure(t, 500, "misconfigured")
			s.do(t, "GET", "/", nil).failure(t, 405, "method_not_allowed")
			if a := s.do(t, "GET", "/healthz", nil); a.StatusCode != 200 {
				t.Errorf("/healthz: status %d", a.StatusCode)
			}
		})
	}
}
