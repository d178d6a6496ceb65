package auth

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"

	"coze-token/internal/fault"
	"coze-token/internal/message"
	"coze-token/internal/setting"
)

// VisitorPrefix begins the session of each visitor. Where there are visitors, nobody may name a
// session that begins so.
const VisitorPrefix = "visitor:"

// visitorLife is how long an identity is good for after it was given or renewed. It is renewed when
// half of that is over, so a visitor who comes twice a year stays the same. Browsers keep no cookie
// for longer than 400 days.
const (
	visitorLife = 180 * 24 * time.Hour
	renewAfter  = visitorLife / 2
)

// Bounds of VISITOR_SECRET.
const (
	minSecret  = 32 // bytes
	maxSecrets = 8  // each is tried
)

// visitors is the [Method] of people who are not logged in (security check 14).
//
// An identity is a random name that the service has signed, so there is nothing to keep, and no two
// visitors share one. It comes in two forms. For a page on the service's own site it is a cookie
// that no script can read. Browsers keep no cookies for pages of other sites. Those ask for a
// ticket with the header X-Visitor-Ticket, keep the answer's value of that header, and send it the
// next time. The two forms are signed differently: one is never taken for the other.
type visitors struct {
	redacted
	tickets   tickets
	cookie    string     // its name
	turnstile *turnstile // nil: nobody has to pass it
	now       func() time.Time
}

var visitorSecret = setting.New(secretRow("VISITOR_SECRET"), parseVisitorSecrets)

// readVisitors returns the secrets that sign identities, and that of the widget that new visitors
// have to pass.
func readVisitors(r *setting.Reader) (secrets []setting.Secret, turnstile setting.Secret) {
	if r.IsSet(turnstileSecret) && !r.IsSet(visitorSecret) {
		r.Fault(turnstileSecret, "is set without VISITOR_SECRET, and only visitors have to pass Turnstile",
			"set VISITOR_SECRET, or remove it")
	}
	return visitorSecret.Get(r), turnstileSecret.Get(r)
}

func parseVisitorSecrets(v *setting.Value) []setting.Secret {
	var secrets []setting.Secret
	texts := ParseSecrets(v.Text())
	v.Report(CheckVisitorSecrets(texts))
	for _, text := range texts {
		secrets = append(secrets, setting.NewSecret(text))
	}
	return secrets
}

// ParseSecrets reads the text of VISITOR_SECRET: one secret, or several separated by spaces, commas
// or line ends, the newest first.
func ParseSecrets(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n,;", r) })
}

// CheckVisitorSecrets says what is wrong with the secrets of visitors. The error is a [fault.List].
func CheckVisitorSecrets(secrets []string) error {
	const remedy = "make one with: openssl rand -base64 32"
	var faults fault.List
	if len(secrets) == 0 {
		faults.Add("there is no secret", remedy)
	}
	if len(secrets) > maxSecrets {
		faults.Add("there are more than %d secrets",
			"keep the newest, and those of the last half year", maxSecrets)
	}
	for i, secret := range secrets {
		switch {
		case len(secret) < minSecret:
			faults.Add("secret %d has %d bytes, which can be guessed: %d is the least", remedy, i+1, len(secret), minSecret)
		case repeats(secret):
			faults.Add("secret %d repeats the same few characters, which can be guessed", remedy, i+1)
		case slices.Contains(secrets[:i], secret):
			faults.Add("secret %d is there twice", "remove one of the two", i+1)
		}
	}
	return faults.Err()
}

func newVisitors(c Config, o Options) *visitors {
	v := &visitors{cookie: "__Host-coze-visitor", now: o.Now}
	if o.App != "" {
		v.cookie += "-" + o.App // the apps of one service must not take each other's away
	}
	var secrets []string
	for _, secret := range c.VisitorSecrets {
		secrets = append(secrets, secret.Reveal())
	}
	v.tickets = newTickets(o.App, "coze-token visitor identity v1", secrets...)
	if secret := c.TurnstileSecret.Reveal(); secret != "" {
		v.turnstile = newTurnstile(secret, o.Transport)
	}
	return v
}

// Scheme implements [Method]. The scheme is our own: there is none for this.
func (*visitors) Scheme() string { return "Visitor" }

// Accepts implements [Method].
func (*visitors) Accepts() message.Format { return "nothing, to be an anonymous visitor" }

// Identify implements [Method]: the visitor is known again, or new.
//
// An identity whose signature is wrong is refused. One that has expired was good once: its bearer
// starts anew.
func (v *visitors) Identify(ctx context.Context, c *Credentials) (Caller, bool, *Error) {
	if c.Sent != "" { // a credential of another method
		return Caller{}, false, nil
	}
	f, value, e := v.carried(c)
	if e != nil {
		return Caller{}, false, e
	}
	now := v.now()
	if value != "" {
		id, issued, ok := v.tickets.verify(string(f), value)
		if !ok || len(id) != idLength {
			return Caller{}, false, v.wrong(f)
		}
		// A clock that ran ahead must not cost anybody their conversations.
		if age := now.Sub(issued); age.Abs() < visitorLife {
			return v.caller(f, id, now, false, age > renewAfter), true, nil
		}
	}
	if v.turnstile != nil {
		if e := v.turnstile.verify(ctx, c.Header); e != nil {
			return Caller{}, false, e
		}
	}
	return v.caller(f, rand.Text(), now, true, true), true, nil
}

// caller is a visitor. give says that an identity goes with the answer.
func (v *visitors) caller(f form, id string, now time.Time, isNew, give bool) Caller {
	who := Caller{Mode: ModeVisitor, Name: "visitor", Session: VisitorPrefix + id, New: isNew}
	switch {
	case give && f == ticketForm:
		who.Ticket = v.tickets.sign(string(f), id, now)
	case give:
		who.Cookie = v.newCookie(v.tickets.sign(string(f), id, now), int(visitorLife/time.Second))
	}
	return who
}

// A form is one of the two forms of an identity.
type form string

const (
	cookieForm form = "cookie"
	ticketForm form = "ticket"
)

// newTicket is the value of X-Visitor-Ticket of a page that has no ticket yet.
const newTicket = "new"

// carried is the identity that the request has, and the form in which the next one is to be given.
// A page sends a ticket itself, so it wins over a cookie, which browsers add unasked.
func (v *visitors) carried(c *Credentials) (f form, value string, e *Error) {
	ticket, present, e := single(c.Header, TicketHeader)
	switch {
	case e != nil:
		return "", "", e
	case present && (ticket == newTicket || ticket == ""):
		return ticketForm, "", nil
	case present:
		return ticketForm, ticket, nil
	case !c.Cookies:
		return ticketForm, "", nil
	}
	cookies := (&http.Request{Header: c.Header}).CookiesNamed(v.cookie)
	for i, cookie := range cookies {
		if i > 0 && cookie.Value != value {
			return "", "", ambiguous("there are two visitor cookies", "send one")
		}
		value = cookie.Value
	}
	if len(cookies) > 0 && value == "" {
		return "", "", v.wrong(cookieForm)
	}
	// A browser keeps no cookie where page and service are of different sites.
	if len(cookies) == 0 && c.Header.Get(fetchSiteHeader) == "cross-site" {
		return ticketForm, "", nil
	}
	return cookieForm, value, nil
}

// idLength is that of an identity's name: 26 random characters of base32 are 130 bits.
const idLength = 26

// newCookie makes a cookie for this very host, over TLS, which scripts cannot read (RFC 6265bis
// section 4.1.3.2). Strict costs nothing: nobody navigates to a token.
func (v *visitors) newCookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: v.cookie, Value: value, Path: "/", MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}

// wrong is the refusal of an identity that was not signed here for this app. A wrong cookie is
// deleted, which no script can do.
func (v *visitors) wrong(f form) *Error {
	if f == ticketForm {
		return unauthenticated(BadVisitor, "the visitor ticket is not one of this service's",
			"throw the ticket away, and ask for another with X-Visitor-Ticket: new")
	}
	e := unauthenticated(BadVisitor, "the visitor cookie is not one of this service's",
		"send the request again: the cookie has been deleted")
	e.Cookie = v.newCookie("", -1)
	return e
}
