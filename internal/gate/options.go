package gate

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"coze-token/broker"
	"coze-token/coze"
)

// readOptions reads what a caller may say about the token: in the query, how long it must still
// live; in the body, which token Coze no longer accepts. If ok is false, refusal is the answer.
func readOptions(
	w http.ResponseWriter, r *http.Request, duration time.Duration,
) (o broker.GetOptions, refusal answer, ok bool) {
	most := cmp.Or(duration, coze.DefaultDuration)
	if o.MinTTL, ok = minTTL(r.URL.RawQuery, most); !ok {
		return o, fail(http.StatusBadRequest, "invalid_min_ttl", "min_ttl is not a life that a token here can have",
			"give it once, as whole seconds from 1 to %d, which is how long a token lives here",
			int64(most/time.Second)), false
	}
	if r.ContentLength == 0 || r.Method == http.MethodGet { // Workers do not hand on a GET's body
		return o, answer{}, true
	}
	if r.ContentLength > MaxBody {
		return o, bodyTooLarge, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return o, bodyTooLarge, false
	}
	if err != nil {
		return o, invalidBody("the body broke off"), false
	}
	o.Stale, ok = staleToken(body)
	return o, invalidBody("stale_token is not a text"), ok
}

// minTTL reads ?min_ttl=, in whole seconds. It ignores the other members, malformed or not, as the
// original did. It does not use URL.Query, which would ignore a malformed min_ttl too.
func minTTL(query string, most time.Duration) (ttl time.Duration, ok bool) {
	var values []string
	for member := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(member, "=")
		if name, _ = url.QueryUnescape(name); name == "min_ttl" {
			value, _ = url.QueryUnescape(value) // after an error it is "", which is no number
			values = append(values, value)
		}
	}
	if len(values) == 0 {
		return 0, true
	}
	seconds, err := strconv.ParseInt(values[0], 10, 64)
	if limit := int64(most / time.Second); err != nil || len(values) > 1 || seconds < 1 || seconds > limit {
		return 0, false
	}
	return time.Duration(seconds) * time.Second, true
}

// staleToken reads {"stale_token": "…"}. It ignores any other body, because the original did. ok is
// false if stale_token is not a text. Nothing is decoded into an any, which takes a call for each
// level that a caller nests: a few thousand are more than the runtime of Workers has stack for, and
// end the whole program.
func staleToken(body []byte) (token string, ok bool) {
	var members struct {
		StaleToken json.RawMessage `json:"stale_token"`
	}
	if json.Unmarshal(body, &members) != nil || members.StaleToken == nil {
		return "", true
	}
	err := json.Unmarshal(members.StaleToken, &token) // null leaves it empty
	return token, err == nil
}
