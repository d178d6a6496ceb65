package main_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// In wrangler.jsonc a variable may be JSON. Such a setting must not be ignored: it may close the
// service.
func TestVariablesInJSON(t *testing.T) {
	b := &workerBuild{t: t, artefact: artefact(t)}
	coze, cozeURL := startCoze(t)
	ask := func(t *testing.T, vars map[string]any) (status int, body string) {
		for name, text := range coze.Settings(cozeURL) {
			vars[name] = text
		}
		response, err := http.Post(b.start(t, vars)+"/", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		data, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(data)
	}
	login := map[string]any{"issuer": "https://login.example", "audiences": []string{"page"}}
	for name, c := range map[string]struct {
		vars   map[string]any
		status int
		want   string
	}{
		"a list":               {map[string]any{"LOGINS": []any{login}}, 401, "unauthenticated"},
		"true":                 {map[string]any{"SESSION_REQUIRED": true}, 400, "invalid_session"},
		"a number":             {map[string]any{"RATE_LIMIT": 0.5}, 500, "RATE_LIMIT"},
		"a number that is cut": {map[string]any{"ACCOUNT_ID": 7480123456789012345}, 500, "ACCOUNT_ID"},
		"a good number":        {map[string]any{"RATE_LIMIT": 2, "SESSION_REQUIRED": false}, 200, "access_token"},
	} {
		t.Run(name, func(t *testing.T) {
			if status, body := ask(t, c.vars); status != c.status || !strings.Contains(body, c.want) {
				t.Errorf("status %d: %s", status, body)
			}
		})
	}
}
