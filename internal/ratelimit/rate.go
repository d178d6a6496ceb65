package ratelimit

import (
	"strconv"
	"strings"
	"time"

	"coze-token/internal/fault"
	"coze-token/internal/quote"
)

// A Rate is how many requests a key may make in a span of time. The zero value is no limit, and so
// is any other without requests or without time.
type Rate struct {
	Requests int
	Per      time.Duration
}

// Bounds of a rate that is written as text.
const (
	MaxRequests = 1_000_000
	MaxPer      = 24 * time.Hour
)

// Off reports whether there is no limit.
func (r Rate) Off() bool { return r.Requests <= 0 || r.Per <= 0 }

// interval is the emission interval in nanoseconds: how far one request moves the TAT. It is
// rounded up, so that rounding never lets more requests through.
func (r Rate) interval() int64 {
	n := int64(r.Requests)
	return (int64(r.Per) + n - 1) / n
}

// tolerance is the burst tolerance in nanoseconds: how far ahead of now the TAT may be after a
// request.
func (r Rate) tolerance() int64 { return r.interval() * int64(r.Requests) }

const rateRemedy = "use a number of requests a minute, such as 300; " +
	"or a number and a span, such as 100/10s; or off for no limit"

// ParseRate reads a rate: "300" is 300 requests a minute, "100/10s" 100 in ten seconds, "5/s" five
// a second, "off" no limit. The units are s, m and h. Requests are 1 to [MaxRequests], spans whole
// seconds up to [MaxPer]. 0 is refused, because it could mean either no limit or no requests. The
// error is a [fault.Fault].
func ParseRate(text string) (Rate, error) {
	text = strings.TrimSpace(text)
	if strings.EqualFold(text, "off") {
		return Rate{}, nil
	}
	number, span, hasSpan := strings.Cut(text, "/")
	number, span = strings.TrimSpace(number), strings.TrimSpace(span)
	requests, ok := digits(number, 10)
	switch {
	case !ok:
		return Rate{}, fault.New("is %s, not a rate", rateRemedy, quote.Text(text))
	case requests == 0:
		return Rate{}, fault.New("is 0 requests, which would refuse everybody", "use off for no limit, or at least 1")
	case requests > MaxRequests:
		return Rate{}, fault.New("is %s requests, above the maximum of %d",
			"use off for no limit, or a smaller number", number, MaxRequests)
	case !hasSpan:
		return Rate{requests, time.Minute}, nil
	}
	unit := units[span[max(0, len(span)-1):]]
	count := 1
	if len(span) > 1 {
		count, ok = digits(span[:len(span)-1], 9)
	}
	switch {
	case !ok || unit == 0:
		return Rate{}, fault.New("has the span %s, which is none",
			"use whole seconds, minutes or hours: 10s, 5m, 1h", quote.Text(span))
	case count == 0 || time.Duration(count) > MaxPer/unit:
		return Rate{}, fault.New("has the span %s, out of range", "use 1s to 24h", quote.Text(span))
	}
	return Rate{requests, time.Duration(count) * unit}, nil
}

var units = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}

// digits reads a number that consists of digits only, at most so many.
func digits(text string, most int) (int, bool) {
	if len(text) > most || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}
