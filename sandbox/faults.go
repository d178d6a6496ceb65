package sandbox

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An Effect is what a fault does to an answer.
type Effect string

// The effects. The comments name the field of Fault that goes with each.
const (
	// Latency makes the answer late by Delay.
	Latency Effect = "latency"
	// Status answers with Status (400 to 599), in plain text, as a gateway does; with RetryAfter if it
	// is set.
	Status Effect = "status"
	// InternalError is Coze's own: "Service internal error.", with Status (500 by default) and
	// RetryAfter if it is set.
	InternalError Effect = "internal-error"
	// UnknownKey is what Coze answers to a key that was created seconds ago: 401, "kid not been
	// registred".
	UnknownKey Effect = "unknown-key"
	// Reset resets the connection instead of answering.
	Reset Effect = "reset"
	// BreakOff ends the connection in the middle of the body.
	BreakOff Effect = "break-off"
	// Truncated sends the first half of the JSON as if it were all.
	Truncated Effect = "truncated"
	// HTML sends a web page, with Status (200 by default), as a proxy or firewall does.
	HTML Effect = "html"
	// Empty sends no body, with Status (200 by default).
	Empty Effect = "empty"
	// NoToken leaves access_token out.
	NoToken Effect = "no-token"
	// ExpiresIn makes expires_in absurd, as Form says.
	ExpiresIn Effect = "expires-in"
	// Oversized pads the JSON by Bytes (2 MiB by default).
	Oversized Effect = "oversized"
	// Redirect answers 307 with Location (a host that cannot exist, by default). A client that follows
	// it takes the assertion along.
	Redirect Effect = "redirect"
)

// A Form is how expires_in is made absurd.
type Form string

// The forms of expires_in.
const (
	Relative Form = "relative" // the seconds until the expiry, as in RFC 6749
	Far      Form = "far"      // a hundred years ahead
	Past     Form = "past"     // an hour ago
	Text     Form = "text"     // the right number, in quotes
	Fraction Form = "fraction" // the right number and a half
	Missing  Form = "missing"  // not there
)

var forms = []Form{Relative, Far, Past, Text, Fraction, Missing}

// A Fault makes exchanges fail. [ParseFault] reads it from text.
type Fault struct {
	Effect Effect
	// The next five belong to some effects each, and are refused with others.
	Delay      time.Duration // up to ten minutes
	Status     int
	RetryAfter time.Duration // whole seconds, up to a day; zero sends no Retry-After
	Form       Form
	Bytes      int // up to 64 MiB
	Location   string
	// Every makes each n-th exchange fail, counted from when the fault was set. 0 and 1 mean each.
	Every int
	// Times is after how many failures the fault is over. 0 means never.
	Times int
}

// Bounds of faults: far more than a test needs, and little enough that a slip of the finger does no
// harm.
const (
	maxFaults     = 100
	maxCount      = 1_000_000
	maxDelay      = 10 * time.Minute
	maxRetryAfter = 24 * time.Hour
	maxPadding    = 64 << 20
	maxLocation   = 2000
	padding       = 2 << 20 // twice what the coze package reads
	nowhere       = "https://redirected.invalid/"
)

// SetFaults replaces all faults, and starts their counts anew. None clears them. An error changes
// nothing.
func (s *Sandbox) SetFaults(faults ...Fault) error {
	if len(faults) > maxFaults {
		return fmt.Errorf("%d faults are more than the %d that can be set", len(faults), maxFaults)
	}
	set := make([]*fault, 0, len(faults))
	for _, f := range faults {
		f, err := f.normal()
		if err != nil {
			return err
		}
		set = append(set, &fault{Fault: f})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = set
	return nil
}

// Fail is SetFaults with the faults as text: sb.Fail("503,times=2", "latency=1s").
func (s *Sandbox) Fail(faults ...string) error {
	parsed, err := ParseFaults(strings.Join(faults, "\n"))
	if err != nil {
		return err
	}
	return s.SetFaults(parsed...)
}

// Faults are the faults that were set, those that are over included.
func (s *Sandbox) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	faults := make([]Fault, 0, len(s.faults))
	for _, f := range s.faults {
		faults = append(faults, f.Fault)
	}
	return faults
}

// A fault is one that is in force.
type fault struct {
	Fault
	seen  int // exchanges since it was set
	fired int
}

func (f *fault) due() bool {
	return f.seen%max(1, f.Every) == 0 && (f.Times == 0 || f.fired < f.Times)
}

// due counts an exchange and returns what is to happen to it: all latencies that are due, and the
// first other fault.
func (s *Sandbox) due() (delay time.Duration, first *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		f.seen++
		switch {
		case !f.due():
		case f.Effect == Latency:
			f.fired++
			delay += f.Delay
		case first == nil:
			f.fired++
			first = &f.Fault
		}
	}
	return min(delay, maxDelay), first
}

// apply changes an answer. Where the answer is a refusal, it has no token or expiry that could be
// changed.
func (f *Fault) apply(a *answer, issue Issue, now time.Time) {
	token := a.token
	a.token = ""
	switch f.Effect {
	case Status:
		a.replace(f.Status, "text/plain; charset=utf-8", http.StatusText(f.Status)+"\n")
	case InternalError:
		a.status, a.members = f.Status, (&refusal{0, "internal_error", "Service internal error."}).members()
	case UnknownKey:
		a.status, a.members = unregistered.status, unregistered.members()
	case Reset:
		a.status, a.reset = 0, true
	case BreakOff:
		a.abort = true
	case Truncated:
		a.cut = true
	case HTML:
		a.replace(f.Status, "text/html; charset=utf-8",
			"<!DOCTYPE html>\n<html><head><title>Gateway</title></head><body><h1>Not Coze</h1></body></html>\n")
	case Empty:
		a.replace(f.Status, "", "")
	case NoToken:
		a.members = a.members.without("access_token")
	case ExpiresIn:
		a.token = token
		a.members = a.members.withExpiry(f.Form, issue, now)
	case Oversized:
		a.token = token
		a.members = append(a.members, member{"padding", strings.Repeat("x", f.Bytes)})
	case Redirect:
		a.replace(http.StatusTemporaryRedirect, "", "")
		a.header.Set("Location", f.Location)
	}
	if f.RetryAfter > 0 {
		a.header.Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
	}
}

// replace puts another body in the place of the JSON.
func (a *answer) replace(status int, contentType, body string) {
	a.status, a.members, a.body = status, nil, []byte(body)
	a.header.Del("Content-Type")
	if contentType != "" {
		a.header.Set("Content-Type", contentType)
	}
}

func (m members) without(name string) members {
	var rest members
	for _, member := range m {
		if member.name != name {
			rest = append(rest, member)
		}
	}
	return rest
}

func (m members) withExpiry(form Form, issue Issue, now time.Time) members {
	var changed members
	for _, member := range m {
		if member.name == "expires_in" {
			switch form {
			case Relative:
				member.value = int64(issue.Duration / time.Second)
			case Far:
				member.value = now.AddDate(100, 0, 0).Unix()
			case Past:
				member.value = now.Add(-time.Hour).Unix()
			case Text:
				member.value = strconv.FormatInt(issue.Expiry.Unix(), 10)
			case Fraction:
				member.value = float64(issue.Expiry.Unix()) + 0.5
			case Missing:
				continue
			}
		}
		changed = append(changed, member)
	}
	return changed
}
