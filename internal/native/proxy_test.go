package native_test

import (
	"strings"
	"testing"

	"coze-token/internal/native"
)

// What the environment says of proxies is used or refused. It is never passed over.
func TestCheckProxies(t *testing.T) {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} {
		t.Setenv(name, "")
	}
	if faults := native.CheckProxies(); faults != nil {
		t.Errorf("no proxy: %v", faults)
	}
	for text, want := range map[string]string{
		"http://127.0.0.1:1":             "",
		"127.0.0.1:1":                    "",
		"proxy.example":                  "",
		"https://u:p%40@proxy.example/":  "",
		"socks5://proxy.example:1080":    "",
		"socks5h://u:p@proxy.example:1":  "",
		"http://u:hunter%zz@proxy:1":     "is not the URL of a proxy; write it as",
		"http://u:hunter#2@proxy:1":      "is not the URL of a proxy; write it as",
		"http://u:hunter 2@proxy:1":      "is not the URL of a proxy; write it as",
		"http://u:hunter/2@proxy:1":      "is not the URL of a proxy; write it as",
		"http://":                        "is not the URL of a proxy; write it as",
		"socks://u:hunter2@proxy:1080":   "of a kind that cannot be used; use http://",
		"socks4a://u:hunter2@proxy:1080": "of a kind that cannot be used; use http://",
	} {
		t.Setenv("ALL_PROXY", text)
		faults := native.CheckProxies()
		if said := faults.Error(); want == "" && faults != nil ||
			want != "" && (!strings.HasPrefix(said, "ALL_PROXY: ") || !strings.Contains(said, want)) ||
			strings.Contains(said, "hunter") {
			t.Errorf("%s: %v", text, said)
		}
	}
}
