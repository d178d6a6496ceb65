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
	// Rejected: Coze understood and refused. Somebody has to change something first.
	Rejected Kind = "rejected"
	// Unavailable: Coze could not be reached, had a fault of its own, or sent no usable token.
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
	// Code is Coze's own word or number, such as "invalid_client" or "4100". It may be empty.
	Code string
	// Message is Coze's own text. If Coze sent none, it is what was wrong with the answer.
	Message string
	// LogID is what Coze's support asks for (X-Tt-Logid). It may be empty.
	LogID string
	// RetryAfter is how long Coze asked for no more requests. Zero if it did not say.
	RetryAfter time.Duration
	// WrongClock reports that the answer has a token whose expiry is in the past or over a day
	// ahead: this machine's clock is wrong, or the one at the endpoint.
	WrongClock bool
	// Attempts is how many assertions were sent.
	Attempts int
	// Err is the cause on this side of the network, or nil.
	Err error
}

// Error has everything that helps to find the cause and nothing secret: of Coze's answer only the
// code, the message and the log id.
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
	add := func(known bool, format string, value any) {
		if known {
			fmt.Fprintf(&b, format, value)
		}
	}
	add(e.Status != 0, " (status %d)", e.Status)
	add(e.Code != "", ": %s", e.Code)
	add(e.Message != "", ": %s", e.Message)
	add(e.Err != nil, ": %v", e.Err)
	add(e.LogID != "", " (logid %s)", e.LogID)
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Temporary reports whether the same request may succeed soon, with a new assertion: after network
// errors, 429, 5xx and internal_error. A refusal is never temporary, not even the invalid_client
// for a key that was created seconds ago: Coze takes half a minute to know it, and a key that is
// simply wrong would burden Coze.
func (e *Error) Temporary() bool {
	switch e.Kind {
	case Busy:
		return true
	case Unavailable:
		return e.Status == 0 || e.Status >= 500 || e.Code == codeInternal
	}
	return false
}

// unknownKey reports whether Coze does not know the key that signed. Then the app's next key may
// do.
func (e *Error) unknownKey() bool {
	return e.Kind == Rejected && strings.Contains(e.Message, "kid not been")
}

const codeInternal = "internal_error"
