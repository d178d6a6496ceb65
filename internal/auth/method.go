package auth

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"coze-token/internal/message"
)

// A Method is one way to be known: an API key, a login, a visitor's identity. It is safe for
// concurrent use.
type Method interface {
	// Identify reports who sends the request. ok is false if it carries nothing of this method. An
	// error means that it carries something that does not hold: no other method is tried then.
	Identify(ctx context.Context, c *Credentials) (who Caller, ok bool, err *Error)
	// Scheme is the scheme of the WWW-Authenticate field that asks for a credential of this method.
	// Empty: there is none to ask for.
	Scheme() string
	// Accepts says in words what a request sends, for the hint of a refusal.
	Accepts() message.Format
}

// Options are what an [Authenticator] needs beside its settings. All but Transport are optional.
type Options struct {
	// App is the name of the app whose callers these are. A visitor's identity is good for one app.
	App string
	// Transport asks Turnstile and WeChat. Required if one of them is set.
	Transport http.RoundTripper
	// KeySets are where the keys of the logins' providers are kept. Required if there are logins.
	KeySets *KeySets
	// Now is the clock. Without it, time.Now is.
	Now func() time.Time
	// Log is told of an API key in use that is about to end, and of a WeChat that does not answer.
	// Without it nothing is logged.
	Log *slog.Logger
}

// An Authenticator knows who sends a request. It is safe for concurrent use.
type Authenticator struct {
	keys     *apiKeys // nil: none
	methods  []Method
	reads    bool // whether any method reads a credential
	reserved reserved
}

// New makes an Authenticator from settings that [Read] or the Check functions found good.
func New(c Config, o Options) *Authenticator {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &Authenticator{reads: c.KnowsCallers()}
	if c.Keys != nil {
		a.keys = &apiKeys{c.Keys, o.Now, o.Log}
		a.methods = append(a.methods, a.keys)
	}
	a.methods = append(a.methods, methods(c, o)...)
	if len(c.VisitorSecrets) > 0 {
		a.reserved = append(a.reserved, reservedPrefix{VisitorPrefix, "anonymous visitors"})
	}
	if c.WeChat != nil {
		a.reserved = append(a.reserved, reservedPrefix{WeChatPrefix, "WeChat users"})
	}
	return a
}

// Credentials reads what the request carries. The result is for one request.
func (a *Authenticator) Credentials(h http.Header, trust Trust) *Credentials {
	c := &Credentials{Header: h, Trust: trust}
	// With no method that reads anything, all that a request carries is for somebody else.
	if a.reads {
		c.Sent, c.keyHeader, c.err = sent(h)
	}
	return c
}

// Key reports who sends the request, if it carries a known API key that has not ended. It costs next to nothing and
// waits for nothing, so it may come before limits per address: a key cannot be guessed.
func (a *Authenticator) Key(c *Credentials) (who Caller, known bool) {
	if a.keys == nil || c.err != nil {
		return Caller{}, false
	}
	who, known, _ = a.keys.Identify(context.Background(), c)
	who.reserved = a.reserved
	return who, known
}

// Authenticate reports who sends the request. The error, if there is one, is an [*Error].
//
// It may wait for a login's keys or for Turnstile, 6 s at most. The end of ctx ends the wait, but
// not the fetch of keys, for which others may be waiting. Limits per address belong before it: a
// token costs a verification, and a Turnstile token costs a question to Cloudflare.
func (a *Authenticator) Authenticate(ctx context.Context, c *Credentials) (Caller, error) {
	who, scheme, e := a.identify(ctx, c)
	if e != nil {
		e.Challenges = a.challenges(e, scheme)
		return Caller{}, e
	}
	who.reserved = a.reserved
	return who, nil
}

// identify tries the methods. scheme is that of the credential that does not hold.
func (a *Authenticator) identify(ctx context.Context, c *Credentials) (who Caller, scheme string, e *Error) {
	if c.err != nil {
		return Caller{}, bearerScheme, c.err
	}
	for _, m := range a.methods {
		who, ok, e := m.Identify(ctx, c)
		if e != nil {
			return Caller{}, m.Scheme(), e
		}
		named := who.Mode != ModeVisitor && who.Mode != ModeWeChat
		if prefix, whose := a.reserved.find(who.Session); ok && named && prefix != "" {
			return Caller{}, m.Scheme(), forbidden(ReservedSession, "the user's name begins as those of %s do",
				"whoever runs the service can give the login a name, which then stands before it", whose)
		}
		if ok {
			return who, "", nil
		}
	}
	if c.Sent != "" {
		return Caller{}, bearerScheme, unauthenticated(UnknownKey, "the API key is not known", sendOne, a.accepted())
	}
	if a.schemes() == nil { // nothing that the client could do would be a login
		return Caller{}, "", forbidden(NoCredential, "there is no credential", sendOne, a.accepted())
	}
	return Caller{}, "", unauthenticated(NoCredential, "there is no credential", sendOne, a.accepted())
}

const sendOne message.Format = "send %s"

// accepted says in words what a request may carry.
func (a *Authenticator) accepted() message.Message {
	var ways []message.Format
	for _, m := range a.methods {
		ways = append(ways, m.Accepts())
	}
	return message.Join(ways, "; or ")
}

// challenges are the WWW-Authenticate fields of a refusal, one for each scheme (RFC 6750 section
// 3). The error stands in the field of the scheme whose credential does not hold. A 403 and a 503
// have no field: no other credential is asked for.
func (a *Authenticator) challenges(e *Error, scheme string) (fields []string) {
	if e.Status != http.StatusUnauthorized && e.Status != http.StatusBadRequest {
		return nil
	}
	schemes := a.schemes()
	for _, s := range schemes {
		field := s + ` realm="coze-token"`
		if scheme == s || scheme != "" && len(schemes) == 1 {
			code := "invalid_token"
			if e.Code == InvalidRequest {
				code = "invalid_request"
			}
			field += `, error="` + code + `", error_description="` + e.Problem.String() + `"` // ASCII, by RFC 6750
		}
		fields = append(fields, field)
	}
	return fields
}

// schemes are those of the methods, each once.
func (a *Authenticator) schemes() (schemes []string) {
	for _, m := range a.methods {
		if s := m.Scheme(); s != "" && !slices.Contains(schemes, s) {
			schemes = append(schemes, s)
		}
	}
	return schemes
}
