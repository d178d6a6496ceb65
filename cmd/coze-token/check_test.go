package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"coze-token/sandbox"
)

// The clock's verdict says which clock is ahead, by the Date of Coze's answer. A slow machine makes
// this clock look ahead, so the least of the skews that are warned of is one of these, and the
// others leave it time.
func TestClock(t *testing.T) {
	for name, c := range map[string]struct {
		date func() string
		want string
	}{
		"alike": {func() string { return date(0) }, `^ok    clock       agrees`},
		"ahead": {func() string { return date(-8 * time.Second) },
			`^warn  clock       this machine's clock is \d+s ahead of Coze's`},
		"far ahead": {func() string { return date(-time.Hour) },
			`^warn  clock       this machine's clock is 1h0m\d+s ahead of Coze's`},
		"behind": {func() string { return date(time.Minute) },
			`^warn  clock       this machine's clock is (1m0|\d\d)s behind Coze's`},
		"not given":  {func() string { return "" }, `^warn  clock       the answer has no Date`},
		"not a date": {func() string { return "yesterday" }, `^warn  clock       the answer has no Date`},
	} {
		t.Run(name, func(t *testing.T) {
			sb, err := sandbox.New(sandbox.Options{Key: scriptKey()})
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Date"] = nil // or the server would add it
				if date := c.date(); date != "" {
					w.Header().Set("Date", date)
				}
				sb.ServeHTTP(w, r)
			}))
			t.Cleanup(server.Close)
			var environ []string
			for name, value := range sb.Settings(server.URL) {
				environ = append(environ, name+"="+value)
			}
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), []string{"check"}, environ, &stdout, &stderr); code != exitOK {
				t.Errorf("check failed: %s%s", stdout.String(), stderr.String())
			}
			if !regexp.MustCompile(`(?m)` + c.want).MatchString(stdout.String()) {
				t.Errorf("%s is not in\n%s", c.want, stdout.String())
			}
		})
	}
}

// date is a Date header from a clock that is ahead.
func date(ahead time.Duration) string {
	return time.Now().Add(ahead).UTC().Format(http.TimeFormat)
}

// check asks WeChat whether it takes the mini program's id and secret, and logs nobody in.
func TestCheckWeChat(t *testing.T) {
	for answer, want := range map[string]string{
		`{"errcode":40029,"errmsg":"invalid code"}`: `ok    access      users of .* wx0123456789abcdef, whose`,
		`{"errcode":40125,"errmsg":"invalid appsecret"}`: `FAIL  access      .*: WeChat refuses the mini program's secret\n` +
			` +-> set WECHAT_APP_SECRET`,
		`{"errcode":-1,"errmsg":"system error"}`: `warn  access      users of .*: wechat_unavailable`,
	} {
		_, environ := startSandboxServer(t)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte(answer))
		}))
		t.Cleanup(server.Close)
		const secret = "0123456789abcdef0123456789abcdef"
		environ = append(environ,
			"WECHAT_APP_ID=wx0123456789abcdef", "WECHAT_APP_SECRET="+secret, "WECHAT_API_BASE="+server.URL)
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"check"}, environ, &stdout, &stderr)
		if !regexp.MustCompile(`(?m)^`+want).MatchString(stdout.String()) || (code == exitOK) != (want[:4] != "FAIL") {
			t.Errorf("%s: exit code %d:\n%s%s", answer, code, stdout.String(), stderr.String())
		}
		if bytes.Contains(append(stdout.Bytes(), stderr.Bytes()...), []byte(secret)) {
			t.Error("the secret is shown")
		}
	}
}

// What Coze says of a bot is shown, with the log id that its support asks for: on one line and not at
// any length.
func TestCheckBot(t *testing.T) {
	const logID = "2026112811053012345678901234567890"
	long := strings.Repeat("x", 400)
	for _, c := range []struct{ message, logID, want string }{
		{"the bot is gone", logID, "the bot is gone (logid " + logID + ")\n"},
		{"the bot is gone", "", "the bot is gone\n"},
		{"no such token: TOKEN", "", "no such token: [token]\n"},
		{"\n\x1b" + long, long, long[:300] + "… (logid " + long[:100] + "…)\n"},
	} {
		sb, err := sandbox.New(sandbox.Options{Key: scriptKey()})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != onlineInfo {
				sb.ServeHTTP(w, r)
				return
			}
			bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			w.Header().Set("X-Tt-Logid", c.logID)
			json.NewEncoder(w).Encode(map[string]any{"code": 4200, "msg": strings.ReplaceAll(c.message, "TOKEN", bearer)})
		}))
		t.Cleanup(server.Close)
		var environ []string
		for name, value := range sb.Settings(server.URL) {
			environ = append(environ, name+"="+value)
		}
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"check", "--bot", "73"}, environ, &stdout, &stderr)
		if want := "FAIL  bot         73: Coze says 4200: " + c.want; code != exitFailed || !strings.Contains(stdout.String(), want) {
			t.Errorf("exit code %d: %q is not in\n%s%s", code, want, stdout.String(), stderr.String())
		}
	}
}
