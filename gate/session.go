package gate

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// SessionHeader carries the caller's end user, who becomes the session that the token is limited to.
const SessionHeader = "X-User-Id" // in Go's canonical form; HTTP does not mind the case

// MaxSession is the longest session name, in bytes. Coze states no bound; this one is far above any user id and keeps
// the assertion small.
const MaxSession = 256

// sessionOf reads the session header. A name that is present must be a good one: what is wrong with it is an error,
// because a name silently replaced would put several users into one session.
func sessionOf(h http.Header) (session string, named bool, err error) {
	values := h[SessionHeader]
	switch len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, CheckSession(values[0])
	default:
		return "", false, fmt.Errorf("it was sent %d times", len(values))
	}
}

// CheckSession says what is wrong with a session name, if anything is.
func CheckSession(session string) error {
	switch {
	case session == "":
		return errors.New("it is empty")
	case len(session) > MaxSession:
		return fmt.Errorf("it is %d bytes long, and %d is the most", len(session), MaxSession)
	case !utf8.ValidString(session):
		return errors.New("it is not UTF-8")
	}
	// Workers' runtime, like many a proxy, joins a header that was sent twice into one with ", " between, as RFC 9110
	// section 5.2 lets it. Nothing then tells the two from a name with a comma and a space in it, so neither is taken.
	if strings.Contains(session, ", ") {
		return errors.New(`it was sent twice, or holds a comma and a space`)
	}
	for _, r := range session {
		if unicode.IsControl(r) {
			return fmt.Errorf("it holds a control character (%U)", r)
		}
	}
	return nil
}

// sessionHash stands for a session in records, which must not hold user ids.
func sessionHash(session string) string {
	if session == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(session))
	return hex.EncodeToString(sum[:6])
}
