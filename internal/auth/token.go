package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"coze-token/internal/strictjson"
)

// An unverified token has been taken apart, and nothing in it can be believed yet. It exists to decide which login, and
// which of its keys, is to verify it, and to refuse what no honest provider makes before any library sees it.
type unverified struct {
	raw    string
	alg    string
	kid    string
	issuer string
}

// readToken takes a JWT apart (RFC 7519, section 7.2, in the compact form of RFC 7515).
func readToken(raw string) (unverified, *Error) {
	t := unverified{raw: raw}
	parts := strings.Split(raw, ".")
	if len(raw) > maxCredential {
		return t, unauthenticated(TooLarge, "the token is too large", "send a token of at most 8 KiB")
	}
	if len(parts) != 3 || slices.Contains(parts, "") {
		return t, badToken()
	}
	header, err := object(parts[0])
	if err != nil {
		return t, badToken()
	}
	// The header must not say how the token is to be verified (RFC 8725, sections 3.5 and 3.10): where the key is, or
	// which it is. Extensions that must be understood (RFC 7515, section 4.1.11) are not, and neither are encrypted,
	// compressed or detached contents.
	for _, name := range []string{"jku", "x5u", "jwk", "crit", "b64", "enc", "zip", "cty"} {
		if _, ok := header[name]; ok {
			return t, unauthenticated(ForbiddenHeader, "the token's header has "+name+" in it, which is refused", "send the provider's own token")
		}
	}
	if typ, ok := header["typ"]; ok && !isTokenType(typ) {
		return t, unauthenticated(BadToken, "the token is of another type than ID and access tokens", "send an ID token or an access token")
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
		return t, unauthenticated(UnknownIssuer, "the token does not say who issued it", "send the token of a login that this service takes")
	}
	// A security event (RFC 8417), such as a logout token, is a JWT of the same issuer for the same audience, and says
	// that a user is no longer logged in (RFC 8725, section 3.12).
	if _, ok := claims["events"]; ok {
		return t, unauthenticated(BadToken, "the token is of another type than ID and access tokens", "send an ID token or an access token")
	}
	return t, nil
}

func badToken() *Error {
	return unauthenticated(BadToken, "the credential is neither a known API key nor a JWT", "send the API key, or the token that the login gave, whole and unchanged")
}

// isTokenType says whether typ is that of an ID token, or of an access token (RFC 9068, section 2.1).
func isTokenType(typ any) bool {
	text, ok := typ.(string)
	text = strings.TrimPrefix(strings.ToLower(text), "application/")
	return ok && (text == "jwt" || text == "at+jwt")
}

// object decodes one part of a JWT. Two members of one name are refused, as RFC 7519, section 4, allows: parsers differ
// in which of the two they heed. So are bytes that are not UTF-8, which Go's parser would replace, and make two users' names
// one.
func object(part string) (map[string]any, error) {
	// Go's decoder skips line ends, in the strict mode too.
	if strings.ContainsAny(part, "\r\n") {
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

var errNotJSON = errors.New("not a JSON object in base64url")
