package sandbox

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The paths of the API that a conversation needs, and the method of each.
const (
	mePath           = "/v1/users/me"
	createPath       = "/v1/conversation/create"
	listPath         = "/v1/conversations"
	messagesPath     = "/v1/conversation/message/list"
	chatPath         = "/v3/chat"
	retrievePath     = "/v3/chat/retrieve"
	chatMessagesPath = "/v3/chat/message/list"
	onlineInfoPath   = "/v1/bot/get_online_info"
	botsPrefix       = "/v1/bots/"
)

// apiMethods returns the methods that a path of the API takes, and "" if there is nothing at the path.
func apiMethods(path string) string {
	switch path {
	case mePath, listPath, onlineInfoPath:
		return http.MethodGet
	case retrievePath, chatMessagesPath: // GET in the documentation, POST in coze-js
		return "GET, POST"
	case createPath, messagesPath, chatPath:
		return http.MethodPost
	}
	if id, ok := strings.CutPrefix(path, botsPrefix); ok && id != "" && !strings.Contains(id, "/") {
		return http.MethodGet
	}
	return ""
}

// api answers a request of a program that has a token.
func (s *Sandbox) api(w http.ResponseWriter, r *http.Request, logID string) {
	// Pages call the API from any origin: Coze's Web SDK does. Which headers it sends is our guess.
	if origin := r.Header.Get("Origin"); origin != "" {
		h := w.Header()
		h.Add("Vary", "Origin")
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", "X-Tt-Logid")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", "GET, POST")
			h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	if allow := apiMethods(r.URL.Path); !slices.Contains(strings.Split(allow, ", "), r.Method) {
		w.Header().Set("Allow", allow)
		writeAPIError(w, http.StatusMethodNotAllowed, codeParameter, "the method is not allowed", logID)
		return
	}
	token := bearer(r.Header)
	now := s.options.Now()
	s.mu.Lock()
	s.bearer = token[:min(len(token), maxJWT)]
	issue, ok := s.issued.find(token, now)
	s.mu.Unlock()
	if !ok || !now.Before(issue.Expiry) {
		writeAPIError(w, http.StatusUnauthorized, codeAuthentication, "authentication is invalid", logID)
		return
	}
	c := &call{Sandbox: s, issue: issue, logID: logID, now: now}
	switch r.URL.Path {
	case mePath:
		c.me(w)
	case createPath:
		c.create(w, r)
	case listPath:
		c.list(w, r)
	case messagesPath:
		c.messages(w, r)
	case chatPath:
		c.chat(w, r)
	case retrievePath, chatMessagesPath:
		c.retrieve(w, r)
	case onlineInfoPath:
		c.bot(w, r.URL.Query().Get("bot_id"))
	default:
		c.bot(w, strings.TrimPrefix(r.URL.Path, botsPrefix))
	}
}

// A call is a request to the API whose token is good.
type call struct {
	*Sandbox
	issue Issue
	logID string
	now   time.Time
}

// me answers who the token belongs to. The members of data are those of the official SDKs; their
// values are made up, except that both names are the token's session, so that a caller can see
// which one it has.
func (c *call) me(w http.ResponseWriter) {
	name := cmp.Or(c.issue.Session, "sandbox")
	c.write(w, members{
		{"user_id", cmp.Or(c.issue.AccountID, c.issue.EnterpriseID, c.issue.ClientID)},
		{"user_name", name},
		{"nick_name", name},
		{"avatar_url", ""},
	})
}

// write answers with data, and further members.
func (c *call) write(w http.ResponseWriter, data any, more ...member) {
	m := members{{"code", 0}, {"msg", ""}, {"data", data}, {"detail", members{{"logid", c.logID}}}}
	writeJSON(w, http.StatusOK, append(m, more...))
}

// Bearer is the token that the last request to the API (not to a token endpoint) came with, good or
// not, and "" if it had none.
func (s *Sandbox) Bearer() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bearer
}
