package auth

import (
	"slices"

	"coze-token/internal/setting"
)

// This file is the list of all ways to be known. Nothing else knows more than one.

// callersScope is the group of settings that an app has all from the service, or none. Merged one
// by one, an issuer of the app's would be believed under the service's keys.
const callersScope setting.Scope = "callers"

func row(name string) setting.Row { return setting.Row{Name: name, App: callersScope} }

func secretRow(name string) setting.Row {
	return setting.Row{Name: name, App: callersScope, Secret: true}
}

// Settings are this package's settings.
var Settings = slices.Concat(
	setting.List{APIKeys}, loginSettings,
	setting.List{UserHeader}, wechatSettings, setting.List{visitorSecret, turnstileSecret, openAccess},
)

// A Config is who may ask for the tokens of one app. Its zero value lets anybody in.
type Config struct {
	// Keys are the API keys that are taken. Nil: none.
	Keys *Keys
	// Logins are the providers whose users are taken.
	Logins []LoginOptions
	// UserHeader is the header in which a trusted proxy names its user. Empty: none.
	UserHeader string
	// WeChat is the mini program whose users are taken. Nil: none.
	WeChat *WeChatOptions
	// VisitorSecrets sign the identities of visitors, the newest first. None: there are no visitors.
	VisitorSecrets []setting.Secret
	// TurnstileSecret is the secret key of the widget that new visitors have to pass. Empty: none.
	TurnstileSecret setting.Secret
	// Open lets in callers without a credential, unless they are visitors.
	Open bool
}

// ProvesCallers reports whether there are callers who prove who they are. Visitors do not.
func (c Config) ProvesCallers() bool {
	c.VisitorSecrets = nil
	return c.KnowsCallers()
}

// KnowsCallers reports whether there is any way for a caller to be known.
func (c Config) KnowsCallers() bool {
	return c.Keys != nil || len(c.Logins) > 0 || c.UserHeader != "" || c.WeChat != nil ||
		len(c.VisitorSecrets) > 0
}

// IsOpen reports whether anybody gets a token without being known (security check 8). Beside
// visitors nobody does: they are visitors.
func (c Config) IsOpen() bool {
	return c.Open && len(c.VisitorSecrets) == 0 || !c.KnowsCallers()
}

// ReadsCookies reports whether pages have cookies to send: those of visitors, and those of a proxy
// in front that logs users in.
func (c Config) ReadsCookies() bool {
	return len(c.VisitorSecrets) > 0 || len(c.Logins) > 0 || c.UserHeader != ""
}

// Headers are the request headers that are read, for hosts that carry no others.
func (c Config) Headers() []string {
	if !c.KnowsCallers() {
		return nil
	}
	headers := []string{authorizationHeader, keyHeader}
	if len(c.VisitorSecrets) > 0 {
		headers = append(headers, TicketHeader, TurnstileHeader, cookieHeader, fetchSiteHeader)
	}
	if c.WeChat != nil {
		headers = append(headers, WeChatCodeHeader, WeChatTicketHeader)
	}
	if c.UserHeader != "" {
		headers = append(headers, c.UserHeader)
	}
	for _, login := range c.Logins {
		if login.Header != "" {
			headers = append(headers, login.Header)
		}
	}
	return headers
}

// Read returns who may ask for the tokens of one app. served is false for what the apps of APPS
// share where no app is at /.
func Read(r *setting.Reader, served bool) Config {
	c := Config{Keys: APIKeys.Get(r), Logins: readLogins(r), UserHeader: UserHeader.Get(r), WeChat: readWeChat(r)}
	c.VisitorSecrets, c.TurnstileSecret = readVisitors(r)
	c.Open = readOpen(r, c, served)
	return c
}

// methods is the list of all ways to be known, in the order in which they are tried.
func methods(c Config, o Options) (list []Method) {
	if len(c.Logins) > 0 {
		list = append(list, newLogins(c.Logins, o))
	}
	if c.UserHeader != "" {
		list = append(list, newProxyUser(c))
	}
	if c.WeChat != nil {
		list = append(list, newWeChat(*c.WeChat, o))
	}
	if len(c.VisitorSecrets) > 0 {
		list = append(list, newVisitors(c, o))
	}
	if c.IsOpen() {
		list = append(list, open{mayName: len(c.Logins) == 0 && c.UserHeader == "" && c.WeChat == nil})
	}
	return list
}
