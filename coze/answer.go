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
	"unicode"
	"unicode/utf8"
)

const (
	// MaxAnswer is the most that is read of an answer of Coze's, in bytes. A real one has a few hundred.
	MaxAnswer = 1 << 20
	// maxAhead is the furthest expiry that is believed: the longest token, and an hour for clocks that disagree.
	maxAhead = 25 * time.Hour
)

// answer is everything that Coze's token endpoint is known to send: a token, the endpoint's own error shape
// (error_code, error_message, error), or that of the rest of the API (code, msg, detail.logid). It is read member by
// member, so that one of an unexpected type does not hide the others.
type answer map[string]json.RawMessage

// text is a member that is a string or a number, and empty otherwise.
func (a answer) text(name string) string {
	raw := a[name]
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}

// refusal is the error in the answer, in whichever of Coze's two shapes. A code of 0 means success, as does the message
// that comes with it.
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
	if json.Unmarshal(a["detail"], &detail) != nil {
		return ""
	}
	return printable(detail.text("logid"), 100)
}

// readAnswer turns Coze's HTTP answer into a token or an *Error. Should Coze, or what stands in its place, repeat the
// assertion that it was sent, it is not passed on.
func readAnswer(response *http.Response, assertion string, now time.Time) (Token, *Error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxAnswer+1))
	fail := &Error{
		Kind:   Unavailable,
		Status: response.StatusCode,
		LogID:  printable(response.Header.Get("X-Tt-Logid"), 100),
	}
	if response.StatusCode == http.StatusTooManyRequests {
		fail.Kind = Busy
	}
	fail.RetryAfter = retryAfter(response.Header.Get("Retry-After"), now)
	if err != nil {
		// A connection that broke off is a network error, whatever the status line said.
		return Token{}, &Error{Kind: Unavailable, LogID: fail.LogID, Message: "the answer broke off", Err: err}
	}
	body = bytes.ReplaceAll(body, []byte(assertion), []byte("[assertion]"))
	token, failed := decodeAnswer(body, response, now, fail)
	if failed {
		return Token{}, fail
	}
	return token, nil
}

// decodeAnswer returns the token in body, or completes fail and returns true.
func decodeAnswer(body []byte, response *http.Response, now time.Time, fail *Error) (token Token, failed bool) {
	if len(body) > MaxAnswer {
		fail.Message = "the answer is larger than 1 MiB"
		return token, true
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		fail.Message = describe(body, response)
		return token, true
	}
	if fail.LogID == "" {
		fail.LogID = a.logID()
	}
	code, message := a.refusal()
	accessToken := a.text("access_token")
	switch {
	case code != "" || message != "":
		fail.Code, fail.Message = code, message
		if response.StatusCode < 500 && fail.Kind != Busy && code != codeInternal {
			fail.Kind = Rejected
		}
		return token, true
	case response.StatusCode/100 != 2:
		fail.Message = "the answer is JSON without a token or an error that is known: " + http.StatusText(response.StatusCode)
		return token, true
	case accessToken == "":
		fail.Message = "the answer has no access_token, although its status is one of success"
		return token, true
	case strings.ContainsFunc(accessToken, func(r rune) bool { return r <= ' ' || r > '~' }):
		fail.Message = "the access_token holds characters that no token has"
		return token, true
	}
	expiry, problem := readExpiry(a["expires_in"], now)
	if problem != "" {
		fail.Message = problem
		return token, true
	}
	return Token{AccessToken: accessToken, Expiry: expiry, Type: "Bearer"}, false
}

// readExpiry reads expires_in, which at Coze is an absolute Unix time in seconds, not the relative one of RFC 6749.
func readExpiry(raw json.RawMessage, now time.Time) (expiry time.Time, problem string) {
	if len(raw) == 0 || string(raw) == "null" {
		return expiry, "the answer has no expires_in"
	}
	seconds, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return expiry, "expires_in is not a whole number"
	}
	expiry = time.Unix(seconds, 0)
	switch {
	case !expiry.After(now):
		return expiry, fmt.Sprintf("expires_in (%d) is in the past; %s", seconds, clockDoubt)
	case seconds > now.Add(maxAhead).Unix():
		return expiry, fmt.Sprintf("expires_in (%d) is over a day ahead, longer than any token lives; %s", seconds, clockDoubt)
	}
	return expiry, ""
}

// clockDoubt ends the message about an expiry that cannot be right, for [Error.ClockDoubt].
const clockDoubt = "if this machine's clock is wrong, set it"

// describe says what an answer is that could not be read as JSON. It does not quote it.
func describe(body []byte, response *http.Response) string {
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	trimmed := strings.TrimSpace(string(body))
	switch {
	case response.StatusCode/100 == 3:
		return "the answer is a redirect, which is not followed"
	case trimmed == "":
		return "the answer is empty"
	case strings.HasPrefix(trimmed, "<") || media == "text/html":
		return "the answer is a web page (HTML), not Coze's API: is the endpoint right, or does a proxy or firewall answer in its place?"
	case strings.HasPrefix(trimmed, "{"):
		return "the answer is truncated or malformed JSON"
	case response.StatusCode/100 != 2:
		return "the answer is only its status: " + strconv.Itoa(response.StatusCode) + " " + http.StatusText(response.StatusCode)
	default:
		return "the answer is not JSON"
	}
}

// retryAfter reads the header's two forms (RFC 9110 section 10.2.3). What it cannot read, it ignores.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// printable makes foreign text safe for logs and answers: one line, no control characters, at most n characters.
func printable(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	return clip(strings.TrimSpace(s), n)
}
