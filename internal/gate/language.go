package gate

import (
	"net/http"

	"coze-token/internal/message"
	"coze-token/internal/message/chinese"
)

// languageHeader says in which language a person reads the error and the hint of a failure.
const languageHeader = "Accept-Language"

// translate puts what a person reads into the language that the request prefers, Chinese or English.
// An answer with a token has no such text, and its request's language is never looked at.
func (f *failure) translate(h http.Header, r *http.Request) {
	h.Add("Vary", languageHeader)
	if !message.Prefers("zh", r.Header[languageHeader]) {
		h.Set("Content-Language", "en")
		return
	}
	h.Set("Content-Language", "zh-CN")
	f.Error = message.Verbatim(f.Error.In(chinese.HTTP))
	f.Hint = message.Verbatim(f.Hint.In(chinese.HTTP))
}
