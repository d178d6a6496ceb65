package gate

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"coze-token/coze"
	"coze-token/internal/message"
)

// SessionHeader names the caller's end user. The token is limited to this user's session. It is in
// Go's canonical form.
const SessionHeader = "X-User-Id"

// Sessions are the rules that make a session's name, which Coze sees, from a user's name. The zero
// value leaves names as they are, as the original did.
type Sessions struct {
	// Required refuses requests without a session.
	Required bool
	// Prefix stands before every name. It keeps systems apart that share an app.
	Prefix string
	// Secret replaces each name by its keyed hash, so that Coze learns no user ids. Optional.
	Secret []byte
}

var errNoSession = errors.New("there is none, and this service gives no token without one")

// name is the session of a user, which is "" if none is named. In the hash, each part has its
// length before it, so that no two lists of parts have the same hash.
func (s Sessions) name(user string) (string, error) {
	switch {
	case user == "" && s.Required:
		return "", errNoSession
	case user == "":
		return "", nil
	case s.Secret == nil && len(s.Prefix)+len(user) > coze.MaxSession:
		return "", message.New("it is %d bytes long, and %d is the most here", len(user), coze.MaxSession-len(s.Prefix))
	case s.Secret == nil:
		return s.Prefix + user, nil
	}
	mac := hmac.New(sha256.New, s.Secret)
	for _, part := range []string{"coze-token session 1", s.Prefix, user} {
		mac.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(part))), part...))
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

// RequestFor is what the gate asks for on behalf of a user, which is "" for callers who name none.
// The error says why the user cannot have a session.
func (a *App) RequestFor(user string) (coze.TokenRequest, error) {
	request := a.Request
	if user == "" {
		user = request.Session
	}
	var err error
	request.Session, err = a.Sessions.name(user)
	request.DeviceID, request.CustomConsumer = a.DeviceID.of(request.Session), a.CustomConsumer.of(request.Session)
	return request, err
}

// readUser reads the session header. A name that is wrong is an error and is never replaced: that
// could put several users into one session.
func readUser(h http.Header) (user string, named bool, err error) {
	values := h[SessionHeader]
	if len(values) == 0 {
		return "", false, nil
	}
	if len(values) > 1 {
		return "", true, message.New("it was sent %d times", len(values))
	}
	return values[0], true, checkName(values[0])
}

// checkName returns what is wrong with a name that stands in a header, or nil.
func checkName(name string) error {
	switch {
	case strings.Contains(name, ", "):
		// Workers' runtime and many proxies join a header that was sent twice with ", " (RFC 9110 section
		// 5.2). Then it cannot be told from one name that holds ", ".
		return message.New("it holds a comma and a space, as when the header is sent twice")
	case strings.ContainsRune(name, utf8.RuneError):
		// That runtime also replaces bytes that are not UTF-8 by U+FFFD, so different names could be one.
		return message.New("it is not UTF-8")
	}
	return coze.CheckSession(name)
}
