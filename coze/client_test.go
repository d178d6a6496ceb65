package coze_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"coze-token/coze"
)

// A script is a transport that plays back answers, one for each attempt, and keeps what it was
// sent.
type script struct {
	answers []func(*http.Request) (*http.Response, error)
	sent    []*http.Request
	bodies  []string
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.sent, s.bodies = append(s.sent, r), append(s.bodies, string(body))
	if len(s.sent) > len(s.answers) {
		return nil, fmt.Errorf("attempt %d was not expected", len(s.sent))
	}
	return s.answers[len(s.sent)-1](r)
}

func says(status int, body string, headers ...string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		h := http.Header{"Content-Type": {"application/json"}}
		for i := 0; i < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func breaks(err error) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

func good() func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		return says(200, fmt.Sprintf(`{"access_token":"czs_good","expires_in":%d}`, time.Now().Add(15*time.Minute).Unix()))(r)
	}
}

func app() *coze.App {
	return &coze.App{
		ClientID: "1133483935040",
		Keys:     []coze.Key{{ID: "kid-1", Signer: rsaKey()}},
		Audience: coze.China.Audience,
		Endpoint: coze.China.Endpoint,
	}
}

func claimsOf(t *testing.T, r *http.Request) (header, claims map[string]any, assertion string) {
	t.Helper()
	assertion, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	parts := strings.Split(assertion, ".")
	if !ok || len(parts) != 3 {
		t.Fatal("the Authorization header holds no JWT")
	}
	for i, into := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims, assertion
}

// kidUnknown is what Coze answers to a key that it does not know.
const kidUnknown = `{"error_code":"invalid_client","error_message":"invalid jwt: kid not been registred",` +
	`"error":"invalid_client"}`

// at is a client whose clock stands.
func at(now time.Time, transport http.RoundTripper) *coze.Client {
	return &coze.Client{Transport: transport, Clock: &coze.Clock{Base: func() time.Time { return now }}}
}

// What a request names stands in the place of what the app has.
func TestQuotaOfARequest(t *testing.T) {
	for _, c := range []struct {
		app  coze.SessionContext
		r    coze.TokenRequest
		want string
	}{
		{coze.SessionContext{DeviceID: "a"}, coze.TokenRequest{}, "map[device_info:map[device_id:a]]"},
		{coze.SessionContext{DeviceID: "a"}, coze.TokenRequest{DeviceID: "用户"}, "map[device_info:map[device_id:用户]]"},
		{coze.SessionContext{DeviceID: "a"}, coze.TokenRequest{CustomConsumer: "c"},
			"map[device_info:map[custom_consumer:c device_id:a]]"},
		{coze.SessionContext{CustomConsumer: "a"}, coze.TokenRequest{CustomConsumer: "c"},
			"map[device_info:map[custom_consumer:c]]"},
	} {
		s := &script{answers: []func(*http.Request) (*http.Response, error){good()}}
		c.r.App = app()
		c.r.App.SessionContext = c.app
		if _, err := (&coze.Client{Transport: s}).Token(t.Context(), c.r); err != nil {
			t.Fatal(err)
		}
		if _, claims, _ := claimsOf(t, s.sent[0]); fmt.Sprint(claims["session_context"]) != c.want {
			t.Errorf("%v, want %s", claims["session_context"], c.want)
		}
	}
}

func TestTheExchange(t *testing.T) {
	s := &script{answers: []func(*http.Request) (*http.Response, error){good()}}
	a := app()
	a.Scope = json.RawMessage(`{"account_permission":{"permission_list":["Connector.botChat"]}}`)
	a.SessionContext = coze.SessionContext{DeviceID: "device-1", ConnectorID: "2001"}
	before := time.Now().Unix()
	token, err := (&coze.Client{Transport: s}).Token(t.Context(),
		coze.TokenRequest{App: a, Session: "用户🙂", Duration: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if token.AccessToken != "czs_good" || token.Type != "Bearer" || time.Until(token.Expiry) < 14*time.Minute {
		t.Errorf("got %+v", token)
	}
	r := s.sent[0]
	if r.Method != "POST" || r.URL.String() != coze.China.Endpoint {
		t.Errorf("sent %s %s", r.Method, r.URL)
	}
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
	if got := r.Header.Get("User-Agent"); !strings.HasPrefix(got, "coze-token/") {
		t.Errorf("User-Agent %q", got)
	}
	const body = `{"grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer","duration_seconds":600,` +
		`"scope":{"account_permission":{"permission_list":["Connector.botChat"]}}}`
	if s.bodies[0] != body {
		t.Errorf("body %s", s.bodies[0])
	}
	header, claims, _ := claimsOf(t, r)
	if fmt.Sprint(header) != "map[alg:RS256 kid:kid-1 typ:JWT]" {
		t.Errorf("header %v", header)
	}
	jti, _ := base64.RawURLEncoding.DecodeString(claims["jti"].(string))
	if len(jti) < 32 {
		t.Errorf("jti of %d bytes", len(jti))
	}
	iat, exp := int64(claims["iat"].(float64)), int64(claims["exp"].(float64))
	if iat < before || iat > time.Now().Unix() || exp-iat != 3600 {
		t.Errorf("iat %d, exp %d", iat, exp)
	}
	delete(claims, "jti")
	delete(claims, "iat")
	delete(claims, "exp")
	want := "map[aud:api.coze.cn iss:1133483935040 session_context:map[connector_info:map[connector_id:2001] " +
		"device_info:map[device_id:device-1]] session_name:用户🙂]"
	if got := fmt.Sprint(claims); got != want {
		t.Errorf("claims %s", got)
	}
}

func TestNoSessionMeansNoClaim(t *testing.T) {
	s := &script{answers: []func(*http.Request) (*http.Response, error){good()}}
	if _, err := (&coze.Client{Transport: s}).Token(t.Context(), coze.TokenRequest{App: app()}); err != nil {
		t.Fatal(err)
	}
	_, claims, _ := claimsOf(t, s.sent[0])
	for _, name := range []string{"session_name", "session_context"} {
		if _, there := claims[name]; there {
			t.Errorf("%s is there", name)
		}
	}
	if !strings.Contains(s.bodies[0], `"duration_seconds":900}`) {
		t.Errorf("body %s", s.bodies[0])
	}
}

func TestOpenSSLVerifiesTheSignature(t *testing.T) {
	s := &script{answers: []func(*http.Request) (*http.Response, error){good()}}
	if _, err := (&coze.Client{Transport: s}).Token(t.Context(), coze.TokenRequest{App: app()}); err != nil {
		t.Fatal(err)
	}
	_, _, assertion := claimsOf(t, s.sent[0])
	signed, sig, _ := cutLast(assertion, ".")
	raw, err := base64.RawURLEncoding.DecodeString(sig)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	public := filepath.Join(dir, "public.pem")
	sigFile := filepath.Join(dir, "sig")
	write(t, public, openssl(t, pkcs8(t, rsaKey()), "pkey", "-pubout"))
	write(t, sigFile, string(raw))
	if out := openssl(t, signed, "dgst", "-sha256", "-verify", public, "-signature", sigFile); !strings.Contains(out,
		"Verified OK") {
		t.Errorf("openssl says %q", out)
	}
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	return s[:i], s[i+1:], i >= 0
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTokenURL(t *testing.T) {
	for _, c := range []struct{ endpoint, account, enterprise, want string }{
		{coze.Global.Endpoint, "", "", "https://api.coze.com/api/permission/oauth2/token"},
		{coze.China.Endpoint, "1234", "", "https://api.coze.cn/api/permission/oauth2/account/1234/token"},
		{coze.China.Endpoint, "", "volcano_210195",
			"https://api.coze.cn/api/permission/oauth2/enterprise_id/volcano_210195/token"},
		{coze.China.Endpoint, "../a b?c#d/e", "",
			"https://api.coze.cn/api/permission/oauth2/account/..%2Fa%20b%3Fc%23d%2Fe/token"},
		{"https://proxy.example/coze", "", "", "https://proxy.example/coze"},
		{"https://proxy.example/coze", "1", "", ""},
		{coze.China.Endpoint, "..", "", ""},
		{coze.China.Endpoint, "1", "2", ""},
	} {
		a := coze.App{Endpoint: c.endpoint, AccountID: c.account, EnterpriseID: c.enterprise}
		got, err := a.TokenURL()
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%+v: got %q, %v", c, got, err)
		}
	}
}

func TestRefusalsAndNonsense(t *testing.T) {
	soon := time.Now().Add(time.Hour).Unix()
	cases := []struct {
		name        string
		answer      func(*http.Request) (*http.Response, error)
		kind        coze.Kind
		message     string // a part of it
		code, logid string
		attempts    int
	}{
		{"kid unknown", says(401, kidUnknown, "X-Tt-Logid", "L1"),
			coze.Rejected, "kid not been registred", "invalid_client", "L1", 1},
		{"unverifiable", says(401, `{"error_code":"invalid_client","error_message":"verify jwt empty error"}`),
			coze.Rejected, "verify jwt empty", "invalid_client", "", 1},
		{"deactivated", says(403,
			`{"error_code":"access_deny","error_message":"app: x is currently deactivated by the owner"}`), coze.Rejected, "deactivated", "access_deny", "", 1},
		{"app type", says(403, `{"error_code":"access_deny","error_message":"invalid app type"}`), coze.Rejected, "",
			"access_deny", "", 1},
		{"parameter", says(400, `{"error_code":"invalid_request","error_message":"invalid request: scope"}`), coze.Rejected,
			"scope", "invalid_request", "", 1},
		{"only the word", says(400, `{"error":"unsupported_grant_type"}`), coze.Rejected, "", "unsupported_grant_type", "",
			1},
		{"the other shape", says(401, `{"code":4100,"msg":"authentication is invalid","detail":{"logid":"L2"}}`),
			coze.Rejected, "authentication is invalid", "4100", "L2", 1},
		{"the other shape with 200", says(200, `{"code":4000,"msg":"no","detail":{"logid":"L3"}}`), coze.Rejected, "no",
			"4000", "L3", 1},
		{"connector app", says(400, `{"code":4000,"msg":"connector app should bind connector id"}`), coze.Rejected,
			"bind connector", "4000", "", 1},
		{"an error with status 200", says(200, `{"error_code":"invalid_client","error_message":"no"}`), coze.Rejected, "no",
			"invalid_client", "", 1},
		{"internal_error with 200", says(200, `{"error_code":"internal_error","error_message":"Service internal error."}`),
			coze.Unavailable, "internal", "internal_error", "", 3},
		{"500", says(500, `{"error_code":"internal_error","error_message":"Service internal error."}`), coze.Unavailable,
			"internal", "internal_error", "", 3},
		{"502 HTML", says(502, "<html>Bad Gateway</html>"), coze.Unavailable, "HTML", "", "", 3},
		{"429", says(429, `{"code":4013,"msg":"slow down"}`), coze.Busy, "slow down", "4013", "", 3},
		{"429 without a body", says(429, ""), coze.Busy, "empty", "", "", 3},
		{"no network", breaks(errors.New("connection refused")), coze.Unavailable, "could not be reached", "", "", 3},
		{"a zero beside an error", says(401, `{"error_code":0,"error":"invalid_client","error_message":"no"}`),
			coze.Rejected, "no", "invalid_client", "", 1},
		{"a zero without a token", says(200, `{"error_code":0,"error_message":"success"}`), coze.Unavailable,
			"no access_token", "", "", 1},
		{"no access_token", says(200, `{"expires_in":1}`), coze.Unavailable, "no access_token", "", "", 1},
		{"empty access_token", says(200, `{"access_token":"","expires_in":1}`), coze.Unavailable, "no access_token", "", "",
			1},
		{"access_token of a wrong type", says(200, `{"access_token":["x"],"expires_in":1}`), coze.Unavailable,
			"no access_token", "", "", 1},
		{"access_token with a line end", says(200, fmt.Sprintf(`{"access_token":"a\nb","expires_in":%d}`, soon)),
			coze.Unavailable, "characters", "", "", 1},
		{"no expires_in", says(200, `{"access_token":"x"}`), coze.Unavailable, "no expires_in", "", "", 1},
		{"relative expires_in", says(200, `{"access_token":"x","expires_in":900}`), coze.Unavailable, "in the past", "", "",
			1},
		{"expires_in in milliseconds", says(200, fmt.Sprintf(`{"access_token":"x","expires_in":%d000}`, soon)),
			coze.Unavailable, "over a day ahead", "", "", 1},
		{"expires_in as text", says(200, fmt.Sprintf(`{"access_token":"x","expires_in":"%d"}`, soon)), coze.Unavailable,
			"not a whole number", "", "", 1},
		{"expires_in with a fraction", says(200, fmt.Sprintf(`{"access_token":"x","expires_in":%d.5}`, soon)),
			coze.Unavailable, "not a whole number", "", "", 1},
		{"expires_in beyond int64", says(200, `{"access_token":"x","expires_in":99999999999999999999}`), coze.Unavailable,
			"not a whole number", "", "", 1},
		{"HTML with 200", says(200, "<!doctype html><title>login</title>"), coze.Unavailable, "HTML", "", "", 1},
		{"truncated JSON", says(200, `{"access_token":"x","expi`), coze.Unavailable, "truncated", "", "", 1},
		{"an empty body", says(200, ""), coze.Unavailable, "empty", "", "", 1},
		{"plain text", says(200, "ok"), coze.Unavailable, "not JSON", "", "", 1},
		{"JSON without meaning", says(404, `{"hello":"world"}`), coze.Unavailable, "without a token", "", "", 1},
		{"too large", says(200, `{"x":"`+strings.Repeat("x", 1<<20)+`"}`), coze.Unavailable, "1 MiB", "", "", 1},
		{"a redirect", says(302, "", "Location", "https://evil.example/"), coze.Unavailable, "redirect", "", "", 1},
		{"control characters", says(400, `{"error_code":"a\nb","error_message":"c\u001b[31m\u0000d"}`), coze.Rejected,
			"c [31m d", "a b", "", 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// The bubble's clock starts in the year 2000: the answers above are of today.
				now := time.Unix(soon-3600, 0)
				s := &script{answers: []func(*http.Request) (*http.Response, error){c.answer, c.answer, c.answer}}
				_, err := at(now, s).Token(t.Context(), coze.TokenRequest{App: app()})
				var e *coze.Error
				if !errors.As(err, &e) {
					t.Fatalf("got %v", err)
				}
				if e.Kind != c.kind || !strings.Contains(e.Message, c.message) || e.Code != c.code || e.LogID != c.logid {
					t.Errorf("got %+v", e)
				}
				clock := c.message == "in the past" || c.message == "over a day ahead"
				if e.WrongClock != clock {
					t.Errorf("wrong clock: %t", e.WrongClock)
				}
				if len(s.sent) != c.attempts || e.Attempts != c.attempts {
					t.Errorf("%d attempts, and the error says %d", len(s.sent), e.Attempts)
				}
			})
		})
	}
}

func TestACodeOfZeroIsSuccess(t *testing.T) {
	for _, zero := range []string{`"code":0,"msg":"success"`, `"error_code":0,"error_message":"success"`,
		`"error_code":"0"`, `"error_code":0,"error":""`, `"error":0`} {
		body := fmt.Sprintf(`{"access_token":"x","expires_in":%d,%s}`, time.Now().Add(time.Hour).Unix(), zero)
		s := &script{answers: []func(*http.Request) (*http.Response, error){says(200, body)}}
		if token, err := (&coze.Client{Transport: s}).Token(t.Context(), coze.TokenRequest{App: app()}); err != nil ||
			token.AccessToken != "x" {
			t.Errorf("%s: %v", zero, err)
		}
	}
}

func TestHowFarAheadAnExpiryIsBelieved(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for ahead, believed := range map[time.Duration]bool{
		-time.Second: false, 0: false, time.Second: true, 24 * time.Hour: true, 25 * time.Hour: true,
		25*time.Hour + time.Second: false,
	} {
		s := &script{answers: []func(*http.Request) (*http.Response, error){
			says(200, fmt.Sprintf(`{"access_token":"x","expires_in":%d}`, now.Add(ahead).Unix())),
		}}
		token, err := at(now, s).Token(t.Context(), coze.TokenRequest{App: app()})
		if (err == nil) != believed || believed && !token.Expiry.Equal(now.Add(ahead)) {
			t.Errorf("%v ahead: %v, %v", ahead, token.Expiry, err)
		}
	}
}

func TestEachAttemptHasAnAssertionOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []func(*http.Request) (*http.Response, error){
			breaks(io.ErrUnexpectedEOF), says(503, ""), good(),
		}}
		if _, err := (&coze.Client{Transport: s}).Token(t.Context(), coze.TokenRequest{App: app()}); err != nil {
			t.Fatal(err)
		}
		seen := map[any]bool{}
		for _, r := range s.sent {
			_, claims, assertion := claimsOf(t, r)
			if seen[claims["jti"]] || seen[assertion] {
				t.Error("an assertion was used twice")
			}
			seen[claims["jti"]], seen[assertion] = true, true
		}
	})
}

// The pauses are 200 and 400 ms, give or take half: what a single one tells of that, chance
// decides, so there are many.
func TestPausesAreDoubledAndJittered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := app()
		a.Keys[0].Signer = stamp{rsaKey()}
		var pauses [2][]time.Duration
		for range 100 {
			var at []time.Time
			fails := func(r *http.Request) (*http.Response, error) {
				at = append(at, time.Now())
				return says(503, "")(r)
			}
			s := &script{answers: []func(*http.Request) (*http.Response, error){fails, fails, fails}}
			if _, err := (&coze.Client{Transport: s}).Token(t.Context(), coze.TokenRequest{App: a}); err == nil || len(at) != 3 {
				t.Fatalf("%d attempts: %v", len(at), err)
			}
			for i := range pauses {
				pauses[i] = append(pauses[i], at[i+1].Sub(at[i]))
			}
		}
		for i, middle := range []time.Duration{200 * time.Millisecond, 400 * time.Millisecond} {
			least, most := slices.Min(pauses[i]), slices.Max(pauses[i])
			if least < middle/2 || most > middle*3/2 {
				t.Errorf("pause %d is from %v to %v, and should be %v, give or take half", i+1, least, most, middle)
			}
			// One in four is in the lowest quarter and one in four in the highest; that none of 100 is does
			// not happen.
			if least > middle*3/4 || most < middle*5/4 {
				t.Errorf("pause %d is from %v to %v: it does not use its room", i+1, least, most)
			}
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for _, c := range []struct {
		name, value string
		max         time.Duration
		status      int
		least, most time.Duration
		attempts    int
	}{
		{"seconds", "3", 0, 429, 3 * time.Second, 3 * time.Second, 2},
		{"a date", "Sat, 01 Jan 2000 00:00:04 GMT", 0, 503, 4 * time.Second, 4 * time.Second, 2},
		{"nonsense", "soon", 0, 429, 100 * time.Millisecond, 300 * time.Millisecond, 2},
		{"negative", "-3", 0, 429, 100 * time.Millisecond, 300 * time.Millisecond, 2},
		{"the longest that is waited out", "10", 0, 429, 10 * time.Second, 10 * time.Second, 2},
		{"longer", "11", 0, 429, 0, 0, 1},
		{"the longest that this client waits out", "1", time.Second, 429, time.Second, time.Second, 2},
		{"longer than this client waits", "2", time.Second, 503, 0, 0, 1},
		{"none, and a client that does not wait", "", time.Millisecond, 503, 100 * time.Millisecond, 300 * time.Millisecond,
			2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: []func(*http.Request) (*http.Response, error){says(c.status, "", "Retry-After", c.value),
					good()}}
				began := time.Now()
				_, err := (&coze.Client{Transport: s, MaxRetryAfter: c.max}).Token(t.Context(), coze.TokenRequest{App: app()})
				if waited := time.Since(began); waited < c.least || waited > c.most || len(s.sent) != c.attempts {
					t.Errorf("waited %v for %d attempts: %v", waited, len(s.sent), err)
				}
				var e *coze.Error
				if c.attempts == 1 && (!errors.As(err, &e) || fmt.Sprintf("%.0f", e.RetryAfter.Seconds()) != c.value) {
					t.Errorf("the caller is not told how long: %v", err)
				}
			})
		})
	}
}

func TestTheCallersDeadline(t *testing.T) {
	hang := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	t.Run("passes while Coze is silent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			s := &script{answers: []func(*http.Request) (*http.Response, error){hang}}
			_, err := (&coze.Client{Transport: s}).Token(ctx, coze.TokenRequest{App: app()})
			var e *coze.Error
			if !errors.As(err, &e) || e.Kind != coze.Timeout || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("leaves no time for another attempt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			s := &script{answers: []func(*http.Request) (*http.Response, error){says(429, "", "Retry-After", "5")}}
			began := time.Now()
			_, err := (&coze.Client{Transport: s}).Token(ctx, coze.TokenRequest{App: app()})
			var e *coze.Error
			if !errors.As(err, &e) || e.Kind != coze.Busy || time.Since(began) != 0 {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
		})
	})
	t.Run("the caller goes away", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &script{answers: []func(*http.Request) (*http.Response, error){func(r *http.Request) (*http.Response, error) {
			cancel()
			return hang(r)
		}}}
		_, err := (&coze.Client{Transport: s}).Token(ctx, coze.TokenRequest{App: app()})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestTheNextKeyIsTriedWhenOneIsUnknown(t *testing.T) {
	unknown := says(401, `{"error_code":"invalid_client","error_message":"invalid jwt: kid not been registred"}`)
	a := app()
	a.Keys = append(a.Keys, coze.Key{ID: "kid-2", Signer: rsaKey()})
	s := &script{answers: []func(*http.Request) (*http.Response, error){unknown, good()}}
	if _, err := (&coze.Client{Transport: s}).Token(t.Context(), coze.TokenRequest{App: a}); err != nil {
		t.Fatal(err)
	}
	header, _, _ := claimsOf(t, s.sent[1])
	if header["kid"] != "kid-2" {
		t.Errorf("the second attempt was signed with %v", header["kid"])
	}

	s = &script{answers: []func(*http.Request) (*http.Response,
		error){says(403, `{"error_code":"access_deny","error_message":"invalid app type"}`)}}
	if _, err := (&coze.Client{Transport: s}).Token(t.Context(), coze.TokenRequest{App: a}); err == nil ||
		len(s.sent) != 1 {
		t.Errorf("%d attempts: another refusal is not the key's fault", len(s.sent))
	}
}

// stubborn is a key that cannot sign.
type stubborn struct{ crypto.Signer }

func (stubborn) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the module is locked")
}

func TestWhatCannotBeSignedIsNotSent(t *testing.T) {
	locked := app()
	locked.Keys[0].Signer = stubborn{rsaKey()}
	noKey := app()
	noKey.Keys = nil
	badScope := app()
	badScope.Scope = json.RawMessage(`{`)
	bothIDs := app()
	bothIDs.AccountID, bothIDs.EnterpriseID = "1", "2"
	hasty := app()
	hasty.AssertionLifetime = time.Millisecond
	unsigned := app()
	unsigned.Keys[0].Signer = nil
	unparsed := app() // as where the error of ParseKey was passed over
	unparsed.Keys[0].Signer = (*rsa.PrivateKey)(nil)
	ecdsaKey := app()
	ecdsaKey.Keys[0].Signer, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	device := app()
	device.SessionContext.DeviceID = "a\xff"
	for name, grant := range map[string]coze.TokenRequest{
		"locked": {App: locked}, "no key": {App: noKey}, "bad scope": {App: badScope}, "both ids": {App: bothIDs},
		"too short": {App: app(), Duration: time.Millisecond}, "too long": {App: app(), Duration: 24 * time.Hour},
		"part of a second": {App: app(), Duration: 1900 * time.Millisecond},
		"no app":           {}, "no lifetime": {App: hasty}, "no signer": {App: unsigned}, "no private key": {App: unparsed},
		"an EC key": {App: ecdsaKey},
		// JSON has no bytes that are not UTF-8: all of them would become U+FFFD, and two users one
		// session.
		"a session that is not UTF-8": {App: app(), Session: "a\xff"}, "another": {App: app(), Session: "a\xfe"},
		"half a character":                   {App: app(), Session: "用户"[:4]},
		"a session with a control character": {App: app(), Session: "a\nb"},
		"a long session":                     {App: app(), Session: strings.Repeat("a", coze.MaxSession+1)},
		"a device that is not UTF-8":         {App: device},
	} {
		s := &script{}
		_, err := (&coze.Client{Transport: s}).Token(t.Context(), grant)
		var e *coze.Error
		if !errors.As(err, &e) || e.Kind != coze.InvalidRequest || e.Temporary() || e.Attempts != 0 || len(s.sent) != 0 {
			t.Errorf("%s: %v after %d attempts", name, err, len(s.sent))
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n\xff\xfe") {
			t.Errorf("%s: the message is not fit for a log: %q", name, err)
		}
	}
}

// stamp signs in no time, and wrongly.
type stamp struct{ crypto.Signer }

func (stamp) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return []byte("signature"), nil
}

// messageSigner signs whole messages only, as WebCrypto does.
type messageSigner struct{ key crypto.Signer }

func (m messageSigner) Public() crypto.PublicKey { return m.key.Public() }
func (m messageSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("digests cannot be signed")
}
func (m messageSigner) SignMessage(random io.Reader, message []byte, o crypto.SignerOpts) ([]byte, error) {
	return crypto.SignMessage(m.key, rand.Reader, message, o)
}

func TestAMessageSignerWillDo(t *testing.T) {
	a := app()
	a.Keys[0].Signer = messageSigner{rsaKey()}
	s := &script{answers: []func(*http.Request) (*http.Response, error){good()}}
	if _, err := (&coze.Client{Transport: s}).Token(t.Context(), coze.TokenRequest{App: a}); err != nil {
		t.Fatal(err)
	}
}

func TestAnEchoedAssertionIsNotPassedOn(t *testing.T) {
	s := &script{answers: []func(*http.Request) (*http.Response, error){func(r *http.Request) (*http.Response, error) {
		b, _ := json.Marshal(map[string]string{"error_code": "invalid_client",
			"error_message": "bad " + r.Header.Get("Authorization")})
		return says(401, string(b))(r)
	}}}
	_, err := (&coze.Client{Transport: s}).Token(t.Context(), coze.TokenRequest{App: app()})
	_, _, assertion := claimsOf(t, s.sent[0])
	if strings.Contains(err.Error(), assertion[:60]) {
		t.Errorf("the assertion is in %q", err)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`{"access_token":"czs_x","expires_in":4102444800,"token_type":"Bearer"}`))
	f.Add(401, []byte(kidUnknown))
	f.Add(200, []byte(`{"code":4100,"msg":"no","detail":{"logid":"L"}}`))
	f.Add(200, []byte(`{"code":"4100","msg":[],"detail":[]}`))
	f.Add(200, []byte(`<html>`))
	f.Add(302, []byte(``))
	f.Add(200, []byte(`{"access_token":"x","expires_in":1e9}`))
	f.Add(200, []byte(`[]`))
	f.Add(200, []byte(`null`))
	a := app()
	a.Keys[0].Signer = stamp{rsaKey()} // a signature takes longer than all that is looked at here
	now := time.Unix(4102444800-900, 0)
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // too short for a second attempt
		defer cancel()
		answer := func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}, nil
		}
		s := &script{answers: []func(*http.Request) (*http.Response, error){answer, answer, answer}}
		token, err := (&coze.Client{Transport: s, Clock: &coze.Clock{Base: func() time.Time { return now }}}).Token(ctx,
			coze.TokenRequest{App: a})
		if err == nil {
			if left := token.Expiry.Sub(now); token.AccessToken == "" || left <= 0 || left > 25*time.Hour || status/100 != 2 {
				t.Errorf("status %d, %q gave %+v", status, body, token)
			}
			return
		}
		var e *coze.Error
		if !errors.As(err, &e) {
			t.Fatalf("got %v", err)
		}
		if e.Kind != coze.Timeout && e.Message == "" && e.Code == "" {
			t.Errorf("status %d, %q: nothing is said: %v", status, body, err)
		}
		if strings.ContainsFunc(e.Message+e.Code+e.LogID, func(r rune) bool { return r < ' ' }) ||
			len([]rune(e.Message)) > 400 {
			t.Errorf("the message is not fit for a log: %q", e.Message)
		}
	})
}
