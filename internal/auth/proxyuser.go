package auth

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"coze-token/coze"
	"coze-token/internal/message"
	"coze-token/internal/quote"
	"coze-token/internal/setting"
)

// ModeProxy is the mode of users whom a trusted proxy names.
const ModeProxy Mode = "proxy"

// UserHeader is the header in which a proxy names its user, such as X-Forwarded-User.
var UserHeader = setting.New(setting.Row{
	Name: "USER_HEADER", App: callersScope, Host: setting.Native,
}, parseUserHeader)

func parseUserHeader(v *setting.Value) string {
	header := http.CanonicalHeaderKey(v.Text())
	switch {
	case len(header) > 64 || strings.Trim(header, letters+"-") != "":
		v.Fault("is %s, which is not the name of a header",
			"name the header in which your proxy sends the user, such as X-Forwarded-User", quote.Text(v.Text()))
	case slices.Contains(slices.Concat(requestHeaders, otherHeaders), header):
		v.Fault("is %s, which has another meaning",
			"have the proxy send the user in a header of its own, such as X-Forwarded-User", header)
	}
	return header
}

// proxyUser is the [Method] of users whom a proxy in front has logged in, and names in a header.
// The proxy has to remove the header from what its clients send.
type proxyUser struct {
	header string
	prefix string // before each session, so that users of logins never meet these
}

func newProxyUser(c Config) proxyUser {
	p := proxyUser{header: c.UserHeader}
	if len(c.Logins) > 0 {
		p.prefix = "proxy|"
	}
	return p
}

// Identify implements [Method].
func (p proxyUser) Identify(_ context.Context, c *Credentials) (Caller, bool, *Error) {
	user, present, e := single(c.Header, p.header)
	switch {
	case c.Sent != "", !present && e == nil:
		return Caller{}, false, nil
	case !c.Proxy:
		return Caller{}, false, forbidden(NotEntitled, "%s is taken from trusted proxies only",
			"leave it out; whoever runs the service can name the proxy in TRUSTED_PROXIES", p.header)
	case e != nil:
		return Caller{}, false, e
	case coze.CheckSession(p.prefix+user) != nil:
		return Caller{}, false, forbidden(NoSessionClaim, "%s does not hold a user's name",
			"have the proxy send a name of 1 to 256 bytes of UTF-8 without control characters", p.header)
	}
	return Caller{Mode: ModeProxy, Name: "proxy", Session: p.prefix + user, Subject: user}, true, nil
}

// Scheme implements [Method]. The user logs in at the proxy.
func (proxyUser) Scheme() string { return "" }

// Accepts implements [Method].
func (p proxyUser) Accepts() message.Format {
	return "the request through the proxy that logs users in"
}
