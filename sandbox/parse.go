package sandbox

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// effects is the one list of what ParseFault reads: it feeds errors and help texts.
var effects = []struct {
	effect Effect
	form   string
	usage  string
}{
	{Latency, "latency=DURATION", "the answer comes late: 300ms, 2s; at most 10m"},
	{Status, "NUMBER", "this HTTP status, 400 to 599, in plain text; takes retry-after"},
	{InternalError, "internal-error[=STATUS]", "Coze's own error, with status 500 or this one; takes retry-after"},
	{UnknownKey, "unknown-key", "401, as for a key that was created seconds ago"},
	{Reset, "reset", "the connection is reset"},
	{BreakOff, "break-off", "the connection ends in the middle of the body"},
	{Truncated, "truncated", "half of the JSON, as if it were all"},
	{HTML, "html[=STATUS]", "a web page, with status 200 or this one"},
	{Empty, "empty[=STATUS]", "no body, with status 200 or this one"},
	{NoToken, "no-token", "an answer without access_token"},
	{ExpiresIn, "expires-in=FORM", "an absurd expires_in: relative, far, past, text, fraction, missing"},
	{Oversized, "oversized[=BYTES]", "a body of more than 2 MiB, or this many bytes"},
	{Redirect, "redirect[=URL]", "307 to a host that does not exist, or to this URL"},
}

// FaultUsage explains the text form of faults, one on each line, for help texts.
func FaultUsage() string {
	var b strings.Builder
	for _, e := range effects {
		fmt.Fprintf(&b, "%-24s %s\n", e.form, e.usage)
	}
	b.WriteString("each may be followed by  ,retry-after=SECONDS  ,every=N (each n-th exchange)  ,times=N (only n times)\n")
	return b.String()
}

// Effects names the effects as [ParseFault] reads them. Status is not among them: its name is the
// number.
func Effects() []string {
	var names []string
	for _, e := range effects {
		if e.effect != Status {
			names = append(names, string(e.effect))
		}
	}
	return names
}

// ParseFault reads a fault from text such as "429,retry-after=3,every=2". An error says what there
// is instead.
func ParseFault(text string) (Fault, error) {
	f, err := parseFault(text)
	if err == nil {
		f, err = f.normal()
	}
	if err != nil {
		return Fault{}, fmt.Errorf("fault %s: %w", strconv.Quote(clip(text)), err)
	}
	return f, nil
}

// ParseFaults reads a fault from each line. Empty lines and those that begin with # mean nothing.
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

func parseFault(text string) (f Fault, err error) {
	effect, options, more := strings.Cut(text, ",")
	if err := f.parseEffect(strings.TrimSpace(effect)); err != nil {
		return f, err
	}
	given := map[string]bool{}
	for more {
		var option string
		option, options, more = strings.Cut(options, ",")
		name, value, _ := strings.Cut(strings.TrimSpace(option), "=")
		if given[name] {
			return f, fmt.Errorf("%s is given twice", name)
		}
		given[name] = true
		n, err := strconv.ParseUint(value, 10, 31)
		switch {
		case name != "every" && name != "times" && name != "retry-after":
			return f, fmt.Errorf("there is no option %q; there are every=N, times=N and retry-after=SECONDS", clip(name))
		case err != nil || n == 0:
			return f, fmt.Errorf("%s takes a whole number from 1, not %q", name, clip(value))
		case name == "every":
			f.Every = int(n)
		case name == "times":
			f.Times = int(n)
		default:
			f.RetryAfter = time.Duration(n) * time.Second
		}
	}
	return f, nil
}

func (f *Fault) parseEffect(text string) error {
	if status, err := strconv.ParseUint(text, 10, 31); err == nil {
		f.Effect, f.Status = Status, int(status)
		return nil
	}
	name, value, valued := strings.Cut(text, "=")
	f.Effect = Effect(name)
	if !slices.Contains(Effects(), name) {
		return fmt.Errorf("there is none of that name; there are a status such as 429, %s", strings.Join(Effects(), ", "))
	}
	if !valued {
		return nil // whether it can do without, normal says
	}
	var err error
	switch f.Effect {
	case Latency:
		if f.Delay, err = time.ParseDuration(value); err != nil {
			return fmt.Errorf("latency takes a duration such as 300ms or 2s, not %q", clip(value))
		}
	case InternalError, HTML, Empty:
		if f.Status, err = strconv.Atoi(value); err != nil || f.Status == 0 {
			return fmt.Errorf("%s takes an HTTP status, not %q", name, clip(value))
		}
	case ExpiresIn:
		f.Form = Form(value)
	case Oversized:
		if f.Bytes, err = strconv.Atoi(value); err != nil || f.Bytes == 0 {
			return fmt.Errorf("oversized takes a number of bytes, not %q", clip(value))
		}
	case Redirect:
		if f.Location = value; value == "" {
			return fmt.Errorf("redirect takes a URL")
		}
	default:
		return fmt.Errorf("%s takes no value", name)
	}
	return nil
}

// normal checks a fault and fills in defaults, so that equal faults have equal values and the same
// text.
func (f Fault) normal() (Fault, error) {
	want := Fault{Effect: f.Effect, Every: f.Every, Times: f.Times} // with the fields that belong to the effect
	low, high := 0, 0                                               // bounds of the status
	switch f.Effect {
	case Latency:
		want.Delay = f.Delay
		if f.Delay <= 0 || f.Delay > maxDelay {
			return f, fmt.Errorf("latency is above 0 and at most %v, for instance latency=2s", maxDelay)
		}
	case Status:
		want.Status, want.RetryAfter, low, high = f.Status, f.RetryAfter, 400, 599
	case InternalError:
		f.Status = cmp.Or(f.Status, 500)
		want.Status, want.RetryAfter, low, high = f.Status, f.RetryAfter, 200, 599
	case HTML, Empty:
		f.Status = cmp.Or(f.Status, 200)
		want.Status, low, high = f.Status, 200, 599
	case ExpiresIn:
		want.Form = f.Form
		if !slices.Contains(forms, f.Form) {
			return f, fmt.Errorf("expires-in takes one of %v, not %q", forms, clip(string(f.Form)))
		}
	case Oversized:
		f.Bytes = cmp.Or(f.Bytes, padding)
		want.Bytes = f.Bytes
		if f.Bytes < 1 || f.Bytes > maxPadding {
			return f, fmt.Errorf("oversized takes from 1 to %d bytes", maxPadding)
		}
	case Redirect:
		f.Location = cmp.Or(f.Location, nowhere)
		want.Location = f.Location
		if !isLocation(f.Location) {
			return f, fmt.Errorf("redirect takes a URL without spaces or commas")
		}
	case UnknownKey, Reset, BreakOff, Truncated, NoToken:
	default:
		return f, fmt.Errorf("there is no effect %q", clip(string(f.Effect)))
	}
	if f.Every == 1 {
		f.Every, want.Every = 0, 0
	}
	switch {
	case high > 0 && (f.Status < low || f.Status > high):
		return f, fmt.Errorf("the status is from %d to %d, not %d", low, high, f.Status)
	case f.RetryAfter < 0 || f.RetryAfter > maxRetryAfter || f.RetryAfter%time.Second != 0:
		return f, fmt.Errorf("retry-after is in whole seconds, at most %d", maxRetryAfter/time.Second)
	case f.Every < 0 || f.Every > maxCount || f.Times < 0 || f.Times > maxCount:
		return f, fmt.Errorf("every and times are at most %d", maxCount)
	case f.RetryAfter != want.RetryAfter:
		return f, fmt.Errorf("retry-after goes with a status or internal-error, not with %s", f.Effect)
	case f != want:
		return f, fmt.Errorf("a field is set that has no meaning with %s", f.Effect)
	}
	return f, nil
}

// isLocation says whether a URL can stand in a fault and in a header.
func isLocation(location string) bool {
	_, err := url.Parse(location)
	return err == nil && len(location) <= maxLocation &&
		!strings.ContainsFunc(location, func(r rune) bool { return r <= ' ' || r > '~' || r == ',' })
}

// String is the text that ParseFault reads.
func (f Fault) String() string {
	var b strings.Builder
	switch f.Effect {
	case Latency:
		fmt.Fprintf(&b, "latency=%v", f.Delay)
	case Status:
		fmt.Fprint(&b, f.Status)
	case InternalError, HTML, Empty:
		fmt.Fprintf(&b, "%s=%d", f.Effect, f.Status)
	case ExpiresIn:
		fmt.Fprintf(&b, "expires-in=%s", f.Form)
	case Oversized:
		fmt.Fprintf(&b, "oversized=%d", f.Bytes)
	case Redirect:
		fmt.Fprintf(&b, "redirect=%s", f.Location)
	default:
		b.WriteString(string(f.Effect))
	}
	for _, option := range []struct {
		name string
		n    int
	}{{"retry-after", int(f.RetryAfter / time.Second)}, {"every", f.Every}, {"times", f.Times}} {
		if option.n != 0 {
			fmt.Fprintf(&b, ",%s=%d", option.name, option.n)
		}
	}
	return b.String()
}
