package ratelimit

import (
	"strconv"
	"strings"
	"time"

	"coze-token/internal/quote"
)

// A Rate is how many requests a key may make in a span of time. The zero value, as any without requests or time, is
// no limit.
type Rate struct {
	Requests int
	Per      time.Duration
}

// Bounds of a rate that is written as text.
const (
	MaxRequests = 1_000_000
	MaxPer      = 24 * time.Hour
)

// Off says that there is no limit.
func (r Rate) Off() bool { return r.Requests <= 0 || r.Per <= 0 }

// String is the rate as ParseRate reads it.
func (r Rate) String() string {
	switch {
	case r.Off():
		return "off"
	case r.Per == time.Minute:
		return strconv.Itoa(r.Requests)
	case r.Per%time.Second == 0:
		return strconv.Itoa(r.Requests) + "/" + strconv.FormatInt(int64(r.Per/time.Second), 10) + "s"
	default:
		return strconv.Itoa(r.Requests) + "/" + r.Per.String()
	}
}

// cost is how far one request moves a key's moment, in nanoseconds: rounded up, so that no rounding lets more
// through.
func (r Rate) cost() int64 {
	n := int64(r.Requests)
	return (int64(r.Per) + n - 1) / n
}

// quota is how far ahead a key's moment may be, in nanoseconds: exactly Requests of cost.
func (r Rate) quota() int64 { return r.cost() * int64(r.Requests) }

// A Fault is what is wrong with a setting's text, and what to do about it. It has the text only in quotes, and not if it may
// be a secret.
type Fault struct {
	Problem string
	Remedy  string
}

// Error is the fault on one line.
func (f Fault) Error() string { return f.Problem + "; " + f.Remedy }

const rateRemedy = "use a number of requests a minute, such as 300; or a number and a span, such as 100/10s; or off for no limit"

// ParseRate reads a rate: "300" is 300 requests a minute, "100/10s" 100 in ten seconds, "off" no limit. A span has
// the unit s, m or h, and is one of them where the number is left out ("5/s"). The error is a Fault.
//
// Out of bounds it is a fault and never clamped: 1 to MaxRequests, whole seconds up to MaxPer. 0 is a fault too, as
// it may have been meant as either no limit or no requests.
func ParseRate(text string) (Rate, error) {
	text = strings.TrimSpace(text)
	if strings.EqualFold(text, "off") {
		return Rate{}, nil
	}
	number, span, spanned := strings.Cut(text, "/")
	number, span = strings.TrimSpace(number), strings.TrimSpace(span)
	requests, ok := digits(number, 10)
	switch {
	case !ok:
		return Rate{}, Fault{"is " + quote.Text(text) + ", not a rate", rateRemedy}
	case requests == 0:
		return Rate{}, Fault{"is 0 requests, which would refuse everybody", "use off for no limit, or at least 1"}
	case requests > MaxRequests:
		return Rate{}, Fault{"is " + number + " requests, above the maximum of " + strconv.Itoa(MaxRequests), "use off for no limit, or a smaller number"}
	case !spanned:
		return Rate{requests, time.Minute}, nil
	}
	per, ok := parseSpan(span)
	switch {
	case !ok:
		return Rate{}, Fault{"has the span " + quote.Text(span) + ", which is none", "use whole seconds, minutes or hours: 10s, 5m, 1h"}
	case per == 0:
		return Rate{}, Fault{"has the span " + quote.Text(span) + ", out of range", "use 1s to 24h"}
	}
	return Rate{requests, per}, nil
}

// parseSpan reads a number and a unit, or a unit alone. What is beyond any bound comes back as 0.
func parseSpan(text string) (per time.Duration, ok bool) {
	if text == "" {
		return 0, false
	}
	var unit time.Duration
	switch text[len(text)-1] {
	case 's':
		unit = time.Second
	case 'm':
		unit = time.Minute
	case 'h':
		unit = time.Hour
	default:
		return 0, false
	}
	if len(text) == 1 {
		return unit, true
	}
	n, ok := digits(text[:len(text)-1], 9)
	if !ok || time.Duration(n) > MaxPer/unit {
		return 0, ok
	}
	return time.Duration(n) * unit, true
}

// digits reads a number that is nothing but digits, at most so many of them.
func digits(text string, most int) (n int, ok bool) {
	if text == "" || len(text) > most {
		return 0, false
	}
	for i := 0; i < len(text); i++ {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
	}
	// An int of 32 bits, as WebAssembly's is not but other platforms' are, may be too small for ten digits.
	n, err := strconv.Atoi(text)
	return n, err == nil
}
