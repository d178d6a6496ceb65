package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"coze-token/internal/guard"
	"coze-token/internal/message"
	"coze-token/internal/setting"
)

// ModeWeChat is the mode of users of a WeChat mini program.
const ModeWeChat Mode = "wechat"

// WeChatPrefix begins the session of each user of a mini program. Where there are such users, no
// one else may name a session that begins so.
const WeChatPrefix = "wechat:"

// The headers of a mini program: what wx.login() gave it, and the ticket that it got for that. They
// are in Go's canonical form.
const (
	WeChatCodeHeader   = "X-Wechat-Code"
	WeChatTicketHeader = "X-Wechat-Ticket"
)

// WeChatOptions are a mini program whose users are taken.
type WeChatOptions struct {
	AppID  string
	Secret setting.Secret
	// APIBase is the URL of WeChat's API, without a slash at the end.
	APIBase string
	// ByUnionID names users by their unionid, which the apps of one owner share. Otherwise it is the
	// openid, which is this mini program's own.
	ByUnionID bool
	// Hashed replaces names by their SHA-256, because they are personal identifiers.
	Hashed bool
	// Duration is how long a ticket is good.
	Duration time.Duration
}

var (
	wechatAppID  = setting.New(row("WECHAT_APP_ID"), parseWeChatAppID)
	wechatSecret = setting.New(secretRow("WECHAT_APP_SECRET"), parseWeChatSecret)
	wechatBase   = setting.New(setting.Row{
		Name: "WECHAT_API_BASE", App: callersScope, Default: "https://api.weixin.qq.com",
	}, parseWeChatBase)
	wechatUser = setting.New(setting.Row{
		Name: "WECHAT_USER", App: callersScope, Default: "openid",
	}, setting.Choice("openid", "unionid"))
	wechatHash     = setting.New(setting.Row{Name: "WECHAT_HASH", App: callersScope, Default: "on"}, setting.OnOff)
	wechatDuration = setting.New(setting.Row{
		Name: "WECHAT_TICKET_DURATION", App: callersScope, Default: "2592000", Min: 60, Max: 31536000,
	}, setting.Seconds)
)

var wechatSettings = setting.List{wechatAppID, wechatSecret, wechatBase, wechatUser, wechatHash, wechatDuration}

// readWeChat returns the mini program whose users are taken, or nil.
func readWeChat(r *setting.Reader) *WeChatOptions {
	w := &WeChatOptions{
		AppID: wechatAppID.Get(r), Secret: wechatSecret.Get(r), APIBase: wechatBase.Get(r),
		ByUnionID: wechatUser.Get(r) == "unionid", Hashed: wechatHash.Get(r), Duration: wechatDuration.Get(r),
	}
	together := r.Together(wechatAppID, wechatSecret, "set both, or neither")
	if r.IsSet(wechatAppID) {
		return w // the secret's fault, if there is one, ends the start
	}
	for _, s := range wechatSettings[2:] {
		if together && r.IsSet(s) {
			r.Fault(s, "is set without WECHAT_APP_ID", "set WECHAT_APP_ID and WECHAT_APP_SECRET, or remove it")
		}
	}
	return nil
}

func parseWeChatAppID(v *setting.Value) string {
	if !isName(v.Text(), 64) {
		v.Fault("is not the id of a mini program", "copy the AppID, wx and 16 digits, from mp.weixin.qq.com")
	} else if len(v.Text()) != 18 || !strings.HasPrefix(v.Text(), "wx") {
		v.Warn("is not wx and 16 digits, as AppIDs are", "compare it with the AppID at mp.weixin.qq.com")
	}
	return v.Text()
}

func parseWeChatSecret(v *setting.Value) setting.Secret {
	if n := len(v.Text()); n < 16 || n > 256 || strings.Trim(v.Text(), letters) != "" || repeats(v.Text()) {
		v.Fault("is not the secret of a mini program", "copy the AppSecret, 32 digits, from mp.weixin.qq.com")
	}
	return setting.NewSecret(v.Text())
}

func parseWeChatBase(v *setting.Value) string {
	u, err := checkURL(v.Text())
	if err != nil {
		v.Fault("%s", "use the address of WeChat's API, https://api.weixin.qq.com, or http to this machine itself", err)
		return ""
	}
	if u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		v.Fault("has more than scheme, host and path", "use https://api.weixin.qq.com")
	}
	return strings.TrimSuffix(v.Text(), "/")
}

// wechat is the [Method] of users of a WeChat mini program.
//
// The program sends the code that wx.login() gave it. WeChat says once, and for five minutes, whose
// it is. The answer carries a signed ticket, which the program sends from then on. When it ends, a
// new code is asked for: WeChat is the one who knows whether the user still is one.
type wechat struct {
	redacted
	WeChatOptions
	tickets   tickets
	kind      string // of tickets
	transport http.RoundTripper
	guard     *guard.Guard
	now       func() time.Time
}

// Bounds of questions. A mini program waits 60 s for an answer by itself.
const (
	wechatTimeout  = 5 * time.Second
	wechatFailures = 5               // in a row open the breaker
	wechatOpen     = 5 * time.Second // for so long
	maxCode        = 256             // bytes
)

func newWeChat(w WeChatOptions, o Options) *wechat {
	m := &wechat{
		WeChatOptions: w, transport: o.Transport, now: o.Now,
		tickets: newTickets(o.App, "coze-token wechat ticket v1 "+w.AppID, w.Secret.Reveal()),
		kind:    fmt.Sprintf("wechat unionid=%t hashed=%t", w.ByUnionID, w.Hashed),
	}
	m.guard = guard.New(guard.Options{
		Timeout: wechatTimeout, Failures: wechatFailures, Open: wechatOpen, Log: o.Log,
		Message: "WeChat cannot be asked whose a login's code is; users with a ticket still get tokens",
	})
	return m
}

// Scheme implements [Method]. The scheme is our own: there is none for this.
func (*wechat) Scheme() string { return "WeChat" }

// Accepts implements [Method].
func (*wechat) Accepts() message.Format { return "the code of wx.login() in X-WeChat-Code" }

// Identify implements [Method]. A ticket that holds is enough. A code beside it stays unused.
func (w *wechat) Identify(ctx context.Context, c *Credentials) (Caller, bool, *Error) {
	ticket, hasTicket, e := single(c.Header, WeChatTicketHeader)
	code, hasCode, e2 := single(c.Header, WeChatCodeHeader)
	switch {
	case c.Sent != "" || !hasTicket && !hasCode: // of another method
		return Caller{}, false, nil
	case e != nil || e2 != nil:
		return Caller{}, false, cmp.Or(e, e2)
	}
	refused := codeRequired(WeChatTicketWrong, "the WeChat ticket is not one of this service's")
	if hasTicket {
		name, issued, ok := w.tickets.verify(w.kind, ticket)
		text, err := base64.RawURLEncoding.DecodeString(name)
		if ok && err == nil {
			// A clock that ran ahead must not cost anybody a login.
			if w.now().Sub(issued).Abs() < w.Duration {
				return w.caller(string(text)), true, nil
			}
			refused = codeRequired(WeChatTicketEnded, "the WeChat ticket has ended")
		}
	}
	if !hasCode {
		return Caller{}, false, refused
	}
	if len(code) > maxCode || !isToken(code) {
		return Caller{}, false, codeRequired(WeChatCodeWrong, "X-WeChat-Code does not hold a code of wx.login()")
	}
	user, e := w.userOf(ctx, code)
	if e != nil {
		if e.Reason == WeChatRefused {
			e.Hint = message.New("whoever runs the service: %s", e.Hint)
		}
		return Caller{}, false, e
	}
	if w.Hashed {
		sum := sha256.Sum256([]byte(user))
		user = hex.EncodeToString(sum[:])
	}
	who := w.caller(user)
	who.Ticket = w.tickets.sign(w.kind, base64.RawURLEncoding.EncodeToString([]byte(user)), w.now())
	return who, true, nil
}

func (w *wechat) caller(user string) Caller {
	return Caller{Mode: ModeWeChat, Name: "wechat", Session: WeChatPrefix + user}
}

// codeRequired is a refusal that a new code mends.
func codeRequired(reason Reason, problem message.Format) *Error {
	return refuse(http.StatusUnauthorized, WeChatCodeRequired, reason, problem,
		"call wx.login() and send its code in X-WeChat-Code, once")
}

// A wechatAnswer is WeChat's. It has a session_key too, which is never read.
type wechatAnswer struct {
	OpenID  string `json:"openid"`
	UnionID string `json:"unionid"`
	ErrCode int    `json:"errcode"`
}

// busyCode is the errcode of a WeChat that has too much to do.
const busyCode = -1

// userOf asks WeChat whose code it is. If WeChat says nothing, nobody is let in.
func (w *wechat) userOf(ctx context.Context, code string) (string, *Error) {
	const down = "WeChat cannot be asked at the moment, so nobody new is let in"
	if !w.guard.Ready() {
		return "", unavailable(WeChatDown, nil, down, "try again")
	}
	a, err := guard.Call(ctx, w.guard, "jscode2session",
		func(ctx context.Context) (wechatAnswer, error) { return w.ask(ctx, code) })
	if err != nil {
		return "", unavailable(WeChatDown, err, down, "try again")
	}
	w.guard.Succeeded()
	user := a.OpenID
	if w.ByUnionID {
		user = a.UnionID
	}
	switch a.ErrCode {
	case 0:
		if user == "" {
			return "", misconfigured(0, "WeChat named no unionid for this user",
				"bind the mini program to an account of the WeChat Open Platform, or set WECHAT_USER to openid")
		}
		return user, nil
	case 40029:
		return "", codeRequired(WeChatCodeWrong, "WeChat does not know this code")
	case 40163:
		return "", codeRequired(WeChatCodeUsed, "this code was used before")
	case 45011:
		e := refuse(http.StatusTooManyRequests, RateLimited, WeChatRate, "this user logs in at WeChat too often",
			"wait as long as Retry-After says, and keep the ticket")
		e.RetryAfter = time.Minute // WeChat counts by the minute
		return "", e
	case 40226:
		return "", forbidden(WeChatBlocked, "WeChat has blocked this user", "nothing helps but to ask WeChat")
	case 40013:
		return "", misconfigured(a.ErrCode, "WeChat does not know the mini program",
			"compare WECHAT_APP_ID with the AppID at mp.weixin.qq.com")
	case 40125:
		return "", misconfigured(a.ErrCode, "WeChat refuses the mini program's secret",
			"set WECHAT_APP_SECRET to the AppSecret of mp.weixin.qq.com")
	}
	return "", misconfigured(a.ErrCode, "WeChat refused the login with the errcode %d",
		"look the errcode up in WeChat's documentation of code2Session", a.ErrCode)
}

// CheckWeChat asks WeChat about a code that there is not, and returns what is wrong with the mini
// program. It is nil if WeChat minds nothing but the code.
func CheckWeChat(ctx context.Context, w WeChatOptions, transport http.RoundTripper) *Error {
	_, e := newWeChat(w, Options{Transport: transport, Now: time.Now}).userOf(ctx, "coze-token-check")
	if e != nil && e.Code == WeChatCodeRequired {
		return nil
	}
	return e
}

// misconfigured is what neither the user nor a new code can mend.
func misconfigured(code int, problem, hint message.Format, args ...any) *Error {
	e := refuse(http.StatusInternalServerError, Misconfigured, WeChatRefused, problem, hint, args...)
	if code != 0 {
		e.Err = fmt.Errorf("wechat: errcode %d", code)
	}
	return e
}

// ask asks WeChat. The secret stands in the URL, as WeChat wants it, so no error has the URL.
func (w *wechat) ask(ctx context.Context, code string) (a wechatAnswer, err error) {
	query := url.Values{
		"appid": {w.AppID}, "secret": {w.Secret.Reveal()}, "js_code": {code}, "grant_type": {"authorization_code"},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.APIBase+"/sns/jscode2session?"+query.Encode(), nil)
	if err != nil {
		return a, errors.New("the request to WeChat cannot be made")
	}
	p, response, err := send(w.transport, request)
	if err != nil {
		text := err.Error()
		for _, secret := range []string{w.Secret.Reveal(), code, url.QueryEscape(code)} {
			text = strings.ReplaceAll(text, secret, secretText)
		}
		return a, errors.New(text)
	}
	err = json.Unmarshal(p, &a)
	switch {
	case response.StatusCode != http.StatusOK:
		return a, fmt.Errorf("WeChat answered with the status %d", response.StatusCode)
	case err != nil: // its words may quote the answer
		return a, errors.New("WeChat's answer is not JSON")
	case a.ErrCode == busyCode:
		return a, errors.New("WeChat is busy (errcode -1)")
	case a.ErrCode == 0 && !isName(a.OpenID, 128), a.UnionID != "" && !isName(a.UnionID, 128):
		return a, errors.New("WeChat's answer has neither an openid nor an errcode")
	}
	return a, nil
}
