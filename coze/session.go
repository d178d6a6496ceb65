package coze

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// MaxSession is the longest session name, in bytes. Coze states no bound; this one is far above any user id and keeps
// the assertion small.
const MaxSession = 256

// CheckSession says what is wrong with a session name, if anything is: it has 1 to MaxSession bytes of UTF-8 without
// control characters. Names are told apart to the byte; none is trimmed, folded or cut, because that would put two
// users into one session.
func CheckSession(session string) error {
	switch {
	case session == "":
		return errors.New("it is empty")
	case len(session) > MaxSession:
		return fmt.Errorf("it is %d bytes long, over the limit of %d", len(session), MaxSession)
	case !utf8.ValidString(session):
		return errors.New("it is not UTF-8")
	}
	for _, r := range session {
		if unicode.IsControl(r) {
			return fmt.Errorf("it has a control character in it (%U)", r)
		}
	}
	return nil
}
