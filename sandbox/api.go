package sandbox

import (
	"cmp"
	"net/http"
)

const mePath = "/v1/users/me"

// me answers who the token belongs to. The members of data are those of the official SDKs; their
// values are made up, except that both names are the token's session, so that a caller can see
// which one it has.
func (s *Sandbox) me(w http.ResponseWriter, r *http.Request, logID string) {
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
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
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
	name := cmp.Or(issue.Session, "sandbox")
	writeJSON(w, http.StatusOK, members{
		{"code", 0},
		{"msg", ""},
		{"data", members{
			{"user_id", cmp.Or(issue.AccountID, issue.EnterpriseID, issue.ClientID)},
			{"user_name", name},
			{"nick_name", name},
			{"avatar_url", ""},
		}},
		{"detail", members{{"logid", logID}}},
	})
}

// Bearer is the token that the last request to the API (not to a token endpoint) came with, good or
// not, and "" if it had none.
func (s *Sandbox) Bearer() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bearer
}
