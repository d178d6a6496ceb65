package auth

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
)

// A Mode is the way in which a caller is somebody.
type Mode string

// The modes.
const (
	ModeOpen    Mode = "open"
	ModeKey     Mode = "key"
	ModeLogin   Mode = "login"
	ModeVisitor Mode = "visitor"
)

// A Caller is who asks.
type Caller struct {
	Mode Mode
	// Name is for records and limits: the API key's name, the login's, "visitor" or "open". Never the credential, and
	// never a user.
	Name string
	// Session is the session that the caller is, where the credential says so. Empty for callers that name their own users.
	Session string
	// Subject is what the user's own system calls the user: the login's claim, where Session has a prefix before it.
	Subject string
	// SpeaksFor: the caller may name the user it asks for (X-User-ID), and is believed (security check 10).
	SpeaksFor bool
	// Apps and Origins are what the caller is limited to. nil: anything. [Caller.MayUse] decides.
	Apps, Origins []string

	// New: the caller is a visitor who was given an identity just now.
	New bool
	// Cookie is to be set with the answer, whatever the answer is: the proof that was asked for it (Turnstile) works but
	// once. nil: none.
	Cookie *http.Cookie
	// Ticket is to be told the client in the answer, likewise, as the header X-Visitor-Ticket. Empty: none.
	Ticket string

	reserved string // the beginning of sessions that nobody may name: those of visitors
}

// String is the mode and the name. Session, ticket and cookie are not for records (security check 27), so all that
// prints a Caller prints this.
func (c Caller) String() string { return string(c.Mode) + " " + c.Name }

func (c Caller) GoString() string             { return c.String() }
func (c Caller) Format(f fmt.State, _ rune)   { io.WriteString(f, c.String()) }
func (c Caller) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
func (c Caller) LogValue() slog.Value         { return slog.StringValue(c.String()) }

// MayUse says whether the caller may use an app, from a page of an origin; origin is the header Origin, empty where it
// is missing. The error, if there is one, is an [*Error].
//
// A caller that is limited to origins has to come from one of them: without the header it is not a page that asks.
func (c *Caller) MayUse(app, origin string) error {
	switch {
	case c.Apps != nil && !slices.Contains(c.Apps, app):
		return forbidden(OtherApp, "this API key is not for this app", "use a key whose apps include this one")
	case c.Origins != nil && !slices.Contains(c.Origins, origin):
		return forbidden(OtherOrigin, "this API key is not for this origin", "use a key whose origins include the page's own")
	}
	return nil
}

// SessionFor is the session that the caller's token is for. user is the header X-User-ID, and named whether there is
// one; its form has been checked (coze.CheckSession). The session is empty where nobody is named. The error, if there is
// one, is an [*Error].
//
// A name that the caller may not use is refused and not ignored: who sends it believes that it is heeded.
func (c *Caller) SessionFor(user string, named bool) (string, error) {
	switch {
	case !named:
		return c.Session, nil
	case c.SpeaksFor && c.reserved != "" && strings.HasPrefix(user, c.reserved):
		return "", forbidden(ReservedSession, "X-User-ID begins with "+c.reserved+", as the names of anonymous visitors do", "name your users in another way")
	case c.SpeaksFor:
		return user, nil
	case c.Session == "":
		return "", forbidden(NotEntitled, "X-User-ID is not taken from callers without a credential", "leave X-User-ID out, or send an API key")
	case user == c.Session, c.Subject != "" && user == c.Subject:
		return c.Session, nil
	case c.Mode == ModeVisitor:
		return "", forbidden(OtherSession, "an anonymous visitor cannot name a user", "leave X-User-ID out: each visitor is a session of its own")
	default:
		return "", forbidden(OtherSession, "X-User-ID is not the user who is logged in", "leave X-User-ID out: the session comes from the login")
	}
}
