package auth

import (
	"context"

	"coze-token/internal/message"
	"coze-token/internal/setting"
)

// open lets in a caller who carries no credential, as the original Worker did.
type open struct {
	mayName bool // beside logins, a caller could name users who have to prove who they are
}

// Identify implements [Method].
func (o open) Identify(_ context.Context, c *Credentials) (Caller, bool, *Error) {
	return Caller{Mode: ModeOpen, Name: "open", MayNameUsers: o.mayName}, c.Sent == "", nil
}

// Scheme implements [Method].
func (open) Scheme() string { return "" }

// Accepts implements [Method].
func (open) Accepts() message.Format { return "nothing" }

var openAccess = setting.New(setting.Row{Name: "OPEN_ACCESS", App: callersScope, Default: setting.Off}, setting.OnOff)

// readOpen reports whether settings let in callers without a credential, beside the other ways of
// c.
func readOpen(r *setting.Reader, c Config, served bool) bool {
	open, valid := openAccess.Lookup(r)
	switch {
	case served && r.IsSet(openAccess) && valid && !open && !c.KnowsCallers() && !isAnySet(r):
		r.Fault(openAccess, "is off, and nobody else is let in",
			"set API_KEYS, JWT_ISSUER, LOGINS, CF_ACCESS_TEAM, USER_HEADER, WECHAT_APP_ID or VISITOR_SECRET, or set it to on")
	case open && r.IsSet(visitorSecret):
		r.Warn(openAccess, "has no effect beside VISITOR_SECRET, because whoever has no credential is a visitor",
			"remove it")
	case open && c.KnowsCallers():
		r.Warn(openAccess, "lets anybody in without a credential, beside the callers that prove who they are",
			"remove it once all callers have a credential")
	}
	return open
}

// isAnySet reports whether a setting of another way is set, rightly or wrongly.
func isAnySet(r *setting.Reader) bool {
	for _, s := range Settings {
		if s != setting.Setting(openAccess) && r.IsSet(s) {
			return true
		}
	}
	return false
}
