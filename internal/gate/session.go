package gate

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"coze-token/coze"
)

// SessionHeader carries the caller's end user, who becomes the session that the token is limited to.
const SessionHeader = "X-User-Id" // in Go's canonical form; HTTP does not mind the case

// Sessions are the rules by which what a caller calls its user becomes the session that Coze gets to see. The zero value
// passes names on as they are, as the original did.
type Sessions struct {
	// Required refuses requests for no session.
	Required bool
	// Prefix goes before every name. Systems that share an app keep apart by it.
	Prefix string
	// Secret, where it is set, makes names hashes, so that Coze learns nothing of user ids.
	Secret []byte
}

var errNoSession = errors.New("there is none, and this service gives no token without one")

// Name is the session for a user, "" being none. Its parts are hashed with their lengths, so that no two of them can be read as others.
func (s Sessions) Name(user string) (string, error) {
	switch {
	case user == "" && s.Required:
		return "", errNoSession
	case user == "":
		return "", nil
	case s.Secret == nil && len(s.Prefix)+len(user) > coze.MaxSession:
		return "", fmt.Errorf("it is %d bytes long, and %d is the most here", len(user), coze.MaxSession-len(s.Prefix))
	case s.Secret == nil:
		return s.Prefix + user, nil
	}
	mac := hmac.New(sha256.New, s.Secret)
	for _, part := range []string{"coze-token session 1", s.Prefix, user} {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(part)))
		mac.Write(length[:])
		mac.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

// RequestFor is what the source is asked for on behalf of a user, or, where user is empty, of a caller that names none.
func (a *App) RequestFor(user string) (coze.TokenRequest, error) {
	grant := a.Request
	if user == "" {
		user = grant.Session
	}
	var err error
	grant.Session, err = a.Sessions.Name(user)
	return grant, err
}

// sessionOf reads the session header. A name that is present must be a good one: what is wrong with it is an error,
// because a name silently replaced would put several users into one session.
func sessionOf(h http.Header) (session string, named bool, err error) {
	values := h[SessionHeader]
	switch len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, checkSession(values[0])
	default:
		return "", false, fmt.Errorf("it was sent %d times", len(values))
	}
}

// checkSession says what is wrong with a session name that came in a header, if anything is.
func checkSession(session string) error {
	// Workers' runtime, like many a proxy, joins a header that was sent twice into one with ", " between, as RFC 9110
	// section 5.2 lets it. Nothing then tells the two from a name with a comma and a space in it, so neither is taken.
	if strings.Contains(session, ", ") {
		return errors.New("it holds a comma and a space, as when the header is sent twice")
	}
	// That runtime also replaces bytes that are not UTF-8 by U+FFFD, so that different names would become one.
	if strings.ContainsRune(session, utf8.RuneError) {
		return errors.New("it is not UTF-8")
	}
	return coze.CheckSession(session)
}

// sessionHash stands for a session in records, which must not hold user ids.
func sessionHash(session string) string {
	if session == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(session))
	return hex.EncodeToString(sum[:6])
}
