package auth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"coze-token/internal/auth"
	"coze-token/internal/setting"
)

const wechatSecret = "0123456789abcdef0123456789abcdef"

// A wechatAPI answers as WeChat documents it. A code is "code-" and the openid, and is good once.
type wechatAPI struct {
	used   map[string]bool
	says   string // in place of a judgement
	status int
	err    error
	asked  int
}

func (w *wechatAPI) RoundTrip(r *http.Request) (*http.Response, error) {
	w.asked++
	q := r.URL.Query()
	openid, known := strings.CutPrefix(q.Get("js_code"), "code-")
	body := w.says
	switch {
	case w.err != nil:
		return nil, fmt.Errorf("GET %s: %w", r.URL, w.err)
	case body != "":
	case q.Get("appid") != "wx0123456789abcdef":
		body = `{"errcode":40013,"errmsg":"invalid appid"}`
	case q.Get("secret") != wechatSecret:
		body = `{"errcode":40125,"errmsg":"invalid appsecret"}`
	case q.Get("grant_type") != "authorization_code" || !known || r.Method != "GET" || r.URL.Path != "/sns/jscode2session":
		body = `{"errcode":40029,"errmsg":"invalid code"}`
	case w.used[openid]:
		body = `{"errcode":40163,"errmsg":"code been used"}`
	default:
		w.used[openid] = true
		body = `{"session_key":"a/secret+session==","openid":"` + openid + `","unionid":"u-` + openid + `"}`
	}
	status := w.status
	if status == 0 {
		status = 200
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// A miniProgram is an Authenticator of one, with its settings' defaults.
func miniProgram(api *wechatAPI, change func(*auth.Config, *auth.Options)) *auth.Authenticator {
	api.used = map[string]bool{}
	c := auth.Config{WeChat: &auth.WeChatOptions{
		AppID: "wx0123456789abcdef", Secret: setting.NewSecret(wechatSecret), APIBase: "https://api.weixin.qq.com",
		Hashed: true, Duration: 30 * 24 * time.Hour,
	}}
	o := auth.Options{Transport: api}
	if change != nil {
		change(&c, &o)
	}
	return auth.New(c, o)
}

func withCode(code string) http.Header { return http.Header{"X-Wechat-Code": {code}} }

func withWeChatTicket(ticket string) http.Header { return http.Header{"X-Wechat-Ticket": {ticket}} }

func TestWeChat(t *testing.T) {
	api := &wechatAPI{}
	a := miniProgram(api, nil)
	who, e := authenticate(a, withCode("code-oABC"))
	sum := sha256.Sum256([]byte("oABC"))
	if e != nil || who.Mode != auth.ModeWeChat || who.Session != "wechat:"+hex.EncodeToString(sum[:]) ||
		who.MayNameUsers || who.Ticket == "" || who.TicketHeader() != "X-Wechat-Ticket" || who.Cookie != nil {
		t.Fatalf("%v, session %q, %v", who, who.Session, e)
	}
	if strings.Contains(who.Ticket, "oABC") {
		t.Error("the openid stands in the ticket")
	}
	again, e := authenticate(a, withWeChatTicket(who.Ticket))
	if e != nil || again.Session != who.Session || again.Ticket != "" || api.asked != 1 {
		t.Errorf("%v, session %q, asked %d times", e, again.Session, api.asked)
	}
	both := withCode("code-oDEF")
	both["X-Wechat-Ticket"] = []string{who.Ticket}
	if again, e = authenticate(a, both); e != nil || again.Session != who.Session || api.asked != 1 {
		t.Errorf("a ticket and a code: %v, session %q, asked %d times", e, again.Session, api.asked)
	}
	both["X-Wechat-Ticket"] = []string{who.Ticket + "x"}
	if again, e = authenticate(a, both); e != nil || again.Session == who.Session || again.Ticket == "" {
		t.Errorf("a wrong ticket and a code: %v, session %q", e, again.Session)
	}
	visitor := newcomer(t, visitors(t, visitorOptions{}), wantsTicket)
	for name, c := range map[string]struct {
		h      http.Header
		status int
		reason auth.Reason
	}{
		"nothing":                {nil, 401, auth.NoCredential},
		"a code again":           {withCode("code-oABC"), 401, auth.WeChatCodeUsed},
		"a wrong code":           {withCode("x"), 401, auth.WeChatCodeWrong},
		"an empty code":          {withCode(""), 401, auth.WeChatCodeWrong},
		"a code of two words":    {withCode("a b"), 401, auth.WeChatCodeWrong},
		"a long code":            {withCode(strings.Repeat("c", 257)), 401, auth.WeChatCodeWrong},
		"two codes":              {http.Header{"X-Wechat-Code": {"a", "b"}}, 400, auth.Ambiguous},
		"two tickets":            {http.Header{"X-Wechat-Ticket": {"a", "b"}}, 400, auth.Ambiguous},
		"an empty ticket":        {withWeChatTicket(""), 401, auth.WeChatTicketWrong},
		"a ticket changed":       {withWeChatTicket(tamper(who.Ticket)), 401, auth.WeChatTicketWrong},
		"a ticket of a visitor":  {withWeChatTicket(visitor.Ticket), 401, auth.WeChatTicketWrong},
		"a code as a credential": {bearer("code-oABC"), 401, auth.UnknownKey},
	} {
		t.Run(name, func(t *testing.T) {
			_, e := authenticate(a, c.h)
			wantRefusal(t, e, c.status, c.reason)
			if weChat := strings.HasPrefix(string(c.reason), "wechat"); weChat != (e.Code == auth.WeChatCodeRequired) {
				t.Errorf("the code is %s", e.Code)
			}
		})
	}
	if who, e := authenticate(a, withCode("code-oABC2")); e != nil || who.Ticket == "" {
		t.Errorf("another user: %v", e)
	}
}

// tamper changes a character in the middle of a ticket's name.
func tamper(ticket string) string { return ticket[:4] + string(ticket[4]^1) + ticket[5:] }

// A ticket is good for one app of the service, one mini program, one secret, one way to name users,
// and for its time.
func TestWeChatTicketsAreBound(t *testing.T) {
	api := &wechatAPI{}
	start := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration) func(*auth.Config, *auth.Options) {
		return func(_ *auth.Config, o *auth.Options) { o.Now = func() time.Time { return start.Add(d) } }
	}
	who, e := authenticate(miniProgram(api, at(0)), withCode("code-oABC"))
	if e != nil {
		t.Fatal(e)
	}
	for name, c := range map[string]struct {
		change func(*auth.Config, *auth.Options)
		reason auth.Reason // empty: it is good
	}{
		"a second before its end": {at(30*24*time.Hour - time.Second), ""},
		"at its end":              {at(30 * 24 * time.Hour), auth.WeChatTicketEnded},
		"a clock set back":        {at(-time.Hour), ""},
		"another app":             {func(_ *auth.Config, o *auth.Options) { o.App = "shop" }, auth.WeChatTicketWrong},
		"another mini program": {func(c *auth.Config, _ *auth.Options) { c.WeChat.AppID = "wxother" },
			auth.WeChatTicketWrong},
		"another secret": {func(c *auth.Config, _ *auth.Options) { c.WeChat.Secret = setting.NewSecret("another") },
			auth.WeChatTicketWrong},
		"unionids": {func(c *auth.Config, _ *auth.Options) { c.WeChat.ByUnionID = true }, auth.WeChatTicketWrong},
		"no hash":  {func(c *auth.Config, _ *auth.Options) { c.WeChat.Hashed = false }, auth.WeChatTicketWrong},
	} {
		a := miniProgram(api, func(c2 *auth.Config, o *auth.Options) { at(0)(c2, o); c.change(c2, o) })
		again, e := authenticate(a, withWeChatTicket(who.Ticket))
		switch {
		case c.reason == "" && (e != nil || again.Session != who.Session):
			t.Errorf("%s: %v", name, e)
		case c.reason != "" && (e == nil || e.Reason != c.reason || e.Code != auth.WeChatCodeRequired):
			t.Errorf("%s: %v", name, e)
		}
	}
}

func TestWeChatNames(t *testing.T) {
	named := func(change func(*auth.WeChatOptions)) string {
		a := miniProgram(&wechatAPI{}, func(c *auth.Config, _ *auth.Options) { change(c.WeChat) })
		who, e := authenticate(a, withCode("code-oABC"))
		if e != nil {
			t.Fatal(e)
		}
		again, e := authenticate(a, withWeChatTicket(who.Ticket))
		if e != nil || again.Session != who.Session {
			t.Errorf("%v, and %q after %q", e, again.Session, who.Session)
		}
		return who.Session
	}
	if got := named(func(w *auth.WeChatOptions) { w.Hashed = false }); got != "wechat:oABC" {
		t.Error(got)
	}
	if got := named(func(w *auth.WeChatOptions) { w.Hashed, w.ByUnionID = false, true }); got != "wechat:u-oABC" {
		t.Error(got)
	}
	// Nobody else is a WeChat user by name.
	a := miniProgram(&wechatAPI{}, func(c *auth.Config, _ *auth.Options) {
		c.Keys, c.UserHeader, c.Open = keys(t, "shop="+keyA), "X-Forwarded-User", true
	})
	_, err := a.Authenticate(t.Context(),
		a.Credentials(http.Header{"X-Forwarded-User": {"wechat:oABC"}}, auth.Trust{Proxy: true}))
	wantRefusal(t, asError(err), 403, auth.ReservedSession)
	shop, _ := authenticate(a, bearer(keyA))
	_, err = shop.SessionFor("wechat:oABC", true)
	wantRefusal(t, asError(err), 403, auth.ReservedSession)
	anybody, e := authenticate(a, nil)
	if e != nil || anybody.MayNameUsers {
		t.Errorf("anybody can name a WeChat user: %v", e)
	}
	who, _ := authenticate(a, withCode("code-oABC"))
	_, err = who.SessionFor("mallory", true)
	wantRefusal(t, asError(err), 403, auth.OtherSession)
}

// What WeChat says is told apart, and nothing secret is said with it.
func TestWeChatRefuses(t *testing.T) {
	for says, want := range map[string]struct {
		status int
		code   auth.Code
		reason auth.Reason
		retry  bool
	}{
		`{"errcode":40029,"errmsg":"invalid code"}`:        {401, auth.WeChatCodeRequired, auth.WeChatCodeWrong, false},
		`{"errcode":40163,"errmsg":"code been used"}`:      {401, auth.WeChatCodeRequired, auth.WeChatCodeUsed, false},
		`{"errcode":45011,"errmsg":"api minute-quota"}`:    {429, auth.RateLimited, auth.WeChatRate, true},
		`{"errcode":40226,"errmsg":"code blocked"}`:        {403, auth.Forbidden, auth.WeChatBlocked, false},
		`{"errcode":-1,"errmsg":"system error"}`:           {503, auth.Unavailable, auth.WeChatDown, true},
		`{"errcode":40013,"errmsg":"invalid appid"}`:       {500, auth.Misconfigured, auth.WeChatRefused, false},
		`{"errcode":40125,"errmsg":"invalid appsecret"}`:   {500, auth.Misconfigured, auth.WeChatRefused, false},
		`{"errcode":48001,"errmsg":"api unauthorized"}`:    {500, auth.Misconfigured, auth.WeChatRefused, false},
		`{"session_key":"a/secret+session==","openid":""}`: {503, auth.Unavailable, auth.WeChatDown, true},
		`{"openid":"a b"}`:           {503, auth.Unavailable, auth.WeChatDown, true},
		`{"openid":["a"]}`:           {503, auth.Unavailable, auth.WeChatDown, true},
		`<html>session_key</html>`:   {503, auth.Unavailable, auth.WeChatDown, true},
		strings.Repeat(" ", 300<<10): {503, auth.Unavailable, auth.WeChatDown, true},
	} {
		var log strings.Builder
		api := &wechatAPI{says: says}
		a := miniProgram(api, func(_ *auth.Config, o *auth.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		_, e := authenticate(a, withCode("code-oABC"))
		if e == nil || e.Status != want.status || e.Code != want.code || e.Reason != want.reason ||
			(e.RetryAfter > 0) != want.retry {
			t.Errorf("%.60s: %v", says, e)
			continue
		}
		for _, text := range []string{e.Error(), log.String()} {
			if strings.Contains(text, wechatSecret) ||
				strings.Contains(text, "a/secret") || strings.Contains(text, "code-oABC") {
				t.Errorf("%.60s: something secret is said: %s", says, text)
			}
		}
	}
	noUnionID := miniProgram(&wechatAPI{says: `{"openid":"oABC"}`},
		func(c *auth.Config, _ *auth.Options) { c.WeChat.ByUnionID = true })
	_, e := authenticate(noUnionID, withCode("code-oABC"))
	wantRefusal(t, e, 500, auth.WeChatRefused)
}

// A WeChat that is down is left alone for a while, users with a ticket do not notice, and the URL,
// which has the secret in it, is in no error.
func TestWeChatDown(t *testing.T) {
	var log strings.Builder
	api := &wechatAPI{}
	a := miniProgram(api, func(_ *auth.Config, o *auth.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	known, e := authenticate(a, withCode("code-oABC"))
	if e != nil {
		t.Fatal(e)
	}
	api.err, api.asked = errors.New("connection refused"), 0
	for range 20 {
		_, e := authenticate(a, withCode("code+/oDEF="))
		wantRefusal(t, e, 503, auth.WeChatDown)
		if text := e.Error(); strings.Contains(text, wechatSecret) || strings.Contains(text, "oDEF") {
			t.Fatal(text)
		}
	}
	if api.asked != 5 {
		t.Errorf("asked %d times", api.asked)
	}
	if _, e := authenticate(a, withWeChatTicket(known.Ticket)); e != nil {
		t.Errorf("who has a ticket: %v", e)
	}
	if text := log.String(); !strings.Contains(text, "connection refused") || strings.Contains(text, wechatSecret) {
		t.Errorf("the log says %q", text)
	}
}

func TestWeChatFaults(t *testing.T) {
	good := map[string]string{"WECHAT_APP_ID": "wx0123456789abcdef", "WECHAT_APP_SECRET": wechatSecret}
	for name, c := range map[string]struct {
		set  [2]string
		want string // empty: no fault
	}{
		"defaults":            {[2]string{}, ""},
		"loopback":            {[2]string{"WECHAT_API_BASE", "http://127.0.0.1:9999/"}, ""},
		"http":                {[2]string{"WECHAT_API_BASE", "http://api.weixin.qq.com"}, "WECHAT_API_BASE"},
		"a query":             {[2]string{"WECHAT_API_BASE", "https://api.weixin.qq.com?x=1"}, "WECHAT_API_BASE"},
		"no secret":           {[2]string{"WECHAT_APP_SECRET", ""}, "WECHAT_APP_ID"},
		"no app":              {[2]string{"WECHAT_APP_ID", ""}, "WECHAT_APP_SECRET"},
		"a secret of letters": {[2]string{"WECHAT_APP_SECRET", strings.Repeat("a", 32)}, "WECHAT_APP_SECRET"},
		"no app's name":       {[2]string{"WECHAT_APP_ID", "my app"}, "WECHAT_APP_ID"},
		"another user":        {[2]string{"WECHAT_USER", "phone"}, "WECHAT_USER"},
		"a short ticket":      {[2]string{"WECHAT_TICKET_DURATION", "59"}, "WECHAT_TICKET_DURATION"},
	} {
		env := map[string]string{}
		for k, v := range good {
			env[k] = v
		}
		env[c.set[0]] = c.set[1]
		delete(env, "")
		r := auth.Settings.Open(env, setting.Options{})
		r.Parse()
		config := auth.Read(r, true)
		_, err := r.Close()
		switch {
		case c.want == "" && (err != nil || config.WeChat == nil || !config.WeChat.Hashed || config.IsOpen() ||
			strings.HasSuffix(config.WeChat.APIBase, "/") || config.WeChat.Duration != 720*time.Hour):
			t.Errorf("%s: %+v, %v", name, config.WeChat, err)
		case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want+":") ||
			strings.Contains(err.Error(), wechatSecret)):
			t.Errorf("%s: %v", name, err)
		}
	}
	r := auth.Settings.Open(map[string]string{"WECHAT_USER": "unionid"}, setting.Options{})
	r.Parse()
	auth.Read(r, true)
	if _, err := r.Close(); err == nil || !strings.Contains(err.Error(), "without WECHAT_APP_ID") {
		t.Errorf("alone: %v", err)
	}
}
