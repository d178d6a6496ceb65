package auth

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"coze-token/coze"
	"coze-token/internal/message"
	"coze-token/internal/strictjson"
)

// An unverified token has been taken apart, and nothing in it can be believed. It says which login,
// and which of its keys, is to verify it. What no honest provider makes is refused before the
// library sees it.
type unverified struct {
	raw    string
	alg    string
	kid    string
	issuer string
}

// readToken takes a JWT apart (RFC 7519 section 7.2, in the compact form of RFC 7515).
func readToken(raw string) (unverified, *Error) {
	t := unverified{raw: raw}
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
	claims, err := object(parts[1])
	if err != nil {
		return t, badToken()
	}
	if t.issuer, ok = claims["iss"].(string); !ok || t.issuer == "" {
		return t, unauthenticated(UnknownIssuer, "the token does not say who issued it",
			"send the token of a login that this service takes")
	}
	// A security event (RFC 8417), such as a logout token, is a JWT of the same issuer for the same
	// audience. It says that a user is no longer logged in (RFC 8725 section 3.12).
	if _, ok := claims["events"]; ok {
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
	if strings.ContainsAny(part, "\r\n") { // Go's decoder skips line ends, in the strict mode too
		return nil, errNotJSON
	}
	p, err := base64.RawURLEncoding.Strict().DecodeString(part)
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

// leeway is how far the provider's clock may be from ours (RFC 7519 sections 4.1.4 to 4.1.6).
const leeway = time.Minute

func newParser(o LoginOptions, now func() time.Time) *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods(o.Algorithms),
		jwt.WithStrictDecoding(),
		jwt.WithJSONNumber(),
		jwt.WithIssuer(o.Issuer),
		jwt.WithAudience(o.Audiences...),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(leeway),
		jwt.WithTimeFunc(now),
	)
}

// verify returns the claims of a token of this login. The library checks signature, algorithm,
// issuer, audience and times. Which key it gets is decided here.
func (l *login) verify(ctx context.Context, t unverified) (jwt.MapClaims, *Error) {
	if !slices.Contains(l.Algorithms, t.alg) {
		return nil, forbidden(BadAlgorithm, "the token is signed with an algorithm that is not taken",
			"have the provider sign with one of these: %s", strings.Join(l.Algorithms, ", "))
	}
	keys, e := l.keys.find(ctx, t.kid, t.alg)
	if e != nil {
		return nil, e
	}
	claims, err := l.parse(t, keys)
	if errors.Is(err, jwt.ErrTokenSignatureInvalid) && (t.kid == "" || keys[0].kid == "") {
		// A provider that does not name its keys may have new ones.
		if newer := l.keys.newer(ctx, keys, t.kid, t.alg); len(newer) > 0 {
			claims, err = l.parse(t, newer)
		}
	}
	if err != nil {
		return nil, tokenError(claims, err)
	}
	for _, name := range []string{"exp", "nbf", "iat"} {
		if v, ok := claims[name]; ok && !isTime(v) {
			return nil, badClaims("the token's %s is not a time", name)
		}
	}
	return claims, nil
}

// parse tries the keys. claims are those of the last one.
func (l *login) parse(t unverified, keys []*signingKey) (claims jwt.MapClaims, err error) {
	for _, k := range keys {
		claims = jwt.MapClaims{}
		_, err = l.parser.ParseWithClaims(t.raw, claims, func(parsed *jwt.Token) (any, error) {
			if !slices.Contains(k.algs, parsed.Method.Alg()) {
				return nil, jwt.ErrTokenUnverifiable // a key is bound to its algorithms
			}
			return k.public, nil
		})
		if !errors.Is(err, jwt.ErrTokenSignatureInvalid) {
			break
		}
	}
	return claims, err
}

// isTime reports whether a claim is a time. Beyond some 8,700 years a float is none, and what it
// becomes depends on the processor.
func isTime(v any) bool {
	number, ok := v.(json.Number)
	if !ok {
		return false
	}
	seconds, err := number.Float64()
	return err == nil && seconds > 0 && seconds < 1<<38
}

// tokenError sorts the library's errors. What a new login would not mend is a 403: a page that
// sends its user to the login after a 401 would do so for ever.
func tokenError(claims jwt.MapClaims, err error) *Error {
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		return unauthenticated(BadSignature, "the token's signature is wrong",
			"send the token that the login gave, whole and unchanged")
	case errors.Is(err, jwt.ErrTokenMalformed):
		return badToken()
	case errors.Is(err, jwt.ErrTokenExpired):
		return unauthenticated(TokenExpired, "the token has expired", "log in again, and send the new token")
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return unauthenticated(TokenNotYetValid, "the token is not valid yet",
			"check the clocks of the provider and of this service")
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return forbidden(WrongAudience, "the token is meant for another service: its aud is another",
			"have the provider write the audience of this service into aud, or set JWT_AUDIENCE to what it writes there")
	case hasNoAudience(claims):
		return forbidden(WrongAudience, "the token does not say for which service it is: it has no aud",
			"have the provider write the audience that JWT_AUDIENCE names into aud, "+
				"or send another of its tokens: an ID token has one")
	case claims["exp"] == nil:
		return badClaims("the token has no exp")
	default:
		return badClaims("one of the token's claims is wrong")
	}
}

func badClaims(problem message.Format, args ...any) *Error {
	return forbidden(BadClaims, problem, "have the provider issue tokens with iss, aud and exp as RFC 7519 has them",
		args...)
}

// hasNoAudience reports whether aud is missing or empty.
func hasNoAudience(claims jwt.MapClaims) bool {
	list, isList := claims["aud"].([]any)
	return claims["aud"] == nil || claims["aud"] == "" || isList && len(list) == 0
}

// subject is the claim that says who the user is. If it cannot be a session, the token is good all
// the same, and to log in again would not help. So that is a 403: Coze's Chat SDK answers a 401 by
// asking again at once.
func (l *login) subject(claims jwt.MapClaims) (subject string, e *Error) {
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
