package contract

import (
	"strings"
	"testing"
	"unicode"

	"coze-token/internal/auth"
)

// checkLanguage checks that a failure is in the language that its request asked for.
func (a answer) checkLanguage(t *testing.T, body failureBody) {
	t.Helper()
	want, chinese := "en", strings.HasPrefix(a.Request.Header.Get("Accept-Language"), "zh")
	if chinese {
		want = "zh-CN"
	}
	if got := a.Header.Get("Content-Language"); got != want {
		t.Errorf("%s: Content-Language is %q, not %q", body.Code, got, want)
	}
	if vary := a.Header.Values("Vary"); len(vary) == 0 || !strings.HasSuffix(vary[len(vary)-1], "Accept-Language") {
		t.Errorf("%s: Vary is %q", body.Code, vary)
	}
	texts := []string{body.Error, body.Hint}
	if body.Code == "misconfigured" { // the hint may be the host's own
		texts = texts[:1]
	}
	for _, text := range texts {
		if isChinese(text) != chinese {
			t.Errorf("%s: asked for %q, it says %q", body.Code, a.Request.Header.Get("Accept-Language"), text)
		}
	}
}

// isChinese reports whether a text is a Chinese one. An English one may quote a word of Coze's console.
func isChinese(text string) bool {
	text = strings.NewReplacer("服务类应用", "", "渠道", "").Replace(text)
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

// testLanguage asks for languages as browsers and people do.
func testLanguage(t *testing.T, b Build) {
	s := start(t, b, map[string]string{"ALLOWED_ORIGINS": exact, "API_KEYS": "backend=" + auth.NewKey()})
	for header, chinese := range map[string]bool{
		"zh":                               true,
		"zh-CN":                            true,
		"ZH-hans-cn":                       true,
		"zh-TW,zh;q=0.9,en-US;q=0.8":       true,
		"en;q=0.8, zh;q=0.9":               true,
		"fr;q=0, zh;q=0.1":                 true,
		"en":                               false,
		"en-US,en;q=0.9,zh-CN;q=0.8":       false,
		"ja,zh;q=0.5":                      false, // who reads neither gets English
		"*":                                false,
		"zh;q=0":                           false,
		"zhx":                              false,
		"zh;q=2, en":                       false,
		strings.Repeat("en;q=0.1,", 50):    false,
		"\"; <script>, zh;;;q=, zh;q=nan,": false,
	} {
		for name, a := range map[string]answer{
			"nobody":     s.post(t, "Accept-Language", header),
			"nowhere":    s.do(t, "POST", "/nowhere", nil, "Accept-Language", header),
			"other page": s.post(t, "Accept-Language", header, "Origin", "https://evil.example"),
		} {
			var body failureBody
			decode(t, a.body, &body)
			if isChinese(body.Error) != chinese || isChinese(body.Hint) != chinese ||
				a.Header.Get("Content-Language") != map[bool]string{true: "zh-CN", false: "en"}[chinese] {
				t.Errorf("%q, %s: %q, %s", header, name, a.Header.Get("Content-Language"), a.body)
			}
			for _, challenge := range a.Header.Values("WWW-Authenticate") {
				if isChinese(challenge) {
					t.Errorf("%q, %s: a challenge is ASCII: %q", header, name, challenge)
				}
			}
		}
	}
	a := s.post(t, "Origin", exact, "Accept-Language", "zh")
	if vary := strings.Join(a.Header.Values("Vary"), ", "); vary != "Origin, Accept-Language" {
		t.Errorf("a page's failure varies by %q", vary)
	}
	open := start(t, b, nil)
	if a := open.post(t, "Accept-Language", "zh"); a.StatusCode != 200 || a.Header["Content-Language"] != nil ||
		a.Header["Vary"] != nil {
		t.Errorf("a token has no language: %d %v", a.StatusCode, a.Header)
	}
}
