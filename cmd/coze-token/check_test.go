package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
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
