package coze

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"coze-token/internal/message"
)

// MaxSession is the longest session name, in bytes. Coze states no bound. This one is far above any
// user id and keeps the assertion small.
const MaxSession = 256

// CheckSession returns what is wrong with a session name, or nil. A name has 1 to MaxSession bytes
// of UTF-8 without control characters. Names are compared byte by byte. None may be trimmed, folded
// or cut: that would put two users into one session.
func CheckSession(session string) error {
	switch i := strings.IndexFunc(session, unicode.IsControl); {
	case session == "":
		return message.New("it is empty")
	case len(session) > MaxSession:
		return message.New("it is %d bytes long, over the limit of %d", len(session), MaxSession)
	case !utf8.ValidString(session):
		return message.New("it is not UTF-8")
	case i >= 0:
		r, _ := utf8.DecodeRuneInString(session[i:])
		return message.New("it has a control character in it (%U)", r)
	}
	return nil
}
