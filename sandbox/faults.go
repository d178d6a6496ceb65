package sandbox

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"coze-token/internal/message"
)

// Bounds of faults: far more than a test needs, and little enough that a slip of the finger does no
// harm.
const (
	maxFaults     = 100
	maxCount      = 1_000_000
	maxDelay      = 10 * time.Minute
	maxRetryAfter = 86400 // seconds
	maxPadding    = 64 << 20
	maxLocation   = 2000
)

// An effect is what a fault does to an answer.
type effect struct {
	name  string
	form  string // how it is written
	usage message.Format
	// value checks what stands after the name and "=", and returns it in one form. given is false if
	// nothing stands there. Nil: nothing may.
	value func(text string, given bool) (string, error)
	// retryAfter says that a Retry-After can go with it.
	retryAfter bool
	// apply changes an answer that has no token any more, unless keepsToken.
	apply      func(a *answer, value string, issue Issue, now time.Time)
	keepsToken bool
}

// latency is the effect that changes no answer.
const latency = "latency"

// effects is every effect, as ParseFault reads it and as help texts list it.
var effects = []effect{
	{name: latency, form: "latency=DURATION", usage: "the answer comes late: 300ms, 2s; at most 10m", value: duration},
	{name: "status", form: "NUMBER", usage: "this HTTP status, 400 to 599, in plain text; takes retry-after",
		value: status("status", 0, 400), retryAfter: true,
		apply: func(a *answer, value string, _ Issue, _ time.Time) {
			a.replace(number(value), "text/plain; charset=utf-8", http.StatusText(number(value))+"\n")
		}},
	{name: "internal-error", form: "internal-error[=STATUS]",
		usage: "Coze's own error, with status 500 or this one; takes retry-after",
		value: status("internal-error", 500, 200), retryAfter: true,
		apply: func(a *answer, value string, _ Issue, _ time.Time) {
			a.status = number(value)
			a.members = (&refusal{0, "internal_error", "Service internal error."}).members()
		}},
	{name: "unknown-key", form: "unknown-key", usage: "401, as for a key that was created seconds ago",
		apply: func(a *answer, _ string, _ Issue, _ time.Time) {
			a.status, a.members = unregistered.status, unregistered.members()
		}},
	{name: "reset", form: "reset", usage: "the connection is reset",
		apply: func(a *answer, _ string, _ Issue, _ time.Time) { a.status, a.reset = 0, true }},
	{name: "break-off", form: "break-off", usage: "the connection ends in the middle of the body",
		apply: func(a *answer, _ string, _ Issue, _ time.Time) { a.abort = true }},
	{name: "truncated", form: "truncated", usage: "half of the JSON, as if it were all",
		apply: func(a *answer, _ string, _ Issue, _ time.Time) { a.cut = true }},
	{name: "html", form: "html[=STATUS]", usage: "a web page, with status 200 or this one",
		value: status("html", 200, 200),
		apply: func(a *answer, value string, _ Issue, _ time.Time) {
			a.replace(number(value), "text/html; charset=utf-8",
				"<!DOCTYPE html>\n<html><head><title>Gateway</title></head><body><h1>Not Coze</h1></body></html>\n")
		}},
	{name: "empty", form: "empty[=STATUS]", usage: "no body, with status 200 or this one",
		value: status("empty", 200, 200),
		apply: func(a *answer, value string, _ Issue, _ time.Time) { a.replace(number(value), "", "") }},
	{name: "no-token", form: "no-token", usage: "an answer without access_token",
		apply: func(a *answer, _ string, _ Issue, _ time.Time) { a.members = a.members.without("access_token") }},
	{name: "expires-in", form: "expires-in=FORM",
		usage: "an absurd expires_in: relative, far, past, text, fraction, missing", value: form,
		keepsToken: true,
		apply: func(a *answer, value string, issue Issue, now time.Time) {
			if a.members.has("expires_in") {
				a.members = a.members.without("expires_in")
				if v := forms[value](issue, now); v != nil {
					a.members = append(a.members, member{"expires_in", v})
				}
			}
		}},
	{name: "oversized", form: "oversized[=BYTES]", usage: "a body of more than 2 MiB, or this many bytes", value: padding,
		keepsToken: true,
		apply: func(a *answer, value string, _ Issue, _ time.Time) {
			a.members = append(a.members, member{"padding", strings.Repeat("x", number(value))})
		}},
	{name: "redirect", form: "redirect[=URL]", usage: "307 to a host that does not exist, or to this URL", value: location,
		apply: func(a *answer, value string, _ Issue, _ time.Time) {
			a.replace(http.StatusTemporaryRedirect, "", "")
			a.header.Set("Location", value)
		}},
}

// forms are the ways to make expires_in absurd.
var forms = map[string]func(Issue, time.Time) any{
	"relative": func(i Issue, _ time.Time) any { return int64(i.Duration / time.Second) }, // as in RFC 6749
	"far":      func(_ Issue, now time.Time) any { return now.AddDate(100, 0, 0).Unix() },
	"past":     func(_ Issue, now time.Time) any { return now.Add(-time.Hour).Unix() },
	"text":     func(i Issue, _ time.Time) any { return strconv.FormatInt(i.Expiry.Unix(), 10) },
	"fraction": func(i Issue, _ time.Time) any { return float64(i.Expiry.Unix()) + 0.5 },
	"missing":  func(Issue, time.Time) any { return nil },
}

func duration(text string, given bool) (string, error) {
	d, err := time.ParseDuration(text)
	switch {
	case !given || err == nil && (d <= 0 || d > maxDelay):
		return "", message.New("latency is above 0 and at most %v, for instance latency=2s", maxDelay)
	case err != nil:
		return "", message.New("latency takes a duration such as 300ms or 2s, not %q", clip(text))
	}
	return d.String(), nil
}

// status makes a check of an HTTP status from least to 599.
func status(name string, usual, least int) func(string, bool) (string, error) {
	return func(text string, given bool) (string, error) {
		n, err := strconv.Atoi(text)
		switch {
		case !given:
			n = usual
		case err != nil || n == 0:
			return "", message.New("%s takes an HTTP status, not %q", name, clip(text))
		case n < least || n > 599:
			return "", message.New("the status is from %d to 599, not %d", least, n)
		}
		return strconv.Itoa(n), nil
	}
}

func form(text string, _ bool) (string, error) {
	if forms[text] == nil {
		return "", message.New("expires-in takes one of [relative far past text fraction missing], not %q", clip(text))
	}
	return text, nil
}

func padding(text string, given bool) (string, error) {
	n, err := strconv.Atoi(text)
	switch {
	case !given:
		n = 2 << 20 // twice what package coze reads
	case err != nil || n == 0:
		return "", message.New("oversized takes a number of bytes, not %q", clip(text))
	case n < 1 || n > maxPadding:
		return "", message.New("oversized takes from 1 to %d bytes", maxPadding)
	}
	return strconv.Itoa(n), nil
}

func location(text string, given bool) (string, error) {
	if !given {
		return "https://redirected.invalid/", nil
	}
	odd := func(r rune) bool { return r <= ' ' || r > '~' || r == ',' }
	if _, err := url.Parse(text); err != nil || text == "" || len(text) > maxLocation || strings.ContainsFunc(text, odd) {
		return "", message.New("redirect takes a URL without spaces or commas")
	}
	return text, nil
}

// number is a value that was checked.
func number(value string) int {
	n, _ := strconv.Atoi(value)
	return n
}

// FaultUsage explains the text form of faults, one on each line, for help texts.
func FaultUsage() string { return FaultUsageIn(nil) }

// FaultUsageIn is [FaultUsage] in a catalogue's language.
func FaultUsageIn(texts message.Catalogue) string {
	var b strings.Builder
	for _, e := range effects {
		fmt.Fprintf(&b, "%-24s %s\n", e.form, e.usage.In(texts))
	}
	options := message.Format("each may be followed by  ,retry-after=SECONDS  ,every=N (each n-th exchange)  " +
		",times=N (only n times)")
	return b.String() + options.In(texts) + "\n"
}

// A Fault makes exchanges fail. [ParseFault] makes it. Equal faults are equal values.
type Fault struct {
	effect     int // its place in effects, from 1
	value      string
	retryAfter int // seconds; 0: none
	every      int // each n-th exchange fails; 0: each
	times      int // after so many failures it is over; 0: never
}

// ParseFault reads a fault from text such as "429,retry-after=3,every=2": a line of [FaultUsage].
// An error says what there is instead.
func ParseFault(text string) (Fault, error) {
	f, err := parseFault(text)
	if err != nil {
		return Fault{}, message.New("fault %s: %s", strconv.Quote(clip(text)), err)
	}
	return f, nil
}

func parseFault(text string) (f Fault, err error) {
	head, options, more := strings.Cut(text, ",")
	name, value, given := strings.Cut(strings.TrimSpace(head), "=")
	if _, err := strconv.ParseUint(name, 10, 31); err == nil && !given {
		name, value, given = "status", name, true
	} else if name == "status" {
		name = "" // it is written as the number alone
	}
	at := slices.IndexFunc(effects, func(e effect) bool { return e.name == name })
	if at < 0 {
		var names []string
		for _, e := range effects {
			if e.name != "status" {
				names = append(names, e.name)
			}
		}
		return f, message.New("there is none of that name; there are a status such as 429, %s", strings.Join(names, ", "))
	}
	e := effects[at]
	f.effect = at + 1
	switch {
	case e.value != nil:
		if f.value, err = e.value(value, given); err != nil {
			return f, err
		}
	case given:
		return f, message.New("%s takes no value", name)
	}
	counts := map[string]*int{"every": &f.every, "times": &f.times, "retry-after": &f.retryAfter}
	for more {
		var option string
		option, options, more = strings.Cut(options, ",")
		name, value, _ := strings.Cut(strings.TrimSpace(option), "=")
		count := counts[name]
		n, err := strconv.ParseUint(value, 10, 31)
		switch {
		case count == nil:
			return f, message.New("there is no option %q; there are every=N, times=N and retry-after=SECONDS", clip(name))
		case *count != 0:
			return f, message.New("%s is given twice", name)
		case err != nil || n == 0:
			return f, message.New("%s takes a whole number from 1, not %q", name, clip(value))
		case name == "retry-after" && n > maxRetryAfter:
			return f, message.New("retry-after is in whole seconds, at most %d", maxRetryAfter)
		case n > maxCount:
			return f, message.New("every and times are at most %d", maxCount)
		case name == "retry-after" && !e.retryAfter:
			return f, message.New("retry-after goes with a status or internal-error, not with %s", e.name)
		}
		*count = int(n)
	}
	if f.every == 1 {
		f.every = 0
	}
	return f, nil
}

// ParseFaults reads a fault from each line. Empty lines and those that begin with # are skipped.
func ParseFaults(text string) ([]Fault, error) {
	var faults []Fault
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f, err := ParseFault(line)
		if err != nil {
			return nil, err
		}
		faults = append(faults, f)
	}
	return faults, nil
}

// String is the text that ParseFault reads. The zero Fault is empty.
func (f Fault) String() string {
	if f.effect == 0 {
		return ""
	}
	text := effects[f.effect-1].name
	switch {
	case text == "status":
		text = f.value
	case f.value != "":
		text += "=" + f.value
	}
	for _, option := range []struct {
		name string
		n    int
	}{{"retry-after", f.retryAfter}, {"every", f.every}, {"times", f.times}} {
		if option.n != 0 {
			text += fmt.Sprintf(",%s=%d", option.name, option.n)
		}
	}
	return text
}

// apply changes an answer. A refusal has no token or expiry that could be changed.
func (f *Fault) apply(a *answer, issue Issue, now time.Time) {
	e := effects[f.effect-1]
	if !e.keepsToken {
		a.token = ""
	}
	e.apply(a, f.value, issue, now)
	if f.retryAfter > 0 {
		a.header.Set("Retry-After", strconv.Itoa(f.retryAfter))
	}
}

// SetFaults replaces all faults, and starts their counts anew. None clears them. An error changes
// nothing.
func (s *Sandbox) SetFaults(faults ...Fault) error {
	if len(faults) > maxFaults {
		return message.New("%d faults are more than the %d that can be set", len(faults), maxFaults)
	}
	set := make([]*activeFault, len(faults))
	for i, f := range faults {
		if f.effect == 0 {
			return message.New("fault %d of %d is empty", i+1, len(faults))
		}
		set[i] = &activeFault{Fault: f}
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
	faults := make([]Fault, len(s.faults))
	for i, f := range s.faults {
		faults[i] = f.Fault
	}
	return faults
}

// An activeFault counts.
type activeFault struct {
	Fault
	seen  int // exchanges since it was set
	fired int
}

// due counts an exchange and returns what is to happen to it: all latencies that are due, and the
// first other fault.
func (s *Sandbox) due() (delay time.Duration, first *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		f.seen++
		isLatency := effects[f.effect-1].name == latency
		switch {
		case f.seen%max(1, f.every) != 0 || f.times != 0 && f.fired >= f.times:
		case isLatency:
			f.fired++
			d, _ := time.ParseDuration(f.value)
			delay += d
		case first == nil:
			f.fired++
			first = &f.Fault
		}
	}
	return min(delay, maxDelay), first
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

func (m members) has(name string) bool {
	return slices.ContainsFunc(m, func(member member) bool { return member.name == name })
}
