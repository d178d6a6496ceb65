package auth

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"coze-token/coze"
)

// leeway is how far the provider's clock may be from ours (RFC 7519, sections 4.1.4 to 4.1.6).
const leeway = time.Minute

// verify says whether the token is one of this login's, and gives what it claims. The library checks signature,
// algorithm, issuer, audience and times; which key it gets is decided here.
func (l *Login) verify(ctx context.Context, t unverified) (jwt.MapClaims, *Error) {
	if !slices.Contains(l.algs, t.alg) {
		return nil, unauthenticated(BadAlgorithm, "the token is signed with an algorithm that is not taken", "have the provider sign with "+strings.Join(l.algs, " or "))
	}
	k, e := l.keys.find(ctx, t.kid, t.alg)
	if e != nil {
		return nil, e
	}
	claims, err := l.parse(t, k)
	if errors.Is(err, jwt.ErrTokenSignatureInvalid) && t.kid == "" {
		// A provider that does not name its keys has perhaps a new one.
		if newer, ok := l.keys.newer(ctx, k, t.alg); ok {
			claims, err = l.parse(t, newer)
		}
	}
	if err != nil {
		return nil, tokenError(err)
	}
	// Beyond this a float is no time any more, and what it becomes depends on the processor.
	for _, name := range []string{"exp", "nbf", "iat"} {
		if v, ok := claims[name]; ok && !isTime(v) {
			return nil, unauthenticated(BadClaims, "the token's "+name+" is not a time", "send the token that the login gave")
		}
	}
	return claims, nil
}

func (l *Login) parse(t unverified, k *signingKey) (jwt.MapClaims, error) {
	claims := jwt.MapClaims{}
	_, err := l.parser.ParseWithClaims(t.raw, claims, func(parsed *jwt.Token) (any, error) {
		if parsed.Method.Alg() != k.alg {
			return nil, jwt.ErrTokenUnverifiable // a key is bound to one algorithm (RFC 8725, section 3.1)
		}
		return k.public, nil
	})
	return claims, err
}

func isTime(v any) bool {
	number, ok := v.(json.Number)
	if !ok {
		return false
	}
	seconds, err := number.Float64()
	return err == nil && seconds > 0 && seconds < 1<<38 // some 8,700 years
}

// tokenError sorts the library's errors. What it does not know is a bad token.
func tokenError(err error) *Error {
	const again = "log in again, and send the new token"
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		return unauthenticated(BadSignature, "the token's signature is wrong", "send the token that the login gave, whole and unchanged")
	case errors.Is(err, jwt.ErrTokenMalformed):
		return badToken()
	case errors.Is(err, jwt.ErrTokenExpired):
		return unauthenticated(TokenExpired, "the token has expired", again)
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return unauthenticated(TokenNotYetValid, "the token is not valid yet", "check the clocks of the provider and of this service")
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return unauthenticated(WrongAudience, "the token is meant for another service", "have it issued for this service's audience")
	default:
		return unauthenticated(BadClaims, "the token lacks iss, aud or exp, or one of its claims is wrong", again)
	}
}

// session is the session that verified claims stand for, and the claim itself. The token is good where this fails, and
// logging in again would not mend it, so that is a 403: Coze's Chat SDK answers a 401 by asking again at once.
func (l *Login) session(claims jwt.MapClaims, prefix string) (session, subject string, e *Error) {
	switch v := claims[l.claim].(type) {
	case string:
		subject = v
	case json.Number: // a user's number in a database, as some providers put it; digits alone have but one form
		if strings.Trim(string(v), "0123456789") == "" {
			subject = string(v)
		}
	}
	if subject == "" {
		return "", "", forbidden(NoSessionClaim, "the token does not say who the user is: it has no claim "+l.claim+" that is a text or a whole number", "have the provider add the claim, or set JWT_SESSION_CLAIM to another")
	}
	// Go's parser puts U+FFFD where a \u escape is half a character, which would make different names one.
	if coze.CheckSession(prefix+subject) != nil || strings.ContainsRune(subject, utf8.RuneError) {
		return "", "", forbidden(NoSessionClaim, "the token's claim "+l.claim+" cannot be a session name", "use a claim of at most 256 bytes without control characters (JWT_SESSION_CLAIM)")
	}
	// At some providers anybody can have any address in their profile, until they are asked to prove it.
	if verified, ok := claims["email_verified"]; l.claim == "email" && ok && verified != true && verified != "true" {
		return "", "", forbidden(UnverifiedEmail, "the user's e-mail address has not been verified", "have the user verify it with the login's provider")
	}
	return prefix + subject, subject, nil
}

// take is the whole of a login: from a token to a caller. logins are those that could have issued it.
func take(ctx context.Context, raw string, logins []prefixed, reserved string) (Caller, *Error) {
	t, e := readToken(raw)
	if e != nil {
		return Caller{}, e
	}
	at := slices.IndexFunc(logins, func(l prefixed) bool { return l.issuer == t.issuer })
	if at < 0 {
		return Caller{}, unauthenticated(UnknownIssuer, "the token is of an issuer that this service does not take", "send the token of a login that it takes")
	}
	l := logins[at]
	claims, e := l.verify(ctx, t)
	if e != nil {
		return Caller{}, e
	}
	session, subject, e := l.session(claims, l.prefix)
	if e != nil {
		return Caller{}, e
	}
	if reserved != "" && strings.HasPrefix(session, reserved) {
		return Caller{}, forbidden(ReservedSession, "the user's name begins as those of anonymous visitors do", "whoever runs the service can give the login a name, which then stands before it")
	}
	return Caller{Mode: ModeLogin, Name: l.Name(), Session: session, Subject: subject}, nil
}

// providerDown is the answer where keys are missing. Whether the token is good is not known, so it is not a 401, on
// which a page would throw the token away.
func providerDown(cause error) *Error {
	return unavailable(ProviderDown, "the login's keys cannot be had at the moment", "try again; if it goes on, the service's log says why", cause)
}
