package contract

import (
	"strconv"
	"strings"
	"testing"
)

// testQuickstart makes the requests that the pages of Coze's quickstarts make.
func testQuickstart(t *testing.T, b Build) {
	const page, key = "https://www.example.com", "0123456789abcdefghijklmnopqrstuvwxyz"
	script := []string{"Content-Type", "application/json", "X-Requested-With", "XMLHttpRequest"}
	asPage := append([]string{"Origin", page}, script...)

	off := start(t, b, nil)
	off.do(t, "POST", "/get_jwt_token", nil).failure(t, 404, "not_found")
	off.do(t, "GET", "/callback", nil, script...).failure(t, 404, "not_found")

	s := start(t, b, map[string]string{"COMPAT": "quickstart", "ALLOWED_ORIGINS": page})
	want := s.post(t, "Origin", page).token(t)
	var data struct {
		Code int `json:"code"`
		Data struct {
			AccessToken string `json:"access_token"`
			ExpiresIn   int64  `json:"expires_in"`
			TokenType   string `json:"token_type"`
		} `json:"data"`
	}
	a := s.do(t, "POST", "/get_jwt_token", nil, "Origin", page, "Content-Type", "application/json")
	decode(t, a.body, &data)
	if a.StatusCode != 200 || data.Code != 0 || data.Data.AccessToken != want.AccessToken ||
		data.Data.ExpiresIn != want.ExpiresIn || data.Data.TokenType != want.TokenType {
		t.Errorf("/get_jwt_token: status %d, or not the token of POST /", a.StatusCode)
	}
	var callback struct {
		TokenType    string  `json:"token_type"`
		AccessToken  string  `json:"access_token"`
		RefreshToken *string `json:"refresh_token"`
		ExpiresIn    string  `json:"expires_in"`
	}
	a = s.do(t, "GET", "/callback", nil, asPage...)
	decode(t, a.body, &callback)
	end, words, _ := strings.Cut(callback.ExpiresIn, " ")
	if a.StatusCode != 200 || callback.AccessToken != want.AccessToken || callback.TokenType != want.TokenType ||
		callback.RefreshToken == nil || *callback.RefreshToken != "" ||
		end != strconv.FormatInt(want.ExpiresIn, 10) || !strings.HasPrefix(words, "(") {
		t.Errorf("/callback: status %d, expires_in %q, or not the token of POST /", a.StatusCode, callback.ExpiresIn)
	}

	// What keeps pages out at / keeps them out here.
	preflight := s.do(t, "OPTIONS", "/callback", nil, "Origin", page, "Access-Control-Request-Method", "GET",
		"Access-Control-Request-Headers", "content-type,x-requested-with")
	if allowed := preflight.Header.Get("Access-Control-Allow-Headers"); preflight.StatusCode != 204 ||
		!strings.Contains(allowed, "X-Requested-With") || !strings.Contains(allowed, "Content-Type") {
		t.Errorf("preflight: status %d, Access-Control-Allow-Headers %q", preflight.StatusCode, allowed)
	}
	other := append([]string{"Origin", "https://other.example"}, script...)
	s.do(t, "GET", "/callback", nil, other...).failure(t, 403, "forbidden")
	s.do(t, "POST", "/get_jwt_token", nil, other...).failure(t, 403, "forbidden")
	s.do(t, "GET", "/callback", nil).failure(t, 404, "not_found")
	for path, allow := range map[string]string{"/get_jwt_token": "POST", "/callback": "GET"} {
		a := s.do(t, "PUT", path, nil, asPage...)
		a.failure(t, 405, "method_not_allowed")
		if got := a.Header.Get("Allow"); got != allow {
			t.Errorf("%s: Allow is %q", path, got)
		}
	}

	keys := start(t, b, map[string]string{"COMPAT": "quickstart", "API_KEYS": "page=" + key})
	keys.do(t, "GET", "/callback", nil, script...).failure(t, 401, "unauthenticated")
	keys.do(t, "POST", "/get_jwt_token", nil).failure(t, 401, "unauthenticated")
	known := append([]string{"Authorization", "Bearer " + key}, script...)
	if a := keys.do(t, "GET", "/callback", nil, known...); a.StatusCode != 200 {
		t.Errorf("with a key: status %d: %s", a.StatusCode, a.body)
	}
	large := strings.NewReader(strings.Repeat("x", 17<<10)) // a GET's body is nothing
	if a := keys.do(t, "GET", "/callback", large, known...); a.StatusCode != 200 {
		t.Errorf("with a body: status %d: %s", a.StatusCode, a.body)
	}
	limited := start(t, b, map[string]string{"COMPAT": "quickstart", "RATE_LIMIT": "1"})
	limited.do(t, "POST", "/get_jwt_token", nil)
	limited.do(t, "GET", "/callback", nil, script...).failure(t, 429, "rate_limited")
}
