package auth

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"coze-token/internal/message"
)

// A Mode is the way in which a caller is known.
type Mode string

// The modes.
const (
	ModeOpen    Mode = "open"
	ModeKey     Mode = "key"
	ModeLogin   Mode = "login"
	ModeVisitor Mode = "visitor"
)

// A Caller is who sends a request.
type Caller struct {
	Mode Mode
	// Name is for records and limits: the API key's name, the login's, "visitor" or "open". It is
	// never a credential and never a user.
	Name string
	// Session is the session that the credential proves. Empty for callers who name their users.
	Session string
	// Subject is what the user's own system calls the user: the login's claim.
	Subject string
	// MayNameUsers says that the caller is believed which user it asks for (security check 10).
	MayNameUsers bool
	// Apps and Origins are what the caller is limited to. Nil: anything.
	Apps, Origins []string
	// New says that the caller is a visitor who was given an identity just now.
	New bool
	// Cookie is to be set with the answer, whatever the answer is: a Turnstile token, once used,
	// proves nothing a second time. Nil: none.
	Cookie *http.Cookie
	// Ticket is to be sent with the answer, likewise, in the header [Caller.TicketHeader]. Empty:
	// none.
	Ticket string

	reserved reserved
}

// TicketHeader is the header that carries the caller's ticket, both ways.
func (c *Caller) TicketHeader() string {
	if c.Mode == ModeWeChat {
		return WeChatTicketHeader
	}
	return TicketHeader
}

// reserved are the beginnings of sessions that nobody may name, and whose they are.
type (
	reserved       []reservedPrefix
	reservedPrefix struct {
		prefix string
		whose  message.Format
	}
)

// find says how a name begins that nobody may use, and who has such names. Both are empty
// otherwise.
func (r reserved) find(name string) (prefix string, whose message.Format) {
	for _, one := range r {
		if strings.HasPrefix(name, one.prefix) {
			return one.prefix, one.whose
		}
	}
	return "", ""
}

// String is the mode and the name. Session, ticket and cookie are not for records (security check
// 27), so whatever prints a Caller prints this.
func (c Caller) String() string { return string(c.Mode) + " " + c.Name }

func (c Caller) GoString() string             { return c.String() }
func (c Caller) Format(f fmt.State, _ rune)   { io.WriteString(f, c.String()) }
func (c Caller) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
func (c Caller) LogValue() slog.Value         { return slog.StringValue(c.String()) }

// MayUse says why the caller may not use an app from a page of an origin. origin is the header
// Origin, empty if it is missing. The error, if there is one, is an [*Error]. A caller that is
// limited to origins has to come from one: a request without the header comes from no page.
func (c *Caller) MayUse(app, origin string) error {
	switch {
	case c.Apps != nil && !slices.Contains(c.Apps, app):
		return forbidden(OtherApp, "this API key is not for this app", "use a key whose apps include this one")
	case c.Origins != nil && !slices.Contains(c.Origins, origin):
		return forbidden(OtherOrigin, "this API key is not for this origin",
			"use a key whose origins include the page's own")
	}
	return nil
}

// MayNameQuota says why the caller may not name a device or a consumer in the header. The error, if
// there is one, is an [*Error].
func (c *Caller) MayNameQuota(header string) error {
	if c.Mode == ModeKey {
		return nil
	}
	return forbidden(NotEntitled, "%s is taken from callers with an API key only",
		"leave it out; whoever runs the service can set DEVICE_ID or CUSTOM_CONSUMER", header)
}

// SessionFor is the session of the caller's token. user is the header X-User-ID, whose form has
// been checked, and named reports whether it was sent. The session is empty if nobody is named. The
// error, if there is one, is an [*Error].
//
// A name that the caller may not use is refused and not ignored: its sender relies on it.
func (c *Caller) SessionFor(user string, named bool) (string, error) {
	prefix, whose := c.reserved.find(user)
	switch {
	case !named:
		return c.Session, nil
	case c.MayNameUsers && prefix != "":
		return "", forbidden(ReservedSession, "X-User-ID begins with %s, as the names of %s do",
			"name your users in another way", prefix, whose)
	case c.MayNameUsers:
		return user, nil
	case c.Session == "":
		return "", forbidden(NotEntitled, "X-User-ID is not taken from callers without a credential",
			"leave X-User-ID out, or send an API key")
	case user == c.Session, c.Subject != "" && user == c.Subject:
		return c.Session, nil
	case c.Mode == ModeVisitor:
		return "", forbidden(OtherSession, "an anonymous visitor cannot name a user",
			"leave X-User-ID out: each visitor is a session of its own")
	default:
		return "", forbidden(OtherSession, "X-User-ID is not the user who is logged in",
			"leave X-User-ID out: the session comes from the login")
	}
}
