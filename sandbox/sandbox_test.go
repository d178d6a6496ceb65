package sandbox_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"coze-token/coze"
	"coze-token/sandbox"
)

// Making a key is slow, so all tests share two.
var (
	ownKey   = sync.OnceValue(newKey)
	otherKey = sync.OnceValue(newKey)
)

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

// serve starts a sandbox on a loopback address.
func serve(t *testing.T, options sandbox.Options) (*sandbox.Sandbox, string) {
	t.Helper()
	if options.Key == nil {
		options.Key = ownKey()
	}
	sb, err := sandbox.New(options)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sb)
	t.Cleanup(server.Close)
	return sb, server.URL
}

// An attempt is an exchange, made by hand with a JWT library rather than with package coze, so that
// each part of it can be wrong.
type attempt struct {
	method, path, contentType, body string
	alg                             jwt.SigningMethod
	key                             any
	header                          map[string]any
	claims                          jwt.MapClaims
	authorization                   func(assertion string) []string
}

func newAttempt(app *coze.App, now time.Time) *attempt {
	id := make([]byte, 32)
	rand.Read(id)
	return &attempt{
		method:      "POST",
		path:        coze.TokenPath,
		contentType: "application/json",
		body:        `{"grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer","duration_seconds":900}`,
		alg:         jwt.SigningMethodRS256,
		key:         app.Keys[0].Signer,
		header:      map[string]any{"kid": app.Keys[0].ID},
		claims: jwt.MapClaims{
			"iss": app.ClientID, "aud": app.Audience, "iat": now.Unix(), "exp": now.Unix() + 600, "jti": hex.EncodeToString(id),
		},
		authorization: func(assertion string) []string { return []string{"Bearer " + assertion} },
	}
}

func (a *attempt) assertion(t *testing.T) string {
	t.Helper()
	token := jwt.NewWithClaims(a.alg, a.claims)
	for name, value := range a.header {
		if value == nil {
			delete(token.Header, name)
		} else {
			token.Header[name] = value
		}
	}
	signed, err := token.SignedString(a.key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (a *attempt) send(t *testing.T, baseURL string) *reply {
	t.Helper()
	return a.sendAssertion(t, baseURL, a.assertion(t))
}

func (a *attempt) sendAssertion(t *testing.T, baseURL, assertion string) *reply {
	t.Helper()
	request, err := http.NewRequest(a.method, baseURL+a.path, strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header["Authorization"] = a.authorization(assertion)
	if a.contentType != "" {
		request.Header.Set("Content-Type", a.contentType)
	}
	return do(t, request)
}

type reply struct {
	status int
	header http.Header
	raw    string
	json   map[string]any
}

func (r *reply) text(name string) string { return fmt.Sprint(r.json[name]) }

func do(t *testing.T, request *http.Request) *reply {
	t.Helper()
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	r := &reply{status: response.StatusCode, header: response.Header, raw: string(body)}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	decoder.Decode(&r.json) // what is not JSON leaves it empty
	return r
}

func call(t *testing.T, method, url, body string, header ...string) *reply {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	return do(t, request)
}

func mint(t *testing.T, app *coze.App, session string) (coze.Token, error) {
	t.Helper()
	client := &coze.Client{Transport: http.DefaultTransport}
	return client.Token(t.Context(), coze.TokenRequest{App: app, Session: session})
}

func TestClientGetsItsSessionsToken(t *testing.T) {
	sb, url := serve(t, sandbox.Options{})
	app := sb.App(url)
	app.SessionContext = coze.SessionContext{DeviceID: "kiosk-1", ConnectorID: "2001"}
	client := &coze.Client{Transport: http.DefaultTransport}
	for _, session := range []string{"", "user-1", "用户-2", "🙂"} {
		grant := coze.TokenRequest{App: app, Session: session, Duration: time.Hour}
		token, err := client.Token(t.Context(), grant)
		if err != nil {
			t.Fatal(err)
		}
		issue, ok := sb.Issued(token.AccessToken)
		if !ok || issue.Session != session || issue.ClientID != app.ClientID || issue.KeyID != app.Keys[0].ID ||
			issue.Duration != time.Hour || !issue.Expiry.Equal(token.Expiry) || len(issue.JTI) < 32 {
			t.Errorf("session %q: issued %+v for a token until %v", session, issue, token.Expiry)
		}
		want := `{"connector_info":{"connector_id":"2001"},"device_info":{"device_id":"kiosk-1"}}`
		if string(issue.SessionContext) != want {
			t.Errorf("session context %s, want %s", issue.SessionContext, want)
		}
	}
	if n := sb.Exchanges(); n != 4 {
		t.Errorf("%d exchanges, want 4", n)
	}
	if _, ok := sb.Issued("czs_other"); ok {
		t.Error("a token that was never issued is known")
	}
}

func TestSuccessAnswer(t *testing.T) {
	now := time.Unix(1721135000, 999)
	for _, test := range []struct {
		noType bool
		body   string
		want   []string
	}{
		{false, `{"grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer"}`,
			[]string{`"expires_in":1721135900`, `"token_type":"Bearer"`}},
		{true, `{"grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer","duration_seconds":86399,"scope":null}`,
			[]string{`"expires_in":1721221399}`}},
	} {
		sb, url := serve(t, sandbox.Options{Now: func() time.Time { return now }, NoTokenType: test.noType})
		a := newAttempt(sb.App(url), now)
		a.body, a.contentType = test.body, "application/json; charset=UTF-8"
		r := a.send(t, url)
		if r.status != 200 || !strings.HasPrefix(r.raw, `{"access_token":"czs_`) || r.header.Get("X-Tt-Logid") == "" ||
			r.header.Get("Date") == "" {
			t.Errorf("%d %s %v", r.status, r.raw, r.header)
		}
		for _, want := range test.want {
			if !strings.Contains(r.raw, want) {
				t.Errorf("%s lacks %s", r.raw, want)
			}
		}
	}
}

const (
	kidUnknown = "invalid jwt: kid not been registred"
	jwtEmpty   = "verify jwt empty error"
)

// Each row breaks one rule of an exchange that is otherwise right.
func TestStrictRules(t *testing.T) {
	now := time.Unix(1721135000, 0)
	sb, url := serve(t, sandbox.Options{Now: func() time.Time { return now }})
	app := sb.App(url)
	body := func(members string) func(*attempt) {
		return func(a *attempt) {
			a.body = `{"grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer"` + members + `}`
		}
	}
	claim := func(name string, value any) func(*attempt) {
		return func(a *attempt) {
			if a.claims[name] = value; value == nil {
				delete(a.claims, name)
			}
		}
	}
	header := func(name string, value any) func(*attempt) { return func(a *attempt) { a.header[name] = value } }
	authorization := func(values ...string) func(*attempt) {
		return func(a *attempt) { a.authorization = func(string) []string { return values } }
	}
	for _, test := range []struct {
		name    string
		breaks  func(*attempt)
		status  int
		code    string
		message string // a part of it
	}{
		{"no authorization", authorization(), 401, "invalid_client", jwtEmpty},
		{"empty bearer", authorization("Bearer "), 401, "invalid_client", jwtEmpty},
		{"other scheme", authorization("Basic eA=="), 401, "invalid_client", jwtEmpty},
		{"not a JWT", authorization("Bearer pat_123"), 401, "invalid_client", jwtEmpty},
		{"three parts of nonsense", authorization("Bearer a.b.c"), 401, "invalid_client", jwtEmpty},
		{"far too long", authorization("Bearer " + strings.Repeat("a", 20000)), 401, "invalid_client", jwtEmpty},
		{"two authorizations", func(a *attempt) {
			a.authorization = func(s string) []string { return []string{"Bearer " + s, "Bearer " + s} }
		}, 401, "invalid_client", jwtEmpty},
		{"padded base64", func(a *attempt) {
			a.authorization = func(s string) []string { return []string{"Bearer " + s + "=="} }
		}, 401, "invalid_client", jwtEmpty},
		{"stray bits after the signature", func(a *attempt) {
			a.authorization = func(s string) []string { // 256 bytes leave four bits of the last character, which must be 0
				last := s[len(s)-1]
				return []string{"Bearer " + s[:len(s)-1] + map[byte]string{'A': "B", 'Q': "R", 'g': "h", 'w': "x"}[last]}
			}
		}, 401, "invalid_client", jwtEmpty},
		{"bad signature", func(a *attempt) { a.key = otherKey() }, 401, "invalid_client", jwtEmpty},
		{"claims changed after signing", func(a *attempt) {
			a.authorization = func(s string) []string {
				parts := strings.Split(s, ".")
				parts[1] = "eyJpc3MiOiJvdGhlciJ9"
				return []string{"Bearer " + strings.Join(parts, ".")}
			}
		}, 401, "invalid_client", jwtEmpty},

		{"wrong kid", header("kid", "other"), 401, "invalid_client", kidUnknown},
		{"no kid", header("kid", nil), 401, "invalid_client", kidUnknown},
		{"kid that is no string", header("kid", 7), 401, "invalid_client", kidUnknown},
		{"no typ", header("typ", nil), 401, "invalid_client", kidUnknown},
		{"other typ", header("typ", "at+jwt"), 401, "invalid_client", kidUnknown},
		{"RS384", func(a *attempt) { a.alg = jwt.SigningMethodRS384 }, 401, "invalid_client", kidUnknown},
		{"PS256", func(a *attempt) { a.alg = jwt.SigningMethodPS256 }, 401, "invalid_client", kidUnknown},
		{"HS256", func(a *attempt) { a.alg, a.key = jwt.SigningMethodHS256, []byte("secret") }, 401, "invalid_client",
			kidUnknown},
		{"none", func(a *attempt) {
			a.alg, a.key = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType
		}, 401, "invalid_client", kidUnknown},
		{"unheard-of alg", header("alg", "XX256"), 401, "invalid_client", kidUnknown},
		{"other iss", claim("iss", "1"), 401, "invalid_client", kidUnknown},
		{"no iss", claim("iss", nil), 401, "invalid_client", kidUnknown},

		{"aud with scheme", claim("aud", "https://api.coze.cn"), 401, "invalid_client", "invalid jwt: aud"},
		{"aud with port", claim("aud", "api.coze.cn:443"), 401, "invalid_client", "invalid jwt: aud"},
		{"aud of the other region", claim("aud", "api.coze.com"), 401, "invalid_client", "invalid jwt: aud"},
		{"aud as a list", claim("aud", []string{"api.coze.cn"}), 401, "invalid_client", "invalid jwt: aud"},
		{"no aud", claim("aud", nil), 401, "invalid_client", "invalid jwt: aud"},
		{"iat ahead", claim("iat", now.Unix()+1), 401, "invalid_client", "iat is in the future"},
		{"iat as text", claim("iat", "1721135000"), 401, "invalid_client", "iat must be"},
		{"iat with a fraction", claim("iat", json.Number("1721134999.5")), 401, "invalid_client", "iat must be"},
		{"no iat", claim("iat", nil), 401, "invalid_client", "iat must be"},
		{"exp in the past", func(a *attempt) { a.claims["iat"], a.claims["exp"] = now.Unix()-600, now.Unix()-1 }, 401,
			"invalid_client", "it has expired"},
		{"exp now", func(a *attempt) { a.claims["iat"], a.claims["exp"] = now.Unix()-600, now.Unix() }, 401,
			"invalid_client", "it has expired"},
		{"exp at iat", claim("exp", now.Unix()), 401, "invalid_client", "later than iat"},
		{"exp as text", claim("exp", "1721135600"), 401, "invalid_client", "exp must be"},
		{"exp with an exponent", claim("exp", json.Number("1.8e9")), 401, "invalid_client", "exp must be"},
		{"exp in milliseconds", claim("exp", now.UnixMilli()*1000), 401, "invalid_client", "exp must be"},
		{"no exp", claim("exp", nil), 401, "invalid_client", "exp must be"},
		{"short jti", claim("jti", strings.Repeat("j", 31)), 401, "invalid_client", "jti must be"},
		{"no jti", claim("jti", nil), 401, "invalid_client", "jti must be"},
		{"jti that is no string", claim("jti", 1), 401, "invalid_client", "jti must be"},
		{"session_name that is no string", claim("session_name", 1), 401, "invalid_client", "session_name"},
		{"session_context that is no object", claim("session_context", "x"), 401, "invalid_client", "session_context"},

		{"form-encoded", func(a *attempt) {
			a.contentType, a.body = "application/x-www-form-urlencoded", "grant_type=urn"
		}, 400, "invalid_request", "invalid request: Content-Type"},
		{"no content type", func(a *attempt) { a.contentType = "" }, 400, "invalid_request", "Content-Type"},
		{"other charset", func(a *attempt) { a.contentType = "application/json; charset=gbk" }, 400, "invalid_request",
			"Content-Type"},
		{"empty body", func(a *attempt) { a.body = "" }, 400, "invalid_request", "body"},
		{"body null", func(a *attempt) { a.body = "null" }, 400, "invalid_request", "body"},
		{"body not an object", func(a *attempt) { a.body = "[]" }, 400, "invalid_request", "body"},
		{"two bodies", func(a *attempt) { a.body += "{}" }, 400, "invalid_request", "body"},
		{"body too large", func(a *attempt) { a.body += strings.Repeat(" ", 20000) }, 400, "invalid_request", "body"},
		{"no grant type", func(a *attempt) { a.body = "{}" }, 400, "unsupported_grant_type", "not supported grant type: "},
		{"other grant type", func(a *attempt) { a.body = `{"grant_type":"client_credentials"}` }, 400,
			"unsupported_grant_type", "not supported grant type: client_credentials"},
		{"duration 0", body(`,"duration_seconds":0`), 400, "invalid_request", "duration_seconds"},
		{"duration -1", body(`,"duration_seconds":-1`), 400, "invalid_request", "duration_seconds"},
		{"duration 86400", body(`,"duration_seconds":86400`), 400, "invalid_request", "duration_seconds"},
		{"duration 1.5", body(`,"duration_seconds":1.5`), 400, "invalid_request", "duration_seconds"},
		{"duration as text", body(`,"duration_seconds":"900"`), 400, "invalid_request", "duration_seconds"},
		{"misspelt member", body(`,"duration_second":60`), 400, "invalid_request", "invalid request: duration_second"},
		{"assertion in the body", body(`,"assertion":"x"`), 400, "invalid_request", "invalid request: assertion"},
		{"scope on an ordinary app", body(`,"scope":{}`), 400, "invalid_request", "invalid request: scope"},
		{"other client id in the body", body(`,"client_id":"1"`), 400, "invalid_request", "client_id"},
		{"other account in the body", body(`,"account_id":1`), 400, "invalid_request", "account_id"},

		{"unknown account", func(a *attempt) { a.path = "/api/permission/oauth2/account/1/token" }, 400, "invalid_request",
			"account_id"},
		{"enterprise as account", func(a *attempt) {
			a.path = "/api/permission/oauth2/account/" + sandbox.Enterprise + "/token"
		}, 400, "invalid_request", "account_id"},
		{"unknown enterprise", func(a *attempt) { a.path = "/api/permission/oauth2/enterprise_id/x/token" }, 400,
			"invalid_request", "enterprise_id"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAttempt(app, now)
			test.breaks(a)
			r := a.send(t, url)
			if r.status != test.status || r.text("error_code") != test.code || r.text("error") != test.code ||
				!strings.Contains(r.text("error_message"), test.message) {
				t.Errorf("%d %s, want %d %s %q", r.status, r.raw, test.status, test.code, test.message)
			}
			if r.header.Get("X-Tt-Logid") == "" {
				t.Error("no X-Tt-Logid")
			}
			last, _ := sb.Last()
			if last.Status != test.status || !strings.Contains(last.Refusal, test.message) ||
				last.LogID != r.header.Get("X-Tt-Logid") {
				t.Errorf("recorded %d %q", last.Status, last.Refusal)
			}
		})
	}
	if _, ok := sb.Issued(""); ok {
		t.Error("a refusal counts as an issued token")
	}
	if r := newAttempt(app, now).send(t, url); r.status != 200 {
		t.Errorf("what no row broke: %d %s", r.status, r.raw)
	}
}

func TestAssertionIsUsedOnce(t *testing.T) {
	const replayed = "used before"
	t.Run("the same JWT", func(t *testing.T) {
		sb, url := serve(t, sandbox.Options{})
		a := newAttempt(sb.App(url), time.Now())
		assertion := a.assertion(t)
		if r := a.sendAssertion(t, url, assertion); r.status != 200 {
			t.Fatal(r.status, r.raw)
		}
		if r := a.sendAssertion(t, url, assertion); r.status != 401 || !strings.Contains(r.raw, replayed) {
			t.Error(r.status, r.raw)
		}
	})
	t.Run("the same jti", func(t *testing.T) {
		sb, url := serve(t, sandbox.Options{})
		a := newAttempt(sb.App(url), time.Now())
		a.send(t, url)
		a.claims["session_name"] = "another"
		if r := a.send(t, url); r.status != 401 || !strings.Contains(r.raw, replayed) {
			t.Error(r.status, r.raw)
		}
	})
	t.Run("after a refusal of the body", func(t *testing.T) {
		sb, url := serve(t, sandbox.Options{})
		a := newAttempt(sb.App(url), time.Now())
		assertion, good := a.assertion(t), a.body
		a.body = "{}"
		a.sendAssertion(t, url, assertion)
		a.body = good
		if r := a.sendAssertion(t, url, assertion); r.status != 401 || !strings.Contains(r.raw, replayed) {
			t.Error(r.status, r.raw)
		}
	})
	t.Run("after a fault", func(t *testing.T) {
		sb, url := serve(t, sandbox.Options{})
		if err := sb.Fail("503,times=1"); err != nil {
			t.Fatal(err)
		}
		a := newAttempt(sb.App(url), time.Now())
		assertion := a.assertion(t)
		if r := a.sendAssertion(t, url, assertion); r.status != 503 {
			t.Fatal(r.status)
		}
		if r := a.sendAssertion(t, url, assertion); r.status != 401 || !strings.Contains(r.raw, replayed) {
			t.Error(r.status, r.raw)
		}
	})
	t.Run("by many at once", func(t *testing.T) {
		sb, url := serve(t, sandbox.Options{})
		a := newAttempt(sb.App(url), time.Now())
		assertion := a.assertion(t)
		var mu sync.Mutex
		statuses := map[int]int{}
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				r := a.sendAssertion(t, url, assertion)
				mu.Lock()
				defer mu.Unlock()
				statuses[r.status]++
			})
		}
		group.Wait()
		if statuses[200] != 1 || statuses[401] != 19 || sb.Exchanges() != 20 {
			t.Errorf("%v of %d", statuses, sb.Exchanges())
		}
	})
}

func TestLoosened(t *testing.T) {
	now := time.Unix(1721135000, 0)
	sb, url := serve(t, sandbox.Options{
		Now: func() time.Time { return now }, Audience: "127.0.0.1:8080", Leeway: 5 * time.Second, MinJTI: 16,
	})
	a := newAttempt(sb.App(url), now)
	a.claims["jti"], a.claims["iat"] = "0123456789abcdef", now.Unix()+5
	if r := a.send(t, url); r.status != 200 {
		t.Error(r.status, r.raw)
	}
	a.claims["jti"], a.claims["iat"] = "123456789abcdef0", now.Unix()+6
	if r := a.send(t, url); r.status != 401 {
		t.Error("iat ahead of the leeway:", r.status)
	}
	for _, options := range []sandbox.Options{{Audience: "https://api.coze.cn"}, {Leeway: -1}, {MinJTI: -1}} {
		options.Key = ownKey()
		if _, err := sandbox.New(options); err == nil {
			t.Errorf("%+v is accepted", options.Audience)
		}
	}
}

func TestAccountsAndEnterprises(t *testing.T) {
	sb, url := serve(t, sandbox.Options{})
	account, enterprise := sb.App(url), sb.App(url)
	account.AccountID, enterprise.EnterpriseID = sandbox.Account, sandbox.Enterprise
	for _, app := range []*coze.App{account, enterprise} {
		token, err := mint(t, app, "user-1")
		if err != nil {
			t.Fatal(err)
		}
		issue, _ := sb.Issued(token.AccessToken)
		if issue.AccountID != app.AccountID || issue.EnterpriseID != app.EnterpriseID {
			t.Errorf("issued %+v", issue)
		}
	}
	registration, err := sb.Register(sandbox.Registration{
		Keys: []coze.Key{{ID: "second", Signer: otherKey()}}, Accounts: []string{"a/b c"},
	})
	if err != nil {
		t.Fatal(err)
	}
	app := sb.AppFor(registration, url)
	app.AccountID = "a/b c"
	if _, err := mint(t, app, ""); err != nil {
		t.Errorf("an id that has to be escaped: %v", err)
	}
	// coze-go repeats ids in the body, the account's as a number.
	a := newAttempt(sb.App(url), time.Now())
	a.path = "/api/permission/oauth2/account/" + sandbox.Account + "/token"
	a.body = fmt.Sprintf(`{"client_id":%q,"grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer","account_id":%s}`,
		sb.App(url).ClientID, sandbox.Account)
	if r := a.send(t, url); r.status != 200 {
		t.Error(r.status, r.raw)
	}
}

func TestKinds(t *testing.T) {
	scope := json.RawMessage(`{"account_permission":{"permission_list":["Connector.botChat"]}}`)
	for _, test := range []struct {
		kind  sandbox.Kind
		scope json.RawMessage
		want  string // a part of the error, or empty for a token
	}{
		{sandbox.Ordinary, nil, ""},
		{sandbox.Ordinary, scope, "status 400): invalid_request: invalid request: scope"},
		{sandbox.Channel, nil, ""},
		{sandbox.Channel, scope, ""},
		{sandbox.Channel, json.RawMessage(`"all"`), "invalid request: scope"},
		{sandbox.UnboundChannel, nil, "connector app should bind connector id"},
		{sandbox.WrongType, nil, "access_deny: invalid app type"},
		{sandbox.Deactivated, nil, "access_deny: app: Kiosk is currently deactivated by the owner"},
		{sandbox.SessionInvalid, nil, "access_deny: login session invalid"},
	} {
		sb, url := serve(t, sandbox.Options{})
		registration, err := sb.Register(sandbox.Registration{Name: "Kiosk", Kind: test.kind,
			Keys: []coze.Key{{ID: "k", Signer: otherKey()}}})
		if err != nil {
			t.Fatal(err)
		}
		app := sb.AppFor(registration, url)
		app.Scope = test.scope
		token, err := mint(t, app, "")
		issue, _ := sb.Issued(token.AccessToken)
		switch {
		case test.want == "" && (err != nil || string(issue.Scope) != string(test.scope)):
			t.Errorf("kind %d: %v, scope %s", test.kind, err, issue.Scope)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("kind %d: %v, want %s", test.kind, err, test.want)
		}
	}
}

func TestKindAndKeysChange(t *testing.T) {
	sb, url := serve(t, sandbox.Options{})
	app := sb.App(url)
	if !sb.SetKind(app.ClientID, sandbox.Deactivated) || sb.SetKind("other", sandbox.Deactivated) {
		t.Error("SetKind")
	}
	var refused *coze.Error
	if _, err := mint(t, app, ""); !errors.As(err, &refused) || refused.Code != "access_deny" {
		t.Errorf("a deactivated app: %v", err)
	}
	sb.SetKind(app.ClientID, sandbox.Ordinary)

	next := coze.Key{ID: "next", Signer: otherKey()}
	if err := sb.AddKey(app.ClientID, next); err != nil {
		t.Fatal(err)
	}
	if !sb.RemoveKey(app.Keys[0].ID) || sb.RemoveKey(app.Keys[0].ID) {
		t.Error("RemoveKey")
	}
	if _, err := mint(t, app, ""); err == nil || !strings.Contains(err.Error(), kidUnknown) {
		t.Errorf("a key that was removed: %v", err)
	}
	app.Keys = append(app.Keys, next)
	if _, err := mint(t, app, ""); err != nil {
		t.Errorf("the next key: %v", err)
	}
}

func TestRegisterRefuses(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	sb, url := serve(t, sandbox.Options{ClientID: "1", KeyID: "one"})
	key := func(id string) coze.Key { return coze.Key{ID: id, Signer: otherKey()} }
	for want, registration := range map[string]sandbox.Registration{
		"an app 1 is registered already":  {ClientID: "1", Keys: []coze.Key{key("a")}},
		"a key one is registered already": {Keys: []coze.Key{key("a"), key("one")}},
		"Coze allows no more":             {Keys: []coze.Key{key("a"), key("b"), key("c"), key("d")}},
		"1024 bits":                       {Keys: []coze.Key{{ID: "a", Signer: small}}},
		"needs an id and a signer":        {Keys: []coze.Key{{}}},
		"there is no kind of app 99":      {Kind: 99, Keys: []coze.Key{key("a")}},
	} {
		if _, err := sb.Register(registration); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	// Nothing of what was refused has stayed.
	if _, err := sb.Register(sandbox.Registration{Keys: []coze.Key{key("a"), key("b"), key("c")}}); err != nil {
		t.Error(err)
	}
	if err := sb.AddKey("2", key("d")); err == nil {
		t.Error("a key for an app that is not registered")
	}
	if _, err := sandbox.New(sandbox.Options{Key: small}); err == nil {
		t.Error("a sandbox with a key of 1024 bits")
	}
	if app := sb.App(url); app.ClientID != "1" || app.Keys[0].ID != "one" {
		t.Error("Options.ClientID and KeyID are not used")
	}
}

func TestSettings(t *testing.T) {
	sb, err := sandbox.New(sandbox.Options{}) // with a key made up
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sb)
	defer server.Close()
	settings := sb.Settings(server.URL + "/")
	key, err := coze.ParseKey(settings["PRIVATE_KEY"])
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(settings["PRIVATE_KEY"], "-----BEGIN PRIVATE KEY-----") || len(settings["KID"]) != 43 ||
		len(settings["CLIENT_ID"]) != 13 {
		t.Errorf("KID %s, CLIENT_ID %s", settings["KID"], settings["CLIENT_ID"])
	}
	app := &coze.App{
		ClientID: settings["CLIENT_ID"],
		Keys:     []coze.Key{{ID: settings["KID"], Signer: key}},
		Audience: settings["AUDIENCE"],
		Endpoint: settings["TOKEN_ENDPOINT"],
	}
	if _, err := mint(t, app, ""); err != nil {
		t.Error(err)
	}
}

func TestRecordedRequest(t *testing.T) {
	sb, url := serve(t, sandbox.Options{})
	if _, ok := sb.Last(); ok {
		t.Error("a request before the first")
	}
	a := newAttempt(sb.App(url), time.Now())
	a.claims["session_name"] = "user-1"
	assertion := a.assertion(t)
	a.sendAssertion(t, url, assertion)
	r, ok := sb.Last()
	if !ok || r.Path != coze.TokenPath || r.Body != a.body || r.Assertion != assertion || r.Status != 200 ||
		r.Refusal != "" {
		t.Errorf("recorded %+v", r)
	}
	if r.Header.Get("Content-Type") != "application/json" || strings.Contains(r.Header.Get("Authorization"), assertion) {
		t.Errorf("header %v", r.Header)
	}
	if r.JWTHeader["alg"] != "RS256" || r.JWTHeader["kid"] != a.header["kid"] || r.Claims["session_name"] != "user-1" ||
		r.Claims["exp"] != json.Number(fmt.Sprint(a.claims["exp"])) || len(r.Claims) != 6 {
		t.Errorf("header %v, claims %v", r.JWTHeader, r.Claims)
	}
	for range 300 {
		call(t, "POST", url+coze.TokenPath, "")
	}
	if n, kept := sb.Exchanges(), len(sb.Requests()); n != 301 || kept != 256 {
		t.Errorf("%d exchanges, %d kept", n, kept)
	}
}

func TestAPI(t *testing.T) {
	now := time.Unix(1721135000, 0)
	sb, url := serve(t, sandbox.Options{Now: func() time.Time { return now }})
	a := newAttempt(sb.App(url), now)
	a.claims["session_name"] = "user-1"
	token := a.send(t, url).text("access_token")

	me := call(t, "GET", url+"/v1/users/me", "", "Authorization", "Bearer "+token)
	data, _ := me.json["data"].(map[string]any)
	detail, _ := me.json["detail"].(map[string]any)
	if me.status != 200 || me.text("code") != "0" || data["user_name"] != "user-1" || data["user_id"] == "" ||
		detail["logid"] != me.header.Get("X-Tt-Logid") {
		t.Error(me.status, me.raw)
	}
	if sb.Bearer() != token {
		t.Error("the bearer is not recorded")
	}
	now = now.Add(899 * time.Second)
	if r := call(t, "GET", url+"/v1/users/me", "", "Authorization", "Bearer "+token); r.status != 200 {
		t.Error("a second before the expiry:", r.status)
	}
	now = now.Add(time.Second)
	for _, authorization := range []string{"Bearer " + token, "Bearer other", ""} {
		r := call(t, "GET", url+"/v1/users/me", "", "Authorization", authorization)
		if r.status != 401 || r.text("code") != "4100" || r.text("msg") != "authentication is invalid" {
			t.Error(r.status, r.raw)
		}
	}
	if _, ok := sb.Issued(token); !ok {
		t.Error("a token is forgotten as soon as it expires")
	}
	now = now.Add(2 * time.Hour)
	if _, ok := sb.Issued(token); ok {
		t.Error("a token is remembered for ever")
	}
}

func TestOtherPathsAndMethods(t *testing.T) {
	sb, url := serve(t, sandbox.Options{})
	for _, test := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", coze.TokenPath, 405, "POST"},
		{"OPTIONS", coze.TokenPath, 405, "POST"},
		{"PUT", "/api/permission/oauth2/account/1/token", 405, "POST"},
		{"POST", "/v1/users/me", 405, "GET"},
		{"GET", "/", 404, ""},
		{"POST", coze.TokenPath + "/", 404, ""},
		{"POST", "/" + coze.TokenPath, 404, ""},
		{"POST", "/api/permission/oauth2/account//token", 404, ""},
		{"POST", "/api/permission/oauth2/account/1/2/token", 404, ""},
		{"POST", "/api/permission/oauth2/workspace/1/token", 404, ""},
		{"POST", "/api/permission/oauth2/Token", 404, ""},
	} {
		r := call(t, test.method, url+test.path, "")
		if r.status != test.status || r.header.Get("Allow") != test.allow || r.header.Get("X-Tt-Logid") == "" ||
			r.text("msg") == "" || r.json["detail"] == nil {
			t.Errorf("%s %s: %d %v %s", test.method, test.path, r.status, r.header, r.raw)
		}
	}
	if n := sb.Exchanges(); n != 0 {
		t.Errorf("%d exchanges, want none", n)
	}
}

// Nothing that is secret may reach the log, whatever happens.
func TestLogHoldsNoSecret(t *testing.T) {
	var log bytes.Buffer
	sb, url := serve(t, sandbox.Options{Log: slog.New(slog.NewJSONHandler(&log, nil))})
	a := newAttempt(sb.App(url), time.Now())
	a.claims["session_name"] = "secret-session"
	assertion := a.assertion(t)
	token := a.sendAssertion(t, url, assertion).text("access_token")
	a.sendAssertion(t, url, assertion)
	sb.Fail("oversized")
	a = newAttempt(sb.App(url), time.Now())
	second := a.send(t, url).text("access_token")
	last, _ := sb.Last()
	slog.New(slog.NewJSONHandler(&log, nil)).Info("recorded", "request", last)
	if strings.Count(log.String(), `"msg":"exchange"`) != 3 {
		t.Errorf("the log has other lines than expected:\n%s", &log)
	}
	for _, secret := range []string{token, second, assertion, last.Assertion, "secret-session", "czs_", "eyJ"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func TestManySessionsAtOnce(t *testing.T) {
	sb, url := serve(t, sandbox.Options{})
	app := sb.App(url)
	client := &coze.Client{Transport: http.DefaultTransport}
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			session := fmt.Sprint("user-", i)
			token, err := client.Token(context.Background(), coze.TokenRequest{App: app, Session: session})
			if err != nil {
				t.Error(err)
				return
			}
			if issue, _ := sb.Issued(token.AccessToken); issue.Session != session {
				t.Errorf("%s has the token of %s", session, issue.Session)
			}
		})
	}
	group.Wait()
}
