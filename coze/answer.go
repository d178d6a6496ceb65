package coze

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"coze-token/internal/message"
)

const (
	// MaxAnswer is how much of Coze's answer is read, in bytes. A real one has a few hundred.
	MaxAnswer = 1 << 20
	// maxAhead is the furthest expiry that is believed: the longest token's, and an hour for clocks
	// that disagree.
	maxAhead = 25 * time.Hour
)

// An answer has a token, or an error in the token endpoint's own shape (error_code, error_message,
// error) or in that of the rest of the API (code, msg, detail.logid). A member of an unexpected
// type does not hide the others.
type answer map[string]json.RawMessage

// text is a member that is a string or a number. It is empty for any other.
func (a answer) text(name string) string {
	member := a[name]
	if member == nil { // as most are; an error of package json costs a microsecond
		return ""
	}
	var s string
	var n json.Number
	if json.Unmarshal(member, &s) != nil && json.Unmarshal(member, &n) == nil {
		return n.String()
	}
	return s
}

// refusal is the error in the answer. A code of 0 means success, and so does its message.
func (a answer) refusal() (code, message string) {
	for _, name := range []string{"error_code", "error", "code"} {
		if code = a.text(name); code != "" && code != "0" {
			break
		}
		code = ""
	}
	switch message = a.text("error_message"); {
	case code == "" && a.text("error_code") == "0":
		message = ""
	case code != "" && message == "":
		message = a.text("msg")
	}
	return printable(code, 60), printable(message, 300)
}

func (a answer) logID() string {
	var detail answer
	json.Unmarshal(a["detail"], &detail) // an error leaves it empty
	return printable(detail.text("logid"), 100)
}

// readAnswer turns Coze's HTTP answer into a token or an *Error. If the answer repeats the
// assertion, the error does not.
func readAnswer(response *http.Response, assertion string, now time.Time) (Token, *Error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxAnswer+1))
	e := &Error{
		Kind:       Unavailable,
		Status:     response.StatusCode,
		LogID:      printable(response.Header.Get("X-Tt-Logid"), 100),
		RetryAfter: retryAfter(response.Header.Get("Retry-After"), now),
	}
	fail := func(message string) (Token, *Error) {
		e.Message = message
		return Token{}, e
	}
	if err != nil { // a network error, whatever the status line said
		return Token{}, &Error{Kind: Unavailable, LogID: e.LogID, Message: "the answer broke off", Err: err}
	}
	if response.StatusCode == http.StatusTooManyRequests {
		e.Kind = Busy
	}
	body = bytes.ReplaceAll(body, []byte(assertion), []byte("[assertion]"))
	if len(body) > MaxAnswer {
		return fail("the answer is larger than 1 MiB")
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return fail(describe(string(bytes.TrimSpace(body)), response))
	}
	if e.LogID == "" {
		e.LogID = a.logID()
	}
	code, message := a.refusal()
	accessToken := a.text("access_token")
	switch {
	case code != "" || message != "":
		if e.Code = code; response.StatusCode < 500 && e.Kind != Busy && code != codeInternal {
			e.Kind = Rejected
		}
		return fail(message)
	case response.StatusCode/100 != 2:
		return fail("the answer is JSON without a token or an error that is known: " +
			http.StatusText(response.StatusCode))
	case accessToken == "":
		return fail("the answer has no access_token, although its status is one of success")
	case strings.ContainsFunc(accessToken, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fail("the access_token holds characters that no token has")
	}
	expiry, problem := readExpiry(a["expires_in"], now)
	if problem != "" {
		e.WrongClock = !expiry.IsZero()
		return fail(problem)
	}
	return Token{AccessToken: accessToken, Expiry: expiry, Type: "Bearer"}, nil
}

// readExpiry reads expires_in. Coze sends an absolute Unix time in seconds, not the relative one of
// RFC 6749. An expiry that cannot be believed is returned with the problem.
func readExpiry(raw json.RawMessage, now time.Time) (expiry time.Time, problem string) {
	if len(raw) == 0 || string(raw) == "null" {
		return expiry, "the answer has no expires_in"
	}
	seconds, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return expiry, "expires_in is not a whole number"
	}
	const doubt = "if this machine's clock is wrong, set it"
	switch expiry = time.Unix(seconds, 0); {
	case !expiry.After(now):
		problem = fmt.Sprintf("expires_in (%d) is in the past; %s", seconds, doubt)
	case seconds > now.Add(maxAhead).Unix():
		problem = fmt.Sprintf("expires_in (%d) is over a day ahead, longer than any token lives; %s", seconds, doubt)
	}
	return expiry, problem
}

// describe says what a body is that could not be read as JSON. It does not quote it.
func describe(body string, response *http.Response) string {
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	switch {
	case response.StatusCode/100 == 3:
		return "the answer is a redirect, which is not followed"
	case body == "":
		return "the answer is empty"
	case strings.HasPrefix(body, "<") || media == "text/html":
		return "the answer is a web page (HTML), not Coze's API: is the endpoint right, " +
			"or does a proxy or firewall answer in its place?"
	case strings.HasPrefix(body, "{"):
		return "the answer is truncated or malformed JSON"
	case response.StatusCode/100 != 2:
		return fmt.Sprintf("the answer is only its status: %d %s", response.StatusCode,
			http.StatusText(response.StatusCode))
	}
	return "the answer is not JSON"
}

// retryAfter reads the header's two forms (RFC 9110 section 10.2.3). Any other is ignored.
func retryAfter(value string, now time.Time) time.Duration {
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// printable makes foreign text safe for logs and answers. What is not UTF-8 becomes spaces.
func printable(s string, n int) string {
	return message.Line(strings.Map(func(r rune) rune {
		if r == utf8.RuneError {
			return ' '
		}
		return r
	}, s), n)
}
