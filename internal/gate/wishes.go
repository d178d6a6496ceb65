package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"coze-token/broker"
	"coze-token/coze"
)

// wishes reads what a caller asks for beyond a token: in the query, how long it must still live; in the body, which one
// is dead. With ok false, the answer says what is wrong with it.
func wishes(w http.ResponseWriter, r *http.Request, duration time.Duration) (want broker.GetOptions, a answer, ok bool) {
	if r.URL.RawQuery != "" {
		if duration == 0 {
			duration = coze.DefaultDuration
		}
		var err error
		if want.MinTTL, err = minTTL(r, duration); err != nil {
			return want, invalidMinTTL(err), false
		}
	}
	if r.ContentLength == 0 {
		return want, a, true
	}
	if r.ContentLength > MaxBody {
		return want, bodyTooLarge(), false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return want, bodyTooLarge(), false
	case err != nil:
		return want, badBody("the body broke off"), false
	}
	if want.Stale, err = staleToken(body); err != nil {
		return want, badBody(err.Error()), false
	}
	return want, a, true
}

// minTTL reads ?min_ttl=, in whole seconds. Other members of the query are not heeded, malformed or not, as the original
// heeded none. URL.Query would drop a malformed min_ttl like any other, and its caller would not be told.
func minTTL(r *http.Request, duration time.Duration) (time.Duration, error) {
	var values []string
	for member := range strings.SplitSeq(r.URL.RawQuery, "&") {
		name, value, _ := strings.Cut(member, "=")
		if name, _ = url.QueryUnescape(name); name == "min_ttl" {
			value, _ = url.QueryUnescape(value) // of what it cannot read it makes "", which is no number
			values = append(values, value)
		}
	}
	if len(values) == 0 {
		return 0, nil
	}
	most := int64(duration / time.Second)
	seconds, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || len(values) > 1 || seconds < 1 || seconds > most {
		return 0, fmt.Errorf("give it once, as whole seconds from 1 to %d, which is how long a token lives here", most)
	}
	return time.Duration(seconds) * time.Second, nil
}

// staleToken reads {"stale_token": "…"}. A body without it, whatever it is, is not heeded: the original's callers may send any.
func staleToken(body []byte) (string, error) {
	var members struct {
		StaleToken *json.RawMessage `json:"stale_token"`
	}
	if json.Unmarshal(body, &members) != nil || members.StaleToken == nil {
		return "", nil
	}
	var token string
	if err := json.Unmarshal(*members.StaleToken, &token); err != nil {
		return "", errors.New("stale_token is not a text")
	}
	return token, nil
}
