package gate

import (
	"fmt"
	"net/http"
	"time"
)

// ScriptHeader marks a request that a script made. A page of another origin cannot send it without a
// preflight.
const ScriptHeader = "X-Requested-With"

// A quickstart is the token endpoint of one of Coze's quickstarts: how its pages ask, and the form of
// the answer with a token. A refusal is that of POST /: those pages look at its status alone.
type quickstart struct {
	method string
	script bool // a request without ScriptHeader finds nothing
	form   func(tokenBody) any
}

// quickstarts are those endpoints by their paths.
var quickstarts = map[string]quickstart{
	// examples/quickstart-oauth-server of coze-js.
	"get_jwt_token": {method: http.MethodPost, form: func(t tokenBody) any {
		return dataBody{Data: jwtToken{t.AccessToken, t.ExpiresIn, t.TokenType}}
	}},
	// coze-oauth-quickstart. Its pages take the end of a token apart as a text.
	"callback": {method: http.MethodGet, script: true, form: func(t tokenBody) any {
		end := time.Unix(t.ExpiresIn, 0).UTC().Format(time.DateTime)
		return callbackBody{t.TokenType, t.AccessToken, "", fmt.Sprintf("%d (%s)", t.ExpiresIn, end)}
	}},
}

type dataBody struct {
	Code int      `json:"code"` // 0
	Data jwtToken `json:"data"`
}

type jwtToken struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int64  `json:"expires_in"` // absolute Unix time, in seconds
	TokenType   string `json:"token_type"`
}

type callbackBody struct {
	TokenType    string `json:"token_type"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"` // empty: there is none
	ExpiresIn    string `json:"expires_in"`    // absolute Unix time in seconds, and the same in words
}

// quickstart answers a request as POST / would be, in another form.
func (g *gate) quickstart(w http.ResponseWriter, r *http.Request, rec *record, q quickstart) answer {
	if q.script && r.Method == q.method && r.Header.Get(ScriptHeader) == "" {
		return notFound
	}
	rec.takes = q.method
	a := g.token(w, r, rec)
	if t, ok := a.body.(tokenBody); ok {
		a.body = q.form(t)
	}
	return a
}
