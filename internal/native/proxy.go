//go:build !wasip1

package native

import (
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"coze-token/internal/fault"
)

// proxyVariables are the environment variables that name a proxy, as curl reads them.
var proxyVariables = []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"}

// proxyFromEnvironment is the proxy of a request. Unlike net/http it also reads ALL_PROXY.
func proxyFromEnvironment() func(*http.Request) (*url.URL, error) {
	config := httpproxy.FromEnvironment()
	for _, name := range []string{"ALL_PROXY", "all_proxy"} {
		all := os.Getenv(name)
		if config.HTTPSProxy == "" {
			config.HTTPSProxy = all
		}
		if config.HTTPProxy == "" {
			config.HTTPProxy = all
		}
	}
	proxy := config.ProxyFunc()
	return func(r *http.Request) (*url.URL, error) { return proxy(r.URL) }
}

// CheckProxies says what is wrong with the variables that name a proxy. net/http passes over those
// that it cannot read, and sends to Coze directly.
func CheckProxies() (faults fault.List) {
	for _, name := range proxyVariables {
		text := os.Getenv(name)
		if text == "" {
			continue
		}
		if f := checkProxy(text); f != nil {
			f.Setting = name
			faults = append(faults, *f)
		}
	}
	return faults
}

// checkProxy quotes nothing of the text, which may hold a password.
func checkProxy(text string) *fault.Fault {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Hostname() == "", strings.ContainsAny(text, "#? "), u.Path != "" && u.Path != "/":
		f := fault.New("is not the URL of a proxy", "write it as http://proxy.example.com:3128, and characters of the "+
			"password that mean something in a URL as %%XX: / is %%2F, # is %%23, ? is %%3F, @ is %%40, %% is %%25, "+
			"a space is %%20")
		return &f
	case !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme):
		f := fault.New("names a proxy of a kind that cannot be used", "use http://, https://, socks5:// or socks5h://")
		return &f
	}
	return nil
}
