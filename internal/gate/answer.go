package gate

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
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

// The values of headers that every answer has. net/http only reads them, so all answers can share them.
var (
	noStore    = []string{"no-store"}
	noSniff    = []string{"nosniff"}
	noReferrer = []string{"no-referrer"}
	isJSON     = []string{"application/json; charset=utf-8"}
)

// bodies are the buffers that answers are written from.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// write sends the answer with the headers that every answer has. Names are in Go's canonical form, so that none has to be made.
func (a answer) write(w http.ResponseWriter, id string) {
	h := w.Header()
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	h["Referrer-Policy"] = noReferrer
	h["X-Request-Id"] = []string{id}
	if a.body == nil { // a preflight's
		w.WriteHeader(a.status)
		return
	}
	if a.allow != "" {
		h["Allow"] = []string{a.allow}
	}
	if a.retryAfter > 0 {
		h["Retry-After"] = []string{strconv.FormatInt(int64((a.retryAfter+time.Second-1)/time.Second), 10)}
	}
	buffer := bodies.Get().(*[]byte)
	defer bodies.Put(buffer)
	b := a.encode((*buffer)[:0], id)
	*buffer = b
	h["Content-Type"] = isJSON
	h["Content-Length"] = []string{strconv.Itoa(len(b))}
	w.WriteHeader(a.status)
	w.Write(b)
}

// encode appends the body as JSON with a line end.
func (a answer) encode(b []byte, id string) []byte {
	switch body := a.body.(type) {
	case tokenBody:
		if plain(body.AccessToken) && plain(body.TokenType) {
			return body.encode(b)
		}
	case failure:
		body.RequestID = id
		a.body = body
	}
	buffer := bytes.NewBuffer(b)
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false) // it is never a page: nosniff and the content type say so
	if err := encoder.Encode(a.body); err != nil {
		panic(err) // the bodies are plain structs of strings and numbers
	}
	return buffer.Bytes()
}

// encode does what encoding/json would do, in a tenth of the time: this is the answer that nearly every request gets.
func (t tokenBody) encode(b []byte) []byte {
	b = append(b, `{"access_token":"`...)
	b = append(b, t.AccessToken...)
	b = append(b, `","expires_in":`...)
	b = strconv.AppendInt(b, t.ExpiresIn, 10)
	b = append(b, `,"token_type":"`...)
	b = append(b, t.TokenType...)
	b = append(b, `","token":"`...)
	b = append(b, t.Token...)
	b = append(b, `","ttl":`...)
	b = strconv.AppendInt(b, t.TTL, 10)
	return append(b, "}\n"...)
}

// plain says whether a text stands in JSON as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
