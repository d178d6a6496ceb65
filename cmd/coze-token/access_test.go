package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"coze-token/sandbox"
)

// TestForwardedAddresses shows whose requests are counted behind a proxy. On Workers the platform
// knows, so this is no part of the contract.
func TestForwardedAddresses(t *testing.T) {
	sb, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	coze := httptest.NewServer(sb)
	t.Cleanup(coze.Close)
	for _, c := range []struct {
		name, proxies string
		forwarded     []string
		want          string // the statuses
	}{
		{"no proxy is trusted", "", []string{"203.0.113.1", "203.0.113.2", "203.0.113.3"}, "200 200 429"},
		{"each client is counted", "private", []string{"203.0.113.1", "203.0.113.1", "203.0.113.1", "203.0.113.2"},
			"200 200 429 200"},
		{"what a client made up is not", "127.0.0.1",
			[]string{"198.51.100.1, 203.0.113.1", "198.51.100.2, 203.0.113.1", "198.51.100.3, 203.0.113.1"}, "200 200 429"},
		{"IPv6 by its network", "127.0.0.0/8", []string{"2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"},
			"200 200 429 200"},
		{"another proxy is trusted", "192.0.2.1", []string{"203.0.113.1", "203.0.113.2", "203.0.113.3"}, "200 200 429"},
	} {
		t.Run(c.name, func(t *testing.T) {
			environ := []string{"LISTEN=127.0.0.1:0", "RATE_LIMIT=2"}
			for name, value := range sb.Settings(coze.URL) {
				environ = append(environ, name+"="+value)
			}
			if c.proxies != "" {
				environ = append(environ, "TRUSTED_PROXIES="+c.proxies)
			}
			var log logBuffer
			url := serve(t, &log, environ...)
			var got []string
			for _, address := range c.forwarded {
				r, err := http.NewRequest("POST", url+"/", nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("X-Forwarded-For", address)
				response, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				response.Body.Close()
				got = append(got, fmt.Sprint(response.StatusCode))
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("the statuses are %v, not %s", got, c.want)
			}
		})
	}
}
