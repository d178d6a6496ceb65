package auth

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// Options are the ways in which callers may be somebody. They combine; none of them is [Options.Open] alone.
type Options struct {
	// Keys are the API keys. Optional.
	Keys *Keys
	// Logins are the users' own. Optional.
	Logins []*Login
	// Visitors are let in without a login. Optional.
	Visitors *Visitors
	// Open lets in who has no credential. It is implied where there is nothing else.
	Open bool
}

// An Authenticator knows who asks.
type Authenticator struct {
	keys     *Keys
	logins   []prefixed
	visitors *Visitors
	open     bool
	reserved string // what sessions of visitors begin with, where there are any
}

// A prefixed login is one whose sessions begin in a way of their own.
type prefixed struct {
	*Login
	prefix string
}

// New makes an Authenticator. The error, if there is one, is [Faults].
func New(o Options) (*Authenticator, error) {
	a := &Authenticator{keys: o.Keys, visitors: o.Visitors, open: o.Open}
	if o.Keys == nil && len(o.Logins) == 0 && o.Visitors == nil {
		a.open = true
	}
	if o.Visitors != nil {
		a.reserved = VisitorPrefix
	}
	var faults Faults
	for _, l := range o.Logins {
		p := prefixed{Login: l}
		if l.name != "" || len(o.Logins) > 1 {
			p.prefix = l.Name() + "|" // which is in no name and no issuer, so no two logins' sessions meet
		}
		for _, other := range a.logins {
			switch {
			case other.issuer == l.issuer:
				faults.add("two logins have the issuer "+l.issuer, "make one of them, with the audiences of both")
			case other.prefix == p.prefix:
				faults.add("two logins are both called "+l.Name()+", so their users would share sessions", "give each a name of its own")
			}
		}
		a.logins = append(a.logins, p)
	}
	return a, faults.err()
}

// IsOpen says whether anybody gets a token without a credential, which the operator should know (security check 8).
func (a *Authenticator) IsOpen() bool { return a.open }

// Key says who sends the request, if it is somebody with an API key that is known. It costs next to nothing and waits for
// nothing, so it may come before limits per address, where Authenticate comes after them: a key cannot be guessed, so the
// limit is not needed against that.
func (a *Authenticator) Key(r *http.Request) (c Caller, known bool) {
	if a.keys == nil {
		return Caller{}, false
	}
	credential, present, e := a.sent(r.Header)
	if e != nil || !present {
		return Caller{}, false
	}
	k := a.keys.find(credential)
	if k == nil {
		return Caller{}, false
	}
	c = k.caller()
	c.reserved = a.reserved
	return c, true
}

// Authenticate says who sends the request. It reads headers, and nothing else. The error, if there is one, is an [*Error].
//
// It may wait: for a login's keys, or for Turnstile, 6 s at most. ctx ends the wait, and not the fetch of keys, which
// others may be waiting for too. Limits per address belong before it: a token costs a verification, and a new visitor who
// sends a Turnstile token a question to Cloudflare.
func (a *Authenticator) Authenticate(ctx context.Context, r *http.Request) (Caller, error) {
	c, e := a.authenticate(ctx, r.Header)
	if e != nil {
		e.Challenges = a.challenges(e)
		return Caller{}, e
	}
	c.reserved = a.reserved
	return c, nil
}

func (a *Authenticator) authenticate(ctx context.Context, h http.Header) (Caller, *Error) {
	// Where nothing is configured nothing is read: the original took no credentials, so whatever is sent is for somebody
	// else.
	if a.keys == nil && len(a.logins) == 0 && a.visitors == nil {
		return anybody(true), nil
	}
	credential, present, e := a.sent(h)
	if e != nil {
		return Caller{}, e
	}
	if present {
		return a.credential(ctx, h, credential)
	}
	for _, l := range a.logins {
		if l.header == "" {
			continue
		}
		token, present, e := only(h, l.header)
		if e != nil {
			return Caller{}, e
		}
		if present {
			return take(ctx, token, a.carriedBy(l.header), a.reserved)
		}
	}
	switch {
	case a.visitors != nil:
		return a.visitors.caller(ctx, h)
	case a.open:
		// Beside logins a name would be believed that somebody else has to prove.
		return anybody(len(a.logins) == 0), nil
	}
	return Caller{}, unauthenticated(NoCredential, "there is no credential", a.accepted())
}

func anybody(speaks bool) Caller { return Caller{Mode: ModeOpen, Name: "open", SpeaksFor: speaks} }

// sent is the credential that the client itself put into the request.
func (a *Authenticator) sent(h http.Header) (credential string, present bool, e *Error) {
	first, hasBearer, e := bearer(h)
	if e != nil {
		return "", false, e
	}
	second, hasKey, e := apiKey(h)
	switch {
	case e != nil:
		return "", false, e
	case hasBearer && hasKey && first != second:
		return "", false, ambiguous("Authorization and X-API-Key hold different credentials", "send one of the two")
	case hasBearer:
		return first, true, nil
	}
	return second, hasKey, nil
}

// credential is who sends an API key or a login's token. Keys are looked up first, whatever the credential looks like, because
// operators may bring keys of any form.
func (a *Authenticator) credential(ctx context.Context, h http.Header, credential string) (Caller, *Error) {
	if a.keys != nil {
		if k := a.keys.find(credential); k != nil {
			return k.caller(), nil
		}
	}
	_, asKey := h[keyHeader]
	if asKey || strings.HasPrefix(credential, KeyPrefix) || len(a.logins) == 0 {
		return Caller{}, unauthenticated(UnknownKey, "the API key is not known", a.accepted())
	}
	return take(ctx, credential, a.logins, a.reserved)
}

// carriedBy are the logins whose tokens come in a header of their own.
func (a *Authenticator) carriedBy(header string) []prefixed {
	return slices.DeleteFunc(slices.Clone(a.logins), func(l prefixed) bool { return l.header != header })
}

// accepted says in words what a request may have.
func (a *Authenticator) accepted() string {
	var ways []string
	if a.keys != nil {
		ways = append(ways, "an API key, as Authorization: Bearer or X-API-Key")
	}
	if len(a.logins) > 0 {
		ways = append(ways, "the token of the user's login, as Authorization: Bearer")
	}
	if a.visitors != nil {
		ways = append(ways, "nothing, to be an anonymous visitor")
	} else if a.open {
		ways = append(ways, "nothing")
	}
	return "send " + strings.Join(ways, "; or ")
}

// challenges are the WWW-Authenticate fields for a refusal (RFC 6750, section 3). The error is told only those who sent
// a credential of that scheme. A 403 and a 503 have none: no other credential is asked for.
func (a *Authenticator) challenges(e *Error) (fields []string) {
	if e.Status != http.StatusUnauthorized && e.Status != http.StatusBadRequest {
		return nil
	}
	told := ""
	switch {
	case e.Code == InvalidRequest:
		told = `, error="invalid_request", error_description="` + e.Problem + `"`
	case e.Reason != NoCredential:
		told = `, error="invalid_token", error_description="` + e.Problem + `"`
	}
	visitor := slices.Contains([]Reason{BadVisitor, TurnstileMissing, TurnstileFailed}, e.Reason)
	const realm = ` realm="coze-token"`
	if a.keys != nil || len(a.logins) > 0 {
		field := "Bearer" + realm
		if !visitor {
			field += told
		}
		fields = append(fields, field)
	}
	if a.visitors != nil { // a scheme of our own: there is none for this
		field := "Visitor" + realm
		if visitor || len(fields) == 0 {
			field += told
		}
		fields = append(fields, field)
	}
	return fields
}
