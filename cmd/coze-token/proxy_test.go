package main

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"sync"
	"testing"
)

// Coze is asked through the proxy that the environment names, unless NO_PROXY excepts it.
func TestProxy(t *testing.T) {
	_, environ := startSandboxServer(t)
	// No such host exists, and none that is this machine itself would be asked through a proxy.
	environ = append(environ, "TOKEN_ENDPOINT=https://coze.invalid/api/permission/oauth2/token")
	for name, c := range map[string]struct {
		variable, except string
		want             []string
	}{
		"named":      {"HTTPS_PROXY", "", []string{"CONNECT coze.invalid:443"}},
		"for all":    {"ALL_PROXY", "", []string{"CONNECT coze.invalid:443"}},
		"lower case": {"all_proxy", "", []string{"CONNECT coze.invalid:443"}},
		"excepted":   {"HTTPS_PROXY", "coze.invalid", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var asked []string
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, r.Method+" "+r.Host)
				w.WriteHeader(http.StatusForbidden)
			}))
			t.Cleanup(proxy.Close)
			cmd := exec.Command("coze-token", "mint")
			cmd.Env = append(environ, c.variable+"="+proxy.URL, "NO_PROXY="+c.except)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Errorf("a token came from nowhere: %s", out)
			}
			mu.Lock()
			defer mu.Unlock()
			if asked = slices.Compact(asked); !slices.Equal(asked, c.want) { // it tries more than once
				t.Errorf("the proxy was asked %q, not %q: %s", asked, c.want, out)
			}
		})
	}
}
