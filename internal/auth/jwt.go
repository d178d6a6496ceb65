package auth

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"coze-token/coze"
	"coze-token/internal/message"
	"coze-token/internal/strictjson"
)

// An unverified token has been taken apart, and nothing in it can be believed. It says which login,
// and which of its keys, is to verify it. What no honest provider makes is refused before that.
type unverified struct {
	alg       string
	kid       string
	issuer    string
	claims    map[string]any
	message   string // what is signed: the first two parts as they were sent
	signature []byte
}

// readToken takes a JWT apart (RFC 7519 section 7.2, in the compact form of RFC 7515).
func readToken(raw string) (unverified, *Error) {
	var t unverified
	parts := strings.Split(raw, ".")
	if len(raw) > maxCredential {
		return t, tokenTooLarge()
	}
	if len(parts) != 3 || slices.Contains(parts, "") {
		return t, badToken()
	}
	header, err := object(parts[0])
	if err != nil {
		return t, badToken()
	}
	// The header must not say where the key is or which it is (RFC 8725 sections 3.5 and 3.10). No
	// extension that must be understood (RFC 7515 section 4.1.11) is. Neither are encrypted,
	// compressed or detached contents.
	for _, name := range []string{"jku", "x5u", "jwk", "crit", "b64", "enc", "zip", "cty"} {
		if _, ok := header[name]; ok {
			return t, forbidden(ForbiddenHeader, "the token's header has %s in it, which is refused",
				"send the provider's own token", name)
		}
	}
	if typ, ok := header["typ"]; ok && !isTokenType(typ) {
		return t, wrongType()
	}
	var ok bool
	if t.alg, ok = header["alg"].(string); !ok {
		return t, badToken()
	}
	if kid, present := header["kid"]; present {
		if t.kid, ok = kid.(string); !ok || t.kid == "" {
			return t, badToken()
		}
	}
	t.message = parts[0] + "." + parts[1]
	if t.signature, err = decodePart(parts[2]); err != nil {
		return t, badToken()
	}
	if t.claims, err = object(parts[1]); err != nil {
		return t, badToken()
	}
	if t.issuer, ok = t.claims["iss"].(string); !ok || t.issuer == "" {
		return t, unauthenticated(UnknownIssuer, "the token does not say who issued it",
			"send the token of a login that this service takes")
	}
	// A security event (RFC 8417), such as a logout token, is a JWT of the same issuer for the same
	// audience. It says that a user is no longer logged in (RFC 8725 section 3.12).
	if _, ok := t.claims["events"]; ok {
		return t, wrongType()
	}
	return t, nil
}

func tokenTooLarge() *Error {
	return forbidden(TooLarge, "the token is too large",
		"have the provider issue one of at most 8 KiB: with fewer groups or roles")
}

func badToken() *Error {
	return unauthenticated(BadToken, "the credential is neither a known API key nor a JWT",
		"send the API key, or the token that the login gave, whole and unchanged")
}

func wrongType() *Error {
	return forbidden(BadToken, "the token is of another type than ID and access tokens",
		"send an ID token or an access token")
}

// isTokenType reports whether typ is that of an ID token or of an access token (RFC 9068 section
// 2.1).
func isTokenType(typ any) bool {
	text, ok := typ.(string)
	text = strings.TrimPrefix(strings.ToLower(text), "application/")
	return ok && (text == "jwt" || text == "at+jwt")
}

var errNotJSON = errors.New("not a JSON object in base64url")

// object decodes one part of a JWT. Two members of one name are refused, as RFC 7519 section 4
// allows: parsers differ in which of the two they take. So are bytes that are not UTF-8: Go's
// parser would replace them, and two users would have one name.
func object(part string) (map[string]any, error) {
	p, err := decodePart(part)
	if err != nil || !utf8.Valid(p) {
		return nil, errNotJSON
	}
	if _, twice, err := strictjson.Duplicate(p); twice || err != nil {
		return nil, errNotJSON
	}
	var members map[string]any
	d := json.NewDecoder(bytes.NewReader(p))
	d.UseNumber()
	if err := d.Decode(&members); err != nil || members == nil {
		return nil, errNotJSON
	}
	return members, nil
}

// decodePart decodes the one form that bytes have in base64url (RFC 7515 section 2). So a token cannot
// be changed without its signature.
func decodePart(part string) ([]byte, error) {
	if strings.ContainsAny(part, "\r\n") { // Go's decoder skips line ends, in the strict mode too
		return nil, errNotJSON
	}
	return base64.RawURLEncoding.Strict().DecodeString(part)
}

// leeway is how far the provider's clock may be from ours (RFC 7519 sections 4.1.4 to 4.1.6).
const leeway = time.Minute

// verify returns the claims of a token of this login, whose issuer has been compared. It checks
// algorithm, signature, times and audience.
func (l *login) verify(ctx context.Context, t unverified) (map[string]any, *Error) {
	if !slices.Contains(l.Algorithms, t.alg) {
		return nil, forbidden(BadAlgorithm, "the token is signed with an algorithm that is not taken",
			"have the provider sign with one of these: %s", strings.Join(l.Algorithms, ", "))
	}
	keys, e := l.keys.find(ctx, t.kid, t.alg)
	if e != nil {
		return nil, e
	}
	signed, err := t.signedBy(ctx, keys)
	if err == nil && !signed && (t.kid == "" || keys[0].kid == "") {
		// A provider that does not name its keys may have new ones.
		signed, err = t.signedBy(ctx, l.keys.newer(ctx, keys, t.kid, t.alg))
	}
	switch {
	case err != nil:
		return nil, providerDown(err)
	case !signed:
		return nil, unauthenticated(BadSignature, "the token's signature is wrong",
			"send the token that the login gave, whole and unchanged")
	}
	if e := l.checkClaims(t.claims); e != nil {
		return nil, e
	}
	return t.claims, nil
}

// signedBy reports whether one of the keys has signed the token. A key that the host does not take
// counts for nothing beside others, as one that parseJWKS passes over. The error says that no key
// could be tried.
func (t unverified) signedBy(ctx context.Context, keys []*signingKey) (signed bool, err error) {
	tried := false
	for _, k := range keys {
		good, e := k.signs(ctx, t.alg, []byte(t.message), t.signature)
		if good {
			return true, nil
		}
		tried = tried || e == nil
		err = cmp.Or(err, e)
	}
	if tried {
		return false, nil
	}
	return false, err
}

// checkClaims checks times and audience (RFC 7519 section 4.1). What a new login would not mend is a
// 403: a page that sends its user to the login after a 401 would do so for ever.
func (l *login) checkClaims(claims map[string]any) *Error {
	now := l.now()
	times := map[string]time.Time{} // :: claim → when
	for _, name := range []string{"exp", "nbf", "iat"} {
		v, present := claims[name]
		at, ok := asTime(v)
		if present && (!ok || at.Unix() <= 0 && name != "exp") { // an exp of before 1970 is over
			return badClaims("the token's %s is not a time", name)
		}
		if ok {
			times[name] = at
		}
	}
	if at, ok := times["exp"]; ok && !now.Before(at.Add(leeway)) {
		return unauthenticated(TokenExpired, "the token has expired", "log in again, and send the new token")
	}
	for _, name := range []string{"nbf", "iat"} {
		if at, ok := times[name]; ok && now.Before(at.Add(-leeway)) {
			return unauthenticated(TokenNotYetValid, "the token is not valid yet",
				"check the clocks of the provider and of this service")
		}
	}
	audiences, ok := texts(claims["aud"])
	switch {
	case !ok:
		return badClaims("the token's aud is neither a text nor a list of texts")
	case len(audiences) == 0:
		return forbidden(WrongAudience, "the token does not say for which service it is: it has no aud",
			"have the provider write the audience that JWT_AUDIENCE names into aud, "+
				"or send another of its tokens: an ID token has one")
	case !slices.ContainsFunc(audiences, func(aud string) bool { return slices.Contains(l.Audiences, aud) }):
		return forbidden(WrongAudience, "the token is meant for another service: its aud is another",
			"have the provider write the audience of this service into aud, or set JWT_AUDIENCE to what it writes there")
	case claims["exp"] == nil:
		return badClaims("the token has no exp")
	}
	return nil
}

// texts returns the texts of a claim that is one text or a list of them. An empty text and null are
// none. ok is false for anything else.
func texts(claim any) (list []string, ok bool) {
	switch v := claim.(type) {
	case nil:
		return nil, true
	case string:
		if v == "" {
			return nil, true
		}
		return []string{v}, true
	case []any:
		for _, item := range v {
			text, ok := item.(string)
			if !ok {
				return nil, false
			}
			list = append(list, text)
		}
		return list, true
	}
	return nil, false
}

// asTime returns a claim that is a time, in whole seconds. Beyond some 8,700 years a float is none,
// and what it becomes depends on the processor.
func asTime(v any) (at time.Time, ok bool) {
	number, ok := v.(json.Number)
	if !ok {
		return at, false
	}
	seconds, err := number.Float64()
	if err != nil || seconds <= -1<<38 || seconds >= 1<<38 {
		return at, false
	}
	return time.Unix(int64(seconds), 0), true
}

func badClaims(problem message.Format, args ...any) *Error {
	return forbidden(BadClaims, problem, "have the provider issue tokens with iss, aud and exp as RFC 7519 has them",
		args...)
}

// subject is the claim that says who the user is. If it cannot be a session, the token is good all
// the same, and to log in again would not help. So that is a 403: Coze's Chat SDK answers a 401 by
// asking again at once.
func (l *login) subject(claims map[string]any) (subject string, e *Error) {
	switch v := claims[l.SessionClaim].(type) {
	case string:
		subject = v
	case json.Number: // a user's number in a database; digits alone have one form
		if strings.Trim(string(v), "0123456789") == "" {
			subject = string(v)
		}
	}
	if subject == "" {
		return "", forbidden(NoSessionClaim, "the token does not say who the user is: it has no claim %s that is a text or "+
			"a whole number", "have the provider add the claim, or set JWT_SESSION_CLAIM to another", l.SessionClaim)
	}
	// Go's parser puts U+FFFD in the place of half a character, which would make different names one.
	if coze.CheckSession(l.prefix+subject) != nil || strings.ContainsRune(subject, utf8.RuneError) {
		return "", forbidden(NoSessionClaim, "the token's claim %s cannot be a session name",
			"use a claim of at most 256 bytes without control characters (JWT_SESSION_CLAIM)", l.SessionClaim)
	}
	// At some providers anybody can have any address in their profile until they have to prove it.
	verified, ok := claims["email_verified"]
	if l.SessionClaim == "email" && ok && verified != true && verified != "true" {
		return "", forbidden(UnverifiedEmail, "the user's e-mail address has not been verified",
			"have the user verify it with the login's provider")
	}
	return subject, nil
}
