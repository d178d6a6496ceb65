package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// VisitorPrefix begins the session of each visitor. Where there are visitors, nobody may name a session that begins
// so.
const VisitorPrefix = "visitor:"

// visitorLife is how long an identity is good for from when it was last given or renewed, and renewal the age from which it is
// renewed: so who comes back twice a year stays the same. Browsers keep no cookie longer than 400 days.
const (
	visitorLife = 180 * 24 * time.Hour
	renewal     = visitorLife / 2
)

// Bounds of VISITOR_SECRET.
const (
	minSecret  = 32 // bytes
	maxSecrets = 8  // each is tried
)

// VisitorOptions say how visitors are known again.
type VisitorOptions struct {
	// Secrets sign the identities: the first the new ones, the others those from before the secret was changed. Each has 32
	// bytes or more. See [ParseSecrets].
	Secrets []string
	// App is the app whose visitors these are: an identity is good for no other. Empty: the default app.
	App string
	// Turnstile has to be passed before a new identity is given. Optional.
	Turnstile *Turnstile
	// Now is the clock. Optional: time.Now.
	Now func() time.Time
}

// Visitors gives identities to people who are not logged in, and knows them again (security check 14).
//
// An identity is a random name that the service has signed, so there is nothing to keep, and no two visitors are one. It
// comes in two forms. A page on the service's own site needs no code: it is a cookie that no script can read. Browsers
// keep no cookies for pages of other sites; those ask for a ticket with the header X-Visitor-Ticket, keep what the
// answer's header of that name says, and send it the next time. The two are signed apart: one is never taken for the other.
type Visitors struct {
	redacted
	keys      [][]byte
	app       string
	cookie    string
	turnstile *Turnstile
	now       func() time.Time
}

// ParseSecrets reads the text of VISITOR_SECRET: one secret, or several separated by spaces, commas or line ends, the
// newest first.
func ParseSecrets(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n,;", r) })
}

// NewVisitors makes visitors. The error, if there is one, is [Faults].
func NewVisitors(o VisitorOptions) (*Visitors, error) {
	const remedy = "make one with: openssl rand -base64 32"
	var faults Faults
	if len(o.Secrets) == 0 {
		faults.add("there is no secret", remedy)
	}
	if len(o.Secrets) > maxSecrets {
		faults.add(fmt.Sprintf("there are more than %d secrets", maxSecrets), "keep the newest, and those of the last half year")
	}
	for i, secret := range o.Secrets {
		distinct := map[byte]bool{}
		for _, b := range []byte(secret) {
			distinct[b] = true
		}
		switch {
		case len(secret) < minSecret:
			faults.add(fmt.Sprintf("secret %d has %d bytes, which can be guessed: %d is the least", i+1, len(secret), minSecret), remedy)
		case len(distinct) < minDistinct:
			faults.add(fmt.Sprintf("secret %d repeats the same few characters, which can be guessed", i+1), remedy)
		case slices.Contains(o.Secrets[:i], secret):
			faults.add(fmt.Sprintf("secret %d is there twice", i+1), "remove one of the two")
		}
	}
	if o.App != "" && (!isName(o.App, maxAppName) || strings.Contains(o.App, "@")) {
		faults.add("the app's name is not one", `name it with 1 to 64 letters, digits, ".", "_" or "-"`)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	v := &Visitors{app: o.App, cookie: "__Host-coze-visitor", turnstile: o.Turnstile, now: o.Now}
	if o.App != "" {
		v.cookie += "-" + o.App // else the apps of one service would take each other's away
	}
	for _, secret := range o.Secrets {
		// A key of its own for this use, so that the secret can have others one day.
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte("coze-token visitor identity v1"))
		v.keys = append(v.keys, mac.Sum(nil))
	}
	return v, nil
}

// A kind is a form of the identity.
type kind string

const (
	cookieKind kind = "cookie"
	ticketKind kind = "ticket"
)

// An identity is a visitor, signed as "1.id.issued.mac": the format's version; 26 random characters of base32, 130 bits;
// seconds since 1970; HMAC-SHA-256 in base64url.
type identity struct {
	id     string
	issued time.Time
}

const (
	idLength = 26
	macText  = 43  // bytes of base64url
	maxValue = 128 // bytes
)

// sign is the identity's text.
func (v *Visitors) sign(k kind, i identity) string {
	text := "1." + i.id + "." + strconv.FormatInt(i.issued.Unix(), 10)
	return text + "." + v.mac(v.keys[0], k, text)
}

// mac signs a text, for one app, in one form. The parts have their lengths before them, so that none runs into the
// next.
func (v *Visitors) mac(key []byte, k kind, text string) string {
	mac := hmac.New(sha256.New, key)
	for _, part := range []string{string(k), v.app, text} {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		mac.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// read verifies an identity's text. Nothing of it is looked at before its signature is good. The signature is compared
// as text, so that there is but one that is right.
func (v *Visitors) read(k kind, value string) (i identity, ok bool) {
	at := strings.LastIndexByte(value, '.')
	if at < 0 || len(value) > maxValue || len(value)-at-1 != macText {
		return i, false
	}
	text, mac := value[:at], value[at+1:]
	for _, key := range v.keys {
		if hmac.Equal([]byte(mac), []byte(v.mac(key, k, text))) {
			ok = true
		}
	}
	parts := strings.Split(text, ".")
	if !ok || len(parts) != 3 || parts[0] != "1" || len(parts[1]) != idLength {
		return i, false
	}
	seconds, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return i, false
	}
	return identity{parts[1], time.Unix(seconds, 0)}, true
}

// caller is the visitor who sends the request: known again, or new.
//
// An identity whose signature is wrong is refused. One that has run out is not, for it was good: its bearer starts anew.
func (v *Visitors) caller(ctx context.Context, h http.Header) (Caller, *Error) {
	k, value, e := v.carried(h)
	if e != nil {
		return Caller{}, e
	}
	now := v.now()
	if value != "" {
		i, ok := v.read(k, value)
		if !ok {
			return Caller{}, v.wrong(k)
		}
		age := now.Sub(i.issued)
		if age < visitorLife && age > -visitorLife { // a clock that ran ahead must not cost anybody their conversation
			c := i.caller()
			if age > renewal {
				v.give(&c, k, identity{i.id, now})
			}
			return c, nil
		}
	}
	if v.turnstile != nil {
		if e := v.turnstile.verify(ctx, h); e != nil {
			return Caller{}, e
		}
	}
	i := identity{rand.Text(), now}
	c := i.caller()
	c.New = true
	v.give(&c, k, i)
	return c, nil
}

func (i identity) caller() Caller {
	return Caller{Mode: ModeVisitor, Name: "visitor", Session: VisitorPrefix + i.id}
}

// newTicket is the value of X-Visitor-Ticket of a page that has no ticket yet and wants one.
const newTicket = "new"

// carried is the identity that a request has, and the form in which the next one is to be given. A ticket was sent by the
// page itself, so it goes before a cookie, which browsers add unasked.
func (v *Visitors) carried(h http.Header) (k kind, value string, e *Error) {
	ticket, present, e := only(h, TicketHeader)
	switch {
	case e != nil:
		return "", "", e
	case present && (ticket == newTicket || ticket == ""):
		return ticketKind, "", nil
	case present:
		return ticketKind, ticket, nil
	}
	cookies := (&http.Request{Header: h}).CookiesNamed(v.cookie)
	for i, c := range cookies {
		if i > 0 && c.Value != value {
			return "", "", ambiguous("there are two visitor cookies", "send one")
		}
		value = c.Value
	}
	if len(cookies) > 0 && value == "" {
		return "", "", v.wrong(cookieKind)
	}
	// Where the browser says that page and service are of different sites, it would not keep a cookie.
	if len(cookies) == 0 && h.Get(fetchSiteField) == "cross-site" {
		return ticketKind, "", nil
	}
	return cookieKind, value, nil
}

// give puts an identity into what is told the client.
func (v *Visitors) give(c *Caller, k kind, i identity) {
	if k == ticketKind {
		c.Ticket = v.sign(k, i)
		return
	}
	c.Cookie = v.newCookie(v.sign(k, i), int(visitorLife/time.Second))
}

// newCookie makes a cookie for this very host, over TLS, which scripts cannot read (RFC 6265bis, section 4.1.3.2). Strict
// costs nothing: nobody navigates to a token.
func (v *Visitors) newCookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: v.cookie, Value: value, Path: "/", MaxAge: maxAge, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

// wrong is the refusal of an identity that was not signed here, for this app.
func (v *Visitors) wrong(k kind) *Error {
	if k == ticketKind {
		return unauthenticated(BadVisitor, "the visitor ticket is not one of this service's", "throw the ticket away, and ask for another with X-Visitor-Ticket: new")
	}
	e := unauthenticated(BadVisitor, "the visitor cookie is not one of this service's", "send the request again: the cookie has been deleted")
	e.Cookie = v.newCookie("", -1)
	return e
}
