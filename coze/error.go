package coze

import (
	"fmt"
	"strings"
	"time"
)

// A Kind sorts failures by what can be done about them.
type Kind string

// The kinds of failure.
const (
	// Rejected: Coze understood and refused. Someone has to change something first.
	Rejected Kind = "rejected"
	// Unavailable: Coze could not be reached, had a fault of its own, or answered with something that is no token.
	Unavailable Kind = "unavailable"
	// Busy: Coze asks for fewer requests (429).
	Busy Kind = "busy"
	// Timeout: the caller's context ended first.
	Timeout Kind = "timeout"
	// InvalidRequest: no assertion could be made, so Coze was not asked.
	InvalidRequest Kind = "invalid_request"
)

// An Error is why there is no token.
type Error struct {
	Kind Kind
	// Status is the HTTP status of Coze's answer, 0 if there was none.
	Status int
	// Code is Coze's own word or number, such as "invalid_client" or "4100". Empty if the answer had none.
	Code string
	// Message is Coze's own text, or, where Coze sent none, what was wrong with its answer.
	Message string
	// LogID is what Coze's support asks for (X-Tt-Logid). Empty if there was none.
	LogID string
	// RetryAfter is how long Coze asked to be left alone. Zero if it did not say.
	RetryAfter time.Duration
	// Attempts is how many assertions were sent.
	Attempts int
	// Err is the cause on this side of the wire, if there is one.
	Err error
}

// Error holds everything that helps to find the cause, and nothing that is secret: of Coze's answer only the code,
// the message and the log id.
func (e *Error) Error() string {
	var b strings.Builder
	switch e.Kind {
	case Rejected:
		b.WriteString("coze refused")
	case Busy:
		b.WriteString("coze is busy")
	case Timeout:
		b.WriteString("no answer from coze in time")
	case InvalidRequest:
		b.WriteString("the assertion could not be signed")
	default:
		b.WriteString("no token from coze")
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, " (status %d)", e.Status)
	}
	if e.Code != "" {
		fmt.Fprintf(&b, ": %s", e.Code)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %s", e.Message)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if e.LogID != "" {
		fmt.Fprintf(&b, " (logid %s)", e.LogID)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Temporary says whether the same grant may succeed when asked for again, with a new assertion: after network errors,
// 429, 5xx and internal_error. A refusal is never temporary, not even the invalid_client that Coze gives for a key
// that was created seconds ago: asking at once would not help, and a wrong key would hammer Coze.
func (e *Error) Temporary() bool {
	switch e.Kind {
	case Busy:
		return true
	case Unavailable:
		return e.Status == 0 || e.Status >= 500 || e.Code == codeInternal
	default:
		return false
	}
}

// ClockDoubt reports whether the expiry in Coze's answer cannot be right, so that this machine's
// clock may be wrong.
func (e *Error) ClockDoubt() bool { return strings.HasSuffix(e.Message, clockDoubt) }

// unknownKey says whether Coze does not know the key that signed, so that the app's next key is worth trying.
func (e *Error) unknownKey() bool {
	return e.Kind == Rejected && strings.Contains(e.Message, "kid not been")
}

const codeInternal = "internal_error"
