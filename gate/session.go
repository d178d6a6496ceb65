package gate

import (
	"crypto/sha256"
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

// RequestHeaders are all the headers that a gate reads, for hosts that carry no others.
var RequestHeaders = []string{SessionHeader}

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
