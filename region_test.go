package cozetoken_test

import (
	"strings"
	"testing"

	"coze-token/coze"
)

func TestRegion(t *testing.T) {
	const (
		cn, com = "api.coze.cn", "api.coze.com"
		proxy   = "https://proxy.example.com/coze"
		local   = "http://127.0.0.1:8788"
		path    = coze.TokenPath
	)
	tests := map[string]struct {
		set                        []string
		audience, endpoint, region string
		warning                    string
	}{
		"nothing":        {nil, cn, coze.China.Endpoint, "cn", ""},
		"cn":             {[]string{"COZE_REGION", "cn"}, cn, coze.China.Endpoint, "cn", ""},
		"com":            {[]string{"COZE_REGION", "COM"}, com, coze.Global.Endpoint, "com", ""},
		"audience alone": {[]string{"AUDIENCE", com}, com, coze.Global.Endpoint, "com", ""},
		"endpoint alone": {[]string{"TOKEN_ENDPOINT", coze.Global.Endpoint}, com, coze.Global.Endpoint, "com", ""},
		"all agree": {[]string{"COZE_REGION", "com", "AUDIENCE", com, "TOKEN_ENDPOINT", coze.Global.Endpoint},
			com, coze.Global.Endpoint, "com", ""},
		"base":            {[]string{"COZE_API_BASE", "https://api.coze.com"}, com, coze.Global.Endpoint, "com", ""},
		"base with slash": {[]string{"COZE_API_BASE", "https://api.coze.com/"}, com, coze.Global.Endpoint, "com", ""},
		"base of a proxy": {[]string{"COZE_API_BASE", proxy, "COZE_REGION", "com"}, com, proxy + path, "custom", ""},
		"proxy alone": {[]string{"TOKEN_ENDPOINT", proxy + path}, cn, proxy + path, "custom",
			"TOKEN_ENDPOINT: set COZE_REGION"},
		"base of proxy alone": {[]string{"COZE_API_BASE", proxy}, cn, proxy + path, "custom",
			"COZE_API_BASE: set COZE_REGION"},
		"proxy and audience": {[]string{"TOKEN_ENDPOINT", proxy + path, "AUDIENCE", com}, com, proxy + path, "custom",
			""},
		"sandbox": {[]string{"TOKEN_ENDPOINT", local + path}, cn, local + path, "custom", ""},
		"sandbox on ::1": {[]string{"TOKEN_ENDPOINT", "http://[::1]:1/token"}, cn, "http://[::1]:1/token", "custom",
			""},
		"sandbox on localhost": {[]string{"TOKEN_ENDPOINT", "http://LocalHost:1/token"}, cn, "http://localhost:1/token",
			"custom", ""},
		"sandbox on 127.1.2.3": {[]string{"TOKEN_ENDPOINT", "http://127.1.2.3/token"}, cn, "http://127.1.2.3/token",
			"custom", ""},
		"capitals": {[]string{"TOKEN_ENDPOINT", "HTTPS://API.Coze.com" + path}, com, coze.Global.Endpoint,
			"com", ""},
		"capitals in audience": {[]string{"AUDIENCE", "API.coze.com"}, com, coze.Global.Endpoint, "com", ""},
		"port": {[]string{"TOKEN_ENDPOINT", "https://api.coze.com:443" + path}, com,
			"https://api.coze.com:443" + path, "com", ""},
		"trailing slash": {[]string{"TOKEN_ENDPOINT", coze.China.Endpoint + "/"}, cn, coze.China.Endpoint, "cn", ""},
		"foreign audience": {[]string{"AUDIENCE", "coze.corp.example"}, "coze.corp.example", coze.China.Endpoint,
			"custom", "AUDIENCE: documents api.coze.cn"},
		"website": {[]string{"COZE_API_BASE", "https://www.coze.com", "COZE_REGION", "com"}, com,
			"https://www.coze.com" + path, "custom", "COZE_API_BASE: website"},
		"deceptively named": {[]string{"TOKEN_ENDPOINT", "https://api.coze.com.example.org/t", "COZE_REGION", "cn"},
			cn, "https://api.coze.com.example.org/t", "custom", ""},
		"fallback gives way": {[]string{"COZE_API_BASE", "https://api.coze.com", "TOKEN_ENDPOINT",
			coze.Global.Endpoint}, com, coze.Global.Endpoint, "com", ""},
		"audience beside region": {[]string{"AUDIENCE", "coze.corp.example", "COZE_REGION", "com"}, "coze.corp.example",
			coze.Global.Endpoint, "custom", "AUDIENCE: documents"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, warnings := mustRead(t, with(test.set...), native)
			if s.OAuth.Audience != test.audience || s.OAuth.Endpoint != test.endpoint || s.Region != test.region {
				t.Errorf("got %s %s %s\nwant %s %s %s", s.OAuth.Audience, s.OAuth.Endpoint, s.Region, test.audience,
					test.endpoint, test.region)
			}
			if test.warning == "" {
				checkWarnings(t, warnings)
			} else {
				checkWarnings(t, warnings, test.warning)
			}
		})
	}
}

func TestRegionFaults(t *testing.T) {
	tests := map[string]struct {
		set  []string
		want []string
	}{
		"unknown region": {[]string{"COZE_REGION", "us"}, []string{"COZE_REGION: use cn or com"}},
		"region, audience": {[]string{"COZE_REGION", "cn", "AUDIENCE", "api.coze.com"},
			[]string{"AUDIENCE: COZE_REGION is of coze.cn"}},
		"region, endpoint": {[]string{"COZE_REGION", "cn", "TOKEN_ENDPOINT", coze.Global.Endpoint},
			[]string{"TOKEN_ENDPOINT: COZE_REGION is of coze.cn"}},
		"region, base": {[]string{"COZE_REGION", "cn", "COZE_API_BASE", "https://api.coze.com"},
			[]string{"COZE_API_BASE: COZE_REGION is of coze.cn"}},
		"audience, endpoint": {[]string{"AUDIENCE", "api.coze.cn", "TOKEN_ENDPOINT", coze.Global.Endpoint},
			[]string{"TOKEN_ENDPOINT: AUDIENCE is of coze.cn"}},
		"audience scheme":  {[]string{"AUDIENCE", "https://api.coze.com"}, []string{"AUDIENCE: write api.coze.com"}},
		"audience url":     {[]string{"AUDIENCE", "https://api.coze.com/v1"}, []string{"AUDIENCE: write api.coze.com"}},
		"audience port":    {[]string{"AUDIENCE", "api.coze.com:443"}, []string{"AUDIENCE: has a port"}},
		"audience path":    {[]string{"AUDIENCE", "api.coze.com/"}, []string{"AUDIENCE: has a path"}},
		"audience website": {[]string{"AUDIENCE", "www.coze.cn"}, []string{"AUDIENCE: write api.coze.cn"}},
		"audience words":   {[]string{"AUDIENCE", "coze china"}, []string{"AUDIENCE: not a host name"}},
		"no scheme": {[]string{"TOKEN_ENDPOINT", "api.coze.cn" + coze.TokenPath},
			[]string{"TOKEN_ENDPOINT: put https:// in front"}},
		"no scheme, port": {[]string{"TOKEN_ENDPOINT", "localhost:8788/token"},
			[]string{"TOKEN_ENDPOINT: has no scheme"}},
		"base, no scheme": {[]string{"COZE_API_BASE", "api.coze.cn"}, []string{"COZE_API_BASE: put https:// in front"}},
		"public http": {[]string{"TOKEN_ENDPOINT", "http://api.coze.cn" + coze.TokenPath},
			[]string{"TOKEN_ENDPOINT: use https"}},
		"http on the network": {[]string{"TOKEN_ENDPOINT", "http://10.0.0.1/token"},
			[]string{"TOKEN_ENDPOINT: http to another machine"}},
		"http, like localhost": {[]string{"TOKEN_ENDPOINT", "http://localhost.example.com/token"},
			[]string{"TOKEN_ENDPOINT: http to another machine"}},
		"http, like 127": {[]string{"TOKEN_ENDPOINT", "http://127.0.0.1.example.com/token"},
			[]string{"TOKEN_ENDPOINT: http to another machine"}},
		"ftp": {[]string{"TOKEN_ENDPOINT", "ftp://api.coze.cn/token"},
			[]string{`TOKEN_ENDPOINT: the scheme "ftp"`}},
		"user": {[]string{"TOKEN_ENDPOINT", "https://me:hunter2@api.coze.cn/token"},
			[]string{"TOKEN_ENDPOINT: user name or password"}},
		"query": {[]string{"TOKEN_ENDPOINT", coze.China.Endpoint + "?"},
			[]string{"TOKEN_ENDPOINT: has a query"}},
		"fragment": {[]string{"TOKEN_ENDPOINT", coze.China.Endpoint + "#"},
			[]string{"TOKEN_ENDPOINT: has a fragment"}},
		"all of it": {[]string{"TOKEN_ENDPOINT", "http://me@api.coze.cn/?a=b#c"},
			[]string{"TOKEN_ENDPOINT: http to another", "TOKEN_ENDPOINT: user name", "TOKEN_ENDPOINT: query",
				"TOKEN_ENDPOINT: fragment", "TOKEN_ENDPOINT: has no path"}},
		"no path": {[]string{"TOKEN_ENDPOINT", "https://api.coze.cn"},
			[]string{"TOKEN_ENDPOINT: append " + coze.TokenPath}},
		"no host": {[]string{"TOKEN_ENDPOINT", "https:///token"}, []string{"TOKEN_ENDPOINT: not a valid URL"}},
		"bad port": {[]string{"TOKEN_ENDPOINT", "https://api.coze.cn:99999/token"},
			[]string{"TOKEN_ENDPOINT: not a valid URL"}},
		"odd host":  {[]string{"TOKEN_ENDPOINT", "https://a,b/token"}, []string{"TOKEN_ENDPOINT: not a valid URL"}},
		"not a URL": {[]string{"TOKEN_ENDPOINT", "https://%zz/token"}, []string{"TOKEN_ENDPOINT: not a valid URL"}},
		"base of version 1": {[]string{"COZE_API_BASE", "https://api.coze.com/v1"},
			[]string{"COZE_API_BASE: use https://api.coze.com"}},
		"whole base": {[]string{"COZE_API_BASE", coze.China.Endpoint},
			[]string{"COZE_API_BASE: put it into TOKEN_ENDPOINT"}},
		"base, query": {[]string{"COZE_API_BASE", "https://api.coze.cn?x"}, []string{"COZE_API_BASE: has a query"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			faults := faultsOf(t, with(test.set...), native)
			checkFaults(t, faults, test.want...)
			if strings.Contains(faults.Error(), "hunter2") {
				t.Error("a password is quoted")
			}
		})
	}
}
