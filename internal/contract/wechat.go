package contract

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"coze-token/internal/auth"
)

// A weChat stands in for WeChat's API, as documented: a code is good once.
type weChat struct {
	url, appID, secret string
	asked              atomic.Int64
	mu                 sync.Mutex
	users              map[string]string // :: code → openid; "" if it was used
}

func newWeChat(t *testing.T) *weChat {
	w := &weChat{appID: "wx0123456789abcdef", secret: weChatSecret(), users: map[string]string{}}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// weChatSecret is 32 letters and digits, as WeChat's are.
func weChatSecret() string { return keepSecret("a WeChat secret", newKey()[4:36]) }

// login is wx.login(): a code that is good once. WeChat says of some codes something else.
func (w *weChat) login(openid string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	code := keepSecret("a code", fmt.Sprintf("0a%scode%d", newKey()[4:20], len(w.users)))
	w.users[code] = openid
	return code
}

func (w *weChat) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.asked.Add(1)
	rw.Header().Set("Content-Type", "text/plain")
	q := r.URL.Query()
	w.mu.Lock()
	defer w.mu.Unlock()
	code := q.Get("js_code")
	openid, known := w.users[code]
	failed := func(errcode int) { fmt.Fprintf(rw, `{"errcode":%d,"errmsg":"no, rid: 1"}`, errcode) }
	var errcode int
	switch n, _ := fmt.Sscanf(code, "says%d", &errcode); {
	case r.Method != http.MethodGet || r.URL.Path != "/sns/jscode2session" || q.Get("grant_type") != "authorization_code":
		rw.WriteHeader(http.StatusNotFound)
	case n == 1:
		failed(errcode)
	case q.Get("appid") != w.appID:
		failed(40013)
	case q.Get("secret") != w.secret:
		failed(40125)
	case !known:
		failed(40029)
	case openid == "":
		failed(40163)
	default:
		w.users[code] = ""
		fmt.Fprintf(rw, `{"session_key":%q,"openid":%q}`, keepSecret("a session_key", newKey()+"=="), openid)
	}
}

// newWeChatTicket logs a user in to an app.
func (h *fixture) newWeChatTicket(t *testing.T, path, openid string) string {
	t.Helper()
	a := h.do(t, "POST", path, nil, auth.WeChatCodeHeader, h.weChat.login(openid))
	a.token(t)
	ticket := a.Header.Get(auth.WeChatTicketHeader)
	if ticket == "" || len(a.Cookies()) != 0 || a.Header.Get(auth.TicketHeader) != "" {
		t.Fatalf("%d cookies, and the ticket %q", len(a.Cookies()), ticket)
	}
	return keepSecret("a WeChat ticket", ticket)
}

// weChatSession is the session of a user.
func weChatSession(openid string) string {
	sum := sha256.Sum256([]byte(openid))
	return auth.WeChatPrefix + hex.EncodeToString(sum[:])
}

// weChatCredentials are those of the app "wechat".
func (h *fixture) weChatCredentials(t *testing.T) []credential {
	openid := keepSecret("an openid", "oAbC_dEfG-hIjKlMnOpQrStUvWx1")
	ticket := h.newWeChatTicket(t, "/wechat", openid)
	used := h.weChat.login(openid)
	h.do(t, "POST", "/wechat", nil, auth.WeChatCodeHeader, used).token(t)
	with := func(ticket string) []string { return []string{auth.WeChatTicketHeader, ticket} }
	code := func(code string) []string { return []string{auth.WeChatCodeHeader, code} }
	good := func(name string, headers ...string) credential {
		return credential{name: name, headers: headers, mode: "wechat", caller: "wechat", user: weChatSession(openid)}
	}
	return []credential{
		good("a ticket", with(ticket)...),
		good("a ticket and a used code", append(with(ticket), code(used)...)...),
		good("a ticket and another's scheme", append(with(ticket), "Authorization", "Basic x")...),
		refused("nothing", "no_credential"),
		refused("a used code", "wechat_code_used", code(used)...),
		refused("a code that WeChat does not know", "wechat_code_wrong", code("0123456789")...),
		refused("an empty code", "wechat_code_wrong", code("")...),
		refused("a code twice", "ambiguous_credential", append(code("a"), code("a")...)...),
		refused("a ticket twice", "ambiguous_credential", append(with(ticket), with(ticket)...)...),
		refused("a huge ticket", "credential_too_large", with(strings.Repeat("t", 9000))...),
		refused("a ticket changed", "wechat_ticket_wrong", with(tampered(ticket, 5))...),
		refused("a signature changed", "wechat_ticket_wrong", with(tampered(ticket, len(ticket)-20))...),
		refused("a ticket of another app", "wechat_ticket_wrong", with(h.newWeChatTicket(t, "/wechat-2", openid))...),
		refused("a ticket of openids as they are", "wechat_ticket_wrong",
			with(h.newWeChatTicket(t, "/wechat-plain", openid))...),
		refused("a visitor's ticket", "wechat_ticket_wrong", with(h.newTicket(t, "/visitors"))...),
		refused("a ticket in a visitor's header", "no_credential", auth.TicketHeader, ticket),
		refused("a code as a key", "unknown_api_key", bearer(h.weChat.login(openid))...),
		refused("an API key", "unknown_api_key", bearer(h.backend)...),
		refused("a login's token", "unknown_api_key", bearer(h.idp.token(nil))...),
	}
}

// testWeChat shows logins by code, and what WeChat's refusals become.
func (h *fixture) testWeChat(t *testing.T) {
	openid := keepSecret("an openid", "oZyX_dEfG-hIjKlMnOpQrStUvWx2")
	plain := h.do(t, "POST", "/wechat-plain", nil, auth.WeChatCodeHeader, h.weChat.login(openid))
	h.holds(t, "a code", "wechat-plain", plain,
		outcome{status: 200, mode: "wechat", caller: "wechat", session: auth.WeChatPrefix + openid})

	code := h.weChat.login(openid)
	a := h.do(t, "POST", "/wechat", nil, auth.WeChatCodeHeader, code, "Origin", exact)
	h.holds(t, "a code", "wechat", a,
		outcome{status: 200, mode: "wechat", caller: "wechat", session: weChatSession(openid)})
	checkCORS(t, "a code", a, exact, false)
	ticket := keepSecret("a WeChat ticket", a.Header.Get(auth.WeChatTicketHeader))
	asked := h.weChat.asked.Load()
	again := h.do(t, "POST", "/wechat", nil,
		auth.WeChatTicketHeader, ticket, auth.WeChatCodeHeader, h.weChat.login(openid))
	h.holds(t, "a ticket and a code", "wechat", again,
		outcome{status: 200, mode: "wechat", caller: "wechat", session: weChatSession(openid)})
	if again.Header.Get(auth.WeChatTicketHeader) != "" || h.weChat.asked.Load() != asked {
		t.Error("WeChat is asked about a user with a ticket, or there is another ticket")
	}
	a = h.do(t, "POST", "/wechat", nil,
		auth.WeChatTicketHeader, tampered(ticket, 5), auth.WeChatCodeHeader, h.weChat.login(openid))
	h.holds(t, "a wrong ticket and a code", "wechat", a,
		outcome{status: 200, mode: "wechat", caller: "wechat", session: weChatSession(openid)})
	keepSecret("a WeChat ticket", a.Header.Get(auth.WeChatTicketHeader))

	for _, c := range []struct {
		path, code, refusal, reason string
		status                      int
		retry                       string
	}{
		{"wechat", code, "wechat_code_required", "wechat_code_used", 401, ""},
		{"wechat", "says40029", "wechat_code_required", "wechat_code_wrong", 401, ""},
		{"wechat", "says45011", "rate_limited", "wechat_rate", 429, "60"},
		{"wechat", "says40226", "forbidden", "wechat_blocked", 403, ""},
		{"wechat", "says-1", "auth_unavailable", "wechat_unavailable", 503, "5"},
		{"wechat", "says48001", "misconfigured", "wechat_refused", 500, ""},
		{"wechat-3", h.weChat.login(openid), "misconfigured", "wechat_refused", 500, ""},
	} {
		a := h.do(t, "POST", "/"+c.path, nil, auth.WeChatCodeHeader, c.code)
		h.holds(t, "WeChat, "+c.reason, c.path, a, outcome{status: c.status, code: c.refusal, reason: c.reason})
		if got := a.Header.Get("Retry-After"); got != c.retry {
			t.Errorf("%s: Retry-After is %q", c.reason, got)
		}
	}
}
