package sandbox

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// A refusal is an answer without a token, in the token endpoint's own shape.
type refusal struct {
	status  int
	code    string
	message string
}

// The refusals whose text is Coze's own, spelling included. Of the statuses, only the 401 of
// unregistered is reported; the others are our guess.
var (
	unregistered   = &refusal{http.StatusUnauthorized, "invalid_client", "invalid jwt: kid not been registred"}
	unverifiable   = &refusal{http.StatusUnauthorized, "invalid_client", "verify jwt empty error"}
	wrongType      = &refusal{http.StatusForbidden, "access_deny", "invalid app type"}
	sessionInvalid = &refusal{http.StatusForbidden, "access_deny", "login session invalid"}
	// The code of this one is our guess as well: the report that has the text does not give it.
	unbound = &refusal{http.StatusBadRequest, "invalid_request", "connector app should bind connector id"}
)

// invalidJWT refuses a claim. The text after the colon is our guess: it says what is wrong, which
// Coze's may not.
func invalidJWT(reason string) *refusal {
	return &refusal{http.StatusUnauthorized, "invalid_client", "invalid jwt: " + reason}
}

// invalidRequest refuses a parameter, in Coze's words. Third-party code reports the 400 for a
// scope; for others it is our guess.
func invalidRequest(parameter string) *refusal {
	return &refusal{http.StatusBadRequest, "invalid_request", "invalid request: " + clip(parameter)}
}

// unsupportedGrant refuses a grant type, in Coze's words. The status is our guess.
func unsupportedGrant(grantType string) *refusal {
	return &refusal{http.StatusBadRequest, "unsupported_grant_type", "not supported grant type: " + clip(grantType)}
}

// deactivated refuses an app, in Coze's words. The status is our guess.
func deactivated(name string) *refusal {
	return &refusal{http.StatusForbidden, "access_deny", "app: " + name + " is currently deactivated by the owner"}
}

// clip keeps what a caller sent short in an answer, and the same in every log.
func clip(s string) string {
	if len(s) > 100 {
		s = s[:100]
	}
	return strings.ToValidUTF8(s, "�")
}

// members is the refusal as the token endpoint writes it: the code stands there twice.
func (r *refusal) members() members {
	return members{{"error_code", r.code}, {"error_message", r.message}, {"error", r.code}}
}

// The codes of the API's second shape: those of the official SDKs, but for 4015, which is reported.
const (
	codeParameter      = 4000
	codeUnpublished    = 4015
	codeAuthentication = 4100
	codePermission     = 4101
	codeNotFound       = 4200
)

// writeAPIError answers in the shape of the rest of the API.
func writeAPIError(w http.ResponseWriter, status, code int, message, logID string) {
	writeJSON(w, status, members{{"code", code}, {"msg", message}, {"detail", members{{"logid", logID}}}})
}

// members is a JSON object whose members keep their order, as they do in Coze's answers.
type members []member

type member struct {
	name  string
	value any
}

func (m members) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, member := range m {
		name, err := json.Marshal(member.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(member.value)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, name...), ':'), value...)
	}
	return append(b, '}'), nil
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err) // values are this package's own
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(body)
}

// makeLogID makes a log id in the form that public issues quote: date and time, then 20 hexadecimal
// digits.
func makeLogID(now time.Time) string {
	b := make([]byte, 10)
	rand.Read(b)
	return now.Format("20060102150405") + strings.ToUpper(hex.EncodeToString(b))
}
