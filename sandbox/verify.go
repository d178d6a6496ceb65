package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"coze-token/coze"
)

const (
	grantType = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	maxJWT    = 16 << 10 // bytes; a real one has under one thousand. Our guess
	maxBody   = 16 << 10 // bytes. Our guess
)

// A target is which of the three endpoints was asked: of the two ids at most one is set.
type target struct {
	account    string
	enterprise string
}

var pathPrefix = strings.TrimSuffix(coze.TokenPath, "token")

// parseTarget reads an escaped path.
func parseTarget(path string) (t target, ok bool) {
	if path == coze.TokenPath {
		return t, true
	}
	rest, ok := strings.CutPrefix(path, pathPrefix)
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 3 || parts[1] == "" || parts[2] != "token" {
		return t, false
	}
	id, err := url.PathUnescape(parts[1])
	switch {
	case err != nil:
		return t, false
	case parts[0] == "account":
		return target{account: id}, true
	case parts[0] == "enterprise_id":
		return target{enterprise: id}, true
	default:
		return t, false
	}
}

// The JWT is read by a library that this project does not write assertions with, so that a mistake
// in one is not hidden by the same mistake in the other. The claims are checked here, since the
// library takes an aud that is a list and numbers with fractions, and neither is Coze's.
var parser = jwt.NewParser(
	jwt.WithValidMethods([]string{"RS256"}),
	jwt.WithStrictDecoding(),
	jwt.WithJSONNumber(),
	jwt.WithoutClaimsValidation(),
)

// bearer returns the one bearer token of a request, or "".
func bearer(header http.Header) string {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") { // RFC 9110 section 11.1: in any case
		return ""
	}
	return token
}

// judge decides whether a request deserves a token, and what the token would stand for. It uses the
// assertion up as soon as that is known to be genuine and valid, whatever becomes of the rest of
// the request. The order, our guess, is: assertion, app, content type, body, endpoint.
func (s *Sandbox) judge(r *http.Request, body []byte, t target, now time.Time) (Issue, *refusal) {
	issue := Issue{Time: now, AccountID: t.account, EnterpriseID: t.enterprise}
	if fail := s.judgeAssertion(bearer(r.Header), r.Host, &issue, now); fail != nil {
		return issue, fail
	}
	s.mu.Lock()
	app := *s.apps[issue.ClientID] // judgeAssertion found a key of it, and apps are never removed
	s.mu.Unlock()
	if fail := app.standing(); fail != nil {
		return issue, fail
	}
	if fail := judgeContentType(r.Header.Values("Content-Type")); fail != nil {
		return issue, fail
	}
	if fail := judgeBody(body, app.kind, &issue); fail != nil {
		return issue, fail
	}
	// How Coze words an account that the app has no access to is not known. Our guess: as a parameter
	// that is wrong.
	if t.account != "" && !slices.Contains(app.accounts, t.account) {
		return issue, invalidRequest("account_id")
	}
	if t.enterprise != "" && !slices.Contains(app.enterprises, t.enterprise) {
		return issue, invalidRequest("enterprise_id")
	}
	return issue, nil
}

// standing is whether the app, being what it is, gets tokens at all.
func (a *registered) standing() *refusal {
	switch a.kind {
	case UnboundChannel:
		return unbound
	case WrongType:
		return wrongType
	case Deactivated:
		return deactivated(a.name)
	case SessionInvalid:
		return sessionInvalid
	default:
		return nil
	}
}

// judgeAssertion checks the JWT and fills in what it says. As aud it also takes the host that was
// asked: SDKs such as coze-go and coze-py derive aud from the base URL.
func (s *Sandbox) judgeAssertion(assertion, host string, issue *Issue, now time.Time) *refusal {
	if assertion == "" || len(assertion) > maxJWT {
		return unverifiable
	}
	// An error is of no interest yet: an alg that the library does not know is one, and so are claims
	// that Parse will see.
	unverified, _, _ := parser.ParseUnverified(assertion, jwt.MapClaims{})
	if unverified == nil || unverified.Header == nil {
		return unverifiable
	}
	// Coze documents alg, typ and kid as required. That anything else counts as an unknown key is our
	// guess.
	kid, _ := unverified.Header["kid"].(string)
	s.mu.Lock()
	key, known := s.keys[kid]
	s.mu.Unlock()
	if unverified.Header["alg"] != "RS256" || unverified.Header["typ"] != "JWT" || !known {
		return unregistered
	}
	token, err := parser.Parse(assertion, func(*jwt.Token) (any, error) { return key.public, nil })
	if err != nil {
		return unverifiable
	}
	claims := token.Claims.(jwt.MapClaims)
	if claims["iss"] != key.clientID { // as Coze answers to a client id that is not the app's
		return unregistered
	}
	if name, _, err := net.SplitHostPort(host); claims["aud"] != s.options.Audience && claims["aud"] != host &&
		(err != nil || claims["aud"] != name) {
		return invalidJWT("aud must be the string " + s.options.Audience)
	}
	expires, fail := s.judgeTimes(claims, now.Unix())
	if fail != nil {
		return fail
	}
	// "More than 32 bytes advised" [doc] is read as: at least 32, and required.
	jti, ok := claims["jti"].(string)
	if !ok || jti == "" || len(jti) < s.options.MinJTI {
		return invalidJWT(fmt.Sprintf("jti must be a string of at least %d bytes", s.options.MinJTI))
	}
	session, ok := claims["session_name"].(string)
	if !ok && claims["session_name"] != nil {
		return invalidJWT("session_name must be a string")
	}
	issue.SessionContext, fail = judgeSessionContext(claims["session_context"])
	if fail != nil {
		return fail
	}
	issue.ClientID, issue.KeyID, issue.JTI, issue.Session = key.clientID, kid, jti, session
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.used.take(key.clientID, jti, expires+s.leeway(), now.Unix()) {
		return invalidJWT("it was used before, or its jti was")
	}
	return nil
}

func (s *Sandbox) leeway() int64 { return int64(s.options.Leeway / time.Second) }

// judgeTimes checks iat and exp. Coze states no maximum of their distance, so there is none here.
func (s *Sandbox) judgeTimes(claims jwt.MapClaims, now int64) (expires int64, fail *refusal) {
	issuedAt, ok := integer(claims["iat"])
	if !ok {
		return 0, invalidJWT("iat must be a whole number of seconds")
	}
	expires, ok = integer(claims["exp"])
	switch {
	case !ok:
		return 0, invalidJWT("exp must be a whole number of seconds")
	case expires <= issuedAt:
		return 0, invalidJWT("exp must be later than iat")
	case issuedAt > now+s.leeway():
		return 0, invalidJWT("iat is in the future")
	case expires <= now-s.leeway():
		return 0, invalidJWT("it has expired")
	}
	return expires, nil
}

// maxUnix is the last second of the year 9999. A time beyond it is a mistake, milliseconds mostly.
const maxUnix = 253402300799

func integer(claim any) (n int64, ok bool) {
	number, ok := claim.(json.Number)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(number.String(), 10, 64)
	return n, err == nil && n >= 0 && n <= maxUnix
}

// judgeSessionContext checks that the known members are strings. Others are let pass, since Coze has
// added members before. To send one of device_id and custom_consumer is advice, and coze-go sends
// both.
func judgeSessionContext(claim any) (json.RawMessage, *refusal) {
	if claim == nil {
		return nil, nil
	}
	raw, err := json.Marshal(claim)
	if err != nil {
		return nil, invalidJWT("session_context")
	}
	var known struct {
		DeviceInfo struct {
			DeviceID       string `json:"device_id"`
			CustomConsumer string `json:"custom_consumer"`
		} `json:"device_info"`
		ConnectorInfo struct {
			ConnectorID string `json:"connector_id"`
		} `json:"connector_info"`
	}
	if err := json.Unmarshal(raw, &known); err != nil {
		return nil, invalidJWT("session_context is not of the documented form")
	}
	return raw, nil
}

func judgeContentType(values []string) *refusal {
	if len(values) != 1 {
		return invalidRequest("Content-Type")
	}
	media, parameters, err := mime.ParseMediaType(values[0])
	charset := parameters["charset"]
	if err != nil || media != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return invalidRequest("Content-Type")
	}
	return nil
}

// bodyMembers are those that are documented, and what coze-go sends besides. Whether Coze minds
// others is not known; the sandbox does, because a misspelt duration_seconds would otherwise pass
// as the default.
var bodyMembers = []string{"grant_type", "duration_seconds", "scope", "client_id", "account_id", "enterprise_id",
	"log_id"}

// judgeBody checks the body and fills in what it asks for. A member that is null counts as absent.
func judgeBody(body []byte, kind Kind, issue *Issue) *refusal {
	var given map[string]json.RawMessage
	if len(body) > maxBody || json.Unmarshal(body, &given) != nil || given == nil {
		return invalidRequest("body")
	}
	for name, value := range given {
		if string(value) == "null" {
			delete(given, name)
		}
	}
	var grant string
	if json.Unmarshal(given["grant_type"], &grant) != nil || grant != grantType {
		return unsupportedGrant(grant)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(bodyMembers, name) {
			return invalidRequest(name)
		}
	}
	// 900 by default, 86399 at most [doc]. That 1 is the least is our guess.
	seconds := int64(coze.DefaultDuration / time.Second)
	if raw, ok := given["duration_seconds"]; ok {
		var err error
		seconds, err = strconv.ParseInt(string(raw), 10, 64)
		if err != nil || seconds < 1 || seconds > int64(coze.MaxDuration/time.Second) {
			return invalidRequest("duration_seconds")
		}
	}
	issue.Duration = time.Duration(seconds) * time.Second
	for name, want := range map[string]string{
		"client_id":     issue.ClientID,
		"account_id":    issue.AccountID,
		"enterprise_id": issue.EnterpriseID,
	} {
		if raw, ok := given[name]; ok && strings.Trim(string(raw), `"`) != want { // coze-go sends account_id as a number
			return invalidRequest(name)
		}
	}
	if scope, ok := given["scope"]; ok {
		if kind != Channel || !bytes.HasPrefix(scope, []byte("{")) {
			return invalidRequest("scope")
		}
		issue.Scope = scope
	}
	return nil
}
