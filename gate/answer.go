package gate

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"coze-token/coze"
)

// An answer is what a request comes back with.
type answer struct {
	status     int
	body       any           // a tokenBody, a health, or a failure; nil for a preflight
	allow      string        // for 405
	retryAfter time.Duration // for those who should wait
}

// tokenBody is the answer with a token. The first three members are the original's; expires_in is absolute, as Coze
// sent it, because the original passed it on.
type tokenBody struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int64  `json:"expires_in"`
	TokenType   string `json:"token_type"`
	Token       string `json:"token"` // for Coze's Web SDK samples, which read this name
	TTL         int64  `json:"ttl"`   // for clients whose clock is wrong
}

type health struct {
	Status string `json:"status"`
}

// A failure is the answer without a token.
type failure struct {
	Error     string    `json:"error"`
	Code      string    `json:"code"`
	Hint      string    `json:"hint"`
	RequestID string    `json:"request_id"`
	Upstream  *upstream `json:"upstream,omitempty"`
}

// upstream is what Coze said, where it said something.
type upstream struct {
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Message string `json:"message"`
	LogID   string `json:"logid"`
}

func success(token coze.Token, now time.Time) answer {
	return answer{status: http.StatusOK, body: tokenBody{
		AccessToken: token.AccessToken,
		ExpiresIn:   token.Expiry.Unix(),
		TokenType:   token.Type,
		Token:       token.AccessToken,
		TTL:         max(0, int64(token.Expiry.Sub(now)/time.Second)),
	}}
}

// write sends the answer with the headers that every answer has.
func (a answer) write(w http.ResponseWriter, id string) {
	if f, ok := a.body.(failure); ok {
		f.RequestID = id
		a.body = f
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Request-Id", id)
	if a.body == nil { // a preflight's
		w.WriteHeader(a.status)
		return
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // it is never a page: nosniff and the content type say so
	if err := encoder.Encode(a.body); err != nil {
		panic(err) // the bodies are plain structs of strings and numbers
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	if a.allow != "" {
		h.Set("Allow", a.allow)
	}
	if a.retryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((a.retryAfter+time.Second-1)/time.Second), 10))
	}
	w.WriteHeader(a.status)
	w.Write(b.Bytes())
}
