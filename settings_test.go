package cozetoken_test

import (
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	cozetoken "coze-token"
	"coze-token/coze"
)

func TestDefaults(t *testing.T) {
	for _, options := range []cozetoken.Options{native, workers} {
		s, warnings := mustRead(t, with(), options)
		checkWarnings(t, warnings)
		app := s.OAuth
		if app.ClientID != clientID || len(app.Keys) != 1 || app.Keys[0].ID != keyID || app.Keys[0].Signer == nil {
			t.Errorf("app: %+v", app)
		}
		if app.Audience != coze.China.Audience || app.Endpoint != coze.China.Endpoint || s.Region != "cn" {
			t.Errorf("region: %s %s %s", app.Audience, app.Endpoint, s.Region)
		}
		if app.Scope != nil || app.SessionContext != (coze.SessionContext{}) || app.AccountID != "" ||
			app.EnterpriseID != "" {
			t.Errorf("app has more than it should: %+v", app)
		}
		if s.Duration != coze.DefaultDuration || app.AssertionLifetime != coze.DefaultAssertionLifetime ||
			s.Timeout != 10*time.Second {
			t.Errorf("durations: %v %v %v", s.Duration, app.AssertionLifetime, s.Timeout)
		}
		if s.Session != "" || s.LogLevel != slog.LevelInfo {
			t.Errorf("session %q, level %v", s.Session, s.LogLevel)
		}
		server := []string{s.Native.Listen, strconv.Itoa(s.Native.MaxConnections), s.Native.LogFormat, s.Native.TLSCertFile,
			s.Native.TLSKeyFile}
		want := []string{"127.0.0.1:8787", "1024", "auto", "", ""}
		if options.Workers {
			want = []string{"", "0", "", "", ""}
		}
		if strings.Join(server, " ") != strings.Join(want, " ") {
			t.Errorf("server settings %q, want %q", server, want)
		}
	}
}

func TestValues(t *testing.T) {
	pem := map[string]string{"/c": "-----BEGIN CERTIFICATE-----\n", "/k": "-----BEGIN EC PRIVATE KEY-----\n",
		"/p": privatePEM(), "k.pem": privatePEM()}
	options := cozetoken.Options{ReadFile: files(pem)}
	tests := map[string]struct {
		env  map[string]string
		good func(*view) bool
	}{
		"least duration": {with("TOKEN_DURATION", "1"), func(s *view) bool { return s.Duration == time.Second }},
		"most duration":  {with("TOKEN_DURATION", " 86399 "), func(s *view) bool { return s.Duration == coze.MaxDuration }},
		"least lifetime": {with("ASSERTION_LIFETIME", "60"),
			func(s *view) bool { return s.OAuth.AssertionLifetime == time.Minute }},
		"most lifetime": {with("ASSERTION_LIFETIME", "86400"),
			func(s *view) bool { return s.OAuth.AssertionLifetime == 24*time.Hour }},
		"timeout": {with("UPSTREAM_TIMEOUT", "60"), func(s *view) bool { return s.Timeout == time.Minute }},
		"blank is not set": {with("TOKEN_DURATION", " \t", "SCOPE", ""),
			func(s *view) bool { return s.Duration == coze.DefaultDuration }},
		"white space": {with("CLIENT_ID", " \t"+clientID+"\r\n"),
			func(s *view) bool { return s.OAuth.ClientID == clientID }},
		"JSON's on": {with("SESSION_REQUIRED", "true", "CACHE", "True"),
			func(s *view) bool { return s.Sessions.Required && !s.broker.Off }},
		"JSON's off": {with("SESSION_REQUIRED", "false", "CACHE", "false"),
			func(s *view) bool { return !s.Sessions.Required && s.broker.Off }},
		"session": {with("DEFAULT_SESSION", "访客 🙂"),
			func(s *view) bool { return s.Session == "访客 🙂" }},
		"longest session": {with("DEFAULT_SESSION", strings.Repeat("s", 256)),
			func(s *view) bool { return len(s.Session) == 256 }},
		"account": {with("ACCOUNT_ID", "7388"), func(s *view) bool {
			u, _ := s.OAuth.TokenURL()
			return strings.HasSuffix(u, "/account/7388/token")
		}},
		"enterprise": {with("ENTERPRISE_ID", "volcano_2101"),
			func(s *view) bool { return s.OAuth.EnterpriseID == "volcano_2101" }},
		"scope": {with("SCOPE", "'{ \"account_permission\": {} }'"),
			func(s *view) bool { return string(s.OAuth.Scope) == `{"account_permission":{}}` }},
		"device": {with("DEVICE_ID", "d 1"),
			func(s *view) bool { return s.OAuth.SessionContext.DeviceID == "d 1" }},
		"consumer": {with("CUSTOM_CONSUMER", "公司"),
			func(s *view) bool { return s.OAuth.SessionContext.CustomConsumer == "公司" }},
		"connector": {with("CONNECTOR_ID", "2001"),
			func(s *view) bool { return s.OAuth.SessionContext.ConnectorID == "2001" }},
		"listen": {with("LISTEN", "[::1]:0"), func(s *view) bool { return s.Native.Listen == "[::1]:0" }},
		"listen on a socket": {with("LISTEN", "unix:/run/x.sock", "SOCKET_MODE", "600", "SOCKET_OWNER", "a:b"),
			func(s *view) bool {
				return s.Native.Listen == "unix:/run/x.sock" && s.Native.SocketMode == 0o600 && s.Native.SocketOwner == "a:b"
			}},
		"drain":             {with("DRAIN_DELAY", "5"), func(s *view) bool { return s.Native.DrainDelay == 5*time.Second }},
		"listen everywhere": {with("LISTEN", ":80"), func(s *view) bool { return s.Native.Listen == ":80" }},
		"port":              {with("PORT", "8080"), func(s *view) bool { return s.Native.Listen == ":8080" }},
		"listen wins": {with("PORT", "tcp://nonsense", "LISTEN", "localhost:1"),
			func(s *view) bool { return s.Native.Listen == "localhost:1" }},
		"connections": {with("MAX_CONNECTIONS", "1"), func(s *view) bool { return s.Native.MaxConnections == 1 }},
		"tls": {with("TLS_CERT_FILE", "/c", "TLS_KEY_FILE", "/k"),
			func(s *view) bool { return s.Native.TLSCertFile == "/c" && s.Native.TLSKeyFile == "/k" }},
		"level":                {with("LOG_LEVEL", "WARN"), func(s *view) bool { return s.LogLevel == slog.LevelWarn }},
		"format":               {with("LOG_FORMAT", "json"), func(s *view) bool { return s.Native.LogFormat == "json" }},
		"key file":             {with("PRIVATE_KEY", "-", "PRIVATE_KEY_FILE", "/p"), hasKey},
		"fallback key file":    {with("PRIVATE_KEY", "-", "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH", "/p"), hasKey},
		"relative key file":    {with("PRIVATE_KEY", "-", "PRIVATE_KEY_FILE", "k.pem"), hasKey},
		"fallback key":         {with("PRIVATE_KEY", "-", "COZE_JWT_OAUTH_PRIVATE_KEY", privatePEM()), hasKey},
		"key with literal \\n": {with("PRIVATE_KEY", strings.ReplaceAll(privatePEM(), "\n", `\n`)), hasKey},
		"key in base64":        {with("PRIVATE_KEY", base64Of(privatePEM())), hasKey},
		"key in quotes":        {with("PRIVATE_KEY", `"`+privatePEM()+`"`), hasKey},
		"fallback ids": {with("CLIENT_ID", "-", "KID", "-", "COZE_JWT_OAUTH_CLIENT_ID", "12",
			"COZE_JWT_OAUTH_PUBLIC_KEY_ID", keyID),
			func(s *view) bool { return s.OAuth.ClientID == "12" && s.OAuth.Keys[0].ID == keyID }},
		"own name wins": {with("COZE_JWT_OAUTH_CLIENT_ID", "12"), func(s *view) bool { return s.OAuth.ClientID == clientID }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if s, _ := mustRead(t, test.env, options); !test.good(s) {
				t.Errorf("%+v\n%+v", s, s.OAuth)
			}
		})
	}
}

func hasKey(s *view) bool {
	return len(s.OAuth.Keys) == 1 && coze.Fingerprint(s.OAuth.Keys[0].Signer.Public()) != "unknown"
}

func TestFaults(t *testing.T) {
	long := strings.Repeat("x", 257)
	pem := map[string]string{"/empty": " \n", "/public": publicPEM(), "/c": "-----BEGIN CERTIFICATE-----",
		"/k": "-----BEGIN PRIVATE KEY-----"}
	options := cozetoken.Options{ReadFile: files(pem)}
	tests := map[string]struct {
		env  map[string]string
		want []string
	}{
		"no settings at all": {nil, []string{"CLIENT_ID: is not set", "PRIVATE_KEY: or PRIVATE_KEY_FILE",
			"KID: fingerprint"}},
		"empty": {with("KID", ""), []string{"KID: is empty"}},
		"everything at once": {with("KID", "-", "TOKEN_DURATION", "0", "LISTEN", "8787", "LOG_LEVEL", "loud"),
			[]string{"KID: is not set", "TOKEN_DURATION: below the minimum of 1", "LISTEN: use 127.0.0.1:8787",
				"LOG_LEVEL: debug, info, warn or error"}},

		"public key":    {with("PRIVATE_KEY", publicPEM()), []string{"PRIVATE_KEY: public half"}},
		"ec key":        {with("PRIVATE_KEY", ecPEM()), []string{"PRIVATE_KEY: EC key"}},
		"cut key":       {with("PRIVATE_KEY", privatePEM()[:600]), []string{"PRIVATE_KEY: cut off"}},
		"key is a path": {with("PRIVATE_KEY", "./private_key.pem"), []string{"PRIVATE_KEY: PRIVATE_KEY_FILE"}},
		"key and file":  {with("PRIVATE_KEY_FILE", "/k"), []string{"PRIVATE_KEY: PRIVATE_KEY_FILE is set too"}},
		"no such file": {with("PRIVATE_KEY", "-", "PRIVATE_KEY_FILE", "/nowhere"),
			[]string{`PRIVATE_KEY_FILE: there is no file "/nowhere"`}},
		"home": {with("PRIVATE_KEY", "-", "PRIVATE_KEY_FILE", "~/key.pem"),
			[]string{"PRIVATE_KEY_FILE: nothing replaces ~"}},
		"forbidden file": {with("PRIVATE_KEY", "-", "PRIVATE_KEY_FILE", "/forbidden"),
			[]string{"PRIVATE_KEY_FILE: permission denied"}},
		"empty file": {with("PRIVATE_KEY", "-", "PRIVATE_KEY_FILE", "/empty"), []string{"PRIVATE_KEY_FILE: is empty"}},
		"public file": {with("PRIVATE_KEY", "-", "PRIVATE_KEY_FILE", "/public"),
			[]string{"PRIVATE_KEY_FILE: public half"}},
		"key for file name": {with("PRIVATE_KEY", "-", "PRIVATE_KEY_FILE", privatePEM()),
			[]string{"PRIVATE_KEY_FILE: not its name"}},
		"base64 file name": {with("PRIVATE_KEY", "-", "PRIVATE_KEY_FILE", base64Of(privatePEM())),
			[]string{"PRIVATE_KEY_FILE: not its name"}},
		"swapped":           {with("KID", privatePEM()), []string{"KID: private key"}},
		"swapped and short": {with("KID", "-----BEGIN PRIVATE KEY-----AAAA"), []string{"KID: private key"}},
		"swapped base64":    {with("AUDIENCE", base64Of(privatePEM())), []string{"AUDIENCE: private key"}},
		"fallback named": {with("CLIENT_ID", "-", "COZE_JWT_OAUTH_CLIENT_ID", "<id>"),
			[]string{"COZE_JWT_OAUTH_CLIENT_ID: characters that no id has"}},

		"duration 0":        {with("TOKEN_DURATION", "0"), []string{"TOKEN_DURATION: below the minimum of 1"}},
		"duration negative": {with("TOKEN_DURATION", "-5"), []string{"TOKEN_DURATION: below the minimum of 1"}},
		"duration 86400":    {with("TOKEN_DURATION", "86400"), []string{"TOKEN_DURATION: above the maximum of 86399"}},
		"duration fraction": {with("TOKEN_DURATION", "900.5"), []string{"TOKEN_DURATION: not a whole number of seconds"}},
		"duration in words": {with("TOKEN_DURATION", "15m"), []string{"TOKEN_DURATION: 15m is 900"}},
		"duration plus":     {with("TOKEN_DURATION", "+900"), []string{"TOKEN_DURATION: not a whole number"}},
		"duration exponent": {with("TOKEN_DURATION", "1e3"), []string{"TOKEN_DURATION: not a whole number"}},
		"duration full":     {with("TOKEN_DURATION", "９００"), []string{"TOKEN_DURATION: not a whole number"}},
		"duration endless":  {with("TOKEN_DURATION", "99999999999999999999"), []string{"TOKEN_DURATION: out of range"}},
		"lifetime":          {with("ASSERTION_LIFETIME", "59"), []string{"ASSERTION_LIFETIME: below the minimum of 60"}},
		"lifetime day": {with("ASSERTION_LIFETIME", "86401"),
			[]string{"ASSERTION_LIFETIME: above the maximum of 86400"}},
		"timeout": {with("UPSTREAM_TIMEOUT", "61"), []string{"UPSTREAM_TIMEOUT: above the maximum of 60"}},
		"compat":  {with("COMPAT", "v1"), []string{"COMPAT: use off or quickstart"}},
		"an app at a quickstart's path": {with("COMPAT", "quickstart", "APPS", apps(t, "callback", nil)),
			[]string{"COMPAT: an app is named callback"}},
		"long session":       {with("DEFAULT_SESSION", long), []string{"DEFAULT_SESSION: 257 bytes"}},
		"control session":    {with("DEFAULT_SESSION", "a\x00b"), []string{"DEFAULT_SESSION: control characters"}},
		"C1 session":         {with("DEFAULT_SESSION", "a\u0085b"), []string{"DEFAULT_SESSION: control characters"}},
		"session not utf-8":  {with("DEFAULT_SESSION", "a\xff"), []string{"DEFAULT_SESSION: not UTF-8"}},
		"account with space": {with("ACCOUNT_ID", "1 2"), []string{"ACCOUNT_ID: characters that no id has"}},
		"account of dots":    {with("ACCOUNT_ID", ".."), []string{"ACCOUNT_ID: characters that no id has"}},
		"another proxy header": {with("TRUSTED_PROXIES", "private", "TRUSTED_PROXY_HEADER", "X-Real-IP"),
			[]string{"TRUSTED_PROXY_HEADER: X-Forwarded-For or Forwarded"}},
		"public key as KID":      {with("KID", publicPEM()), []string{"KID: public key; no setting takes one"}},
		"bare public key as KID": {with("KID", bare(publicPEM())), []string{"KID: public key; no setting takes one"}},
		"public key in base64":   {with("KID", base64Of(publicPEM())), []string{"KID: public key; no setting takes one"}},
		"private key as KID": {with("KID", bare(privatePEM())),
			[]string{"KID: private key; put the key into PRIVATE_KEY"}},
		"another sample's names": {with("CLIENT_ID", "-", "COZE_APP_ID", "12"),
			[]string{"CLIENT_ID: rename COZE_APP_ID to CLIENT_ID"}},
		"another sample's key": {with("PRIVATE_KEY", "-", "COZE_PRIVATE_KEY_PATH", "/k"),
			[]string{"PRIVATE_KEY: rename COZE_PRIVATE_KEY_PATH to PRIVATE_KEY_FILE"}},
		"both ids": {with("ACCOUNT_ID", "1", "ENTERPRISE_ID", "2"),
			[]string{"ACCOUNT_ID: ENTERPRISE_ID is set too"}},
		"account, odd path": {with("ACCOUNT_ID", "1", "TOKEN_ENDPOINT", "https://api.coze.cn/mint"),
			[]string{"TOKEN_ENDPOINT: does not end in /token"}},
		"account twice": {with("ACCOUNT_ID", "1", "TOKEN_ENDPOINT",
			"https://api.coze.cn/api/permission/oauth2/account/2/token"),
			[]string{"TOKEN_ENDPOINT: holds an account"}},
		"scope not json":  {with("SCOPE", "Connector.botChat"), []string{"SCOPE: not valid JSON: wrong at byte 1 of 17"}},
		"scope array":     {with("SCOPE", "[]"), []string{"SCOPE: not a JSON object"}},
		"scope null":      {with("SCOPE", "null"), []string{"SCOPE: empty scope"}},
		"scope too large": {with("SCOPE", `{"a":"`+strings.Repeat("x", 9000)+`"}`), []string{"SCOPE: over the limit"}},

		"listen host only": {with("LISTEN", "127.0.0.1"), []string{"LISTEN: not an address with a port"}},
		"listen ipv6":      {with("LISTEN", "::1:80"), []string{"LISTEN: brackets"}},
		"listen port":      {with("LISTEN", "127.0.0.1:65536"), []string{"LISTEN: 0 to 65535"}},
		"listen no port":   {with("LISTEN", "127.0.0.1:"), []string{"LISTEN: 0 to 65535"}},
		"listen url":       {with("LISTEN", "http://127.0.0.1:1"), []string{"LISTEN: is a URL"}},
		"socket relative":  {with("LISTEN", "unix:x.sock"), []string{"LISTEN: by its whole path"}},
		"socket long":      {with("LISTEN", "unix:/"+strings.Repeat("x", 103)), []string{"LISTEN: 104 bytes"}},
		"socket mode":      {with("LISTEN", "unix:/x", "SOCKET_MODE", "0888"), []string{"SOCKET_MODE: no mode"}},
		"socket mode wide": {with("LISTEN", "unix:/x", "SOCKET_MODE", "1777"), []string{"SOCKET_MODE: no mode"}},
		"socket owner":     {with("LISTEN", "unix:/x", "SOCKET_OWNER", "a:"), []string{"SOCKET_OWNER: neither"}},
		"mode, no socket":  {with("SOCKET_MODE", "0600"), []string{"SOCKET_MODE: LISTEN names no socket"}},
		"owner, no socket": {with("SOCKET_OWNER", "root"), []string{"SOCKET_OWNER: LISTEN names no socket"}},
		"metrics socket":   {with("METRICS_LISTEN", "unix:/x"), []string{"METRICS_LISTEN: is a socket"}},
		"metrics port":     {with("METRICS_LISTEN", "9464"), []string{"METRICS_LISTEN: use 127.0.0.1:9464"}},
		"drain too long":   {with("DRAIN_DELAY", "601"), []string{"DRAIN_DELAY: above the maximum of 600"}},
		"listen star":      {with("LISTEN", "*:80"), []string{"LISTEN: neither an address nor a name"}},
		"port":             {with("PORT", "http"), []string{"PORT: not a port"}},
		"connections":      {with("MAX_CONNECTIONS", "0"), []string{"MAX_CONNECTIONS: below the minimum of 1"}},
		"connections off":  {with("MAX_CONNECTIONS", "off"), []string{"MAX_CONNECTIONS: not a whole number"}},
		"half tls":         {with("TLS_CERT_FILE", "/c"), []string{"TLS_CERT_FILE: without TLS_KEY_FILE"}},
		"other half tls":   {with("TLS_KEY_FILE", "/k"), []string{"TLS_KEY_FILE: without TLS_CERT_FILE"}},
		"tls swapped": {with("TLS_CERT_FILE", "/k", "TLS_KEY_FILE", "/c"),
			[]string{"TLS_CERT_FILE: does not hold a certificate", "TLS_KEY_FILE: does not hold a private key"}},
		"tls key itself": {with("TLS_CERT_FILE", "/c", "TLS_KEY_FILE", privatePEM()),
			[]string{"TLS_KEY_FILE: not its name; write the content into a file"}},
		"tls missing file": {with("TLS_CERT_FILE", "/c", "TLS_KEY_FILE", "/gone"), []string{"TLS_KEY_FILE: no file"}},
		"level number":     {with("LOG_LEVEL", "3"), []string{"LOG_LEVEL: not one of its values"}},
		"format":           {with("LOG_FORMAT", "logfmt"), []string{"LOG_FORMAT: auto, text or json"}},
		"misspelt required": {with("PRIVATE_KEY", "-", "PRIVATEKEY", privatePEM()),
			[]string{"PRIVATE_KEY: rename PRIVATEKEY to PRIVATE_KEY"}},
		"other name": {with("KID", "-", "KEY_ID", keyID), []string{"KID: rename KEY_ID to KID"}},
		"misspelt file": {with("PRIVATE_KEY", "-", "PRIVATEKEY_FILE", "/k"),
			[]string{"PRIVATE_KEY: rename PRIVATEKEY_FILE to PRIVATE_KEY_FILE"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { checkFaults(t, faultsOf(t, test.env, options), test.want...) })
	}
}

// On a host without files and listener, what only a native server can heed is refused, and PORT is
// passed over.
func TestEdge(t *testing.T) {
	checkFaults(t, faultsOf(t, with("LISTEN", ":1", "MAX_CONNECTIONS", "5", "TLS_CERT_FILE", "/c", "TLS_KEY_FILE", "/k",
		"LOG_FORMAT", "text", "PORT", "80"), workers),
		"LISTEN: only the native server", "MAX_CONNECTIONS: native", "TLS_CERT_FILE: native", "TLS_KEY_FILE: native",
		"LOG_FORMAT: native")
	for _, options := range []cozetoken.Options{workers, {}} {
		checkFaults(t, faultsOf(t, with("PRIVATE_KEY", "-", "PRIVATE_KEY_FILE", "/k"), options),
			"PRIVATE_KEY_FILE: this host has no files")
	}
	checkFaults(t, faultsOf(t, with("PRIVATE_KEY", "-"), workers), "PRIVATE_KEY: wrangler secret put PRIVATE_KEY")
	// What cannot be read is not passed over, and told once.
	bound := cozetoken.Options{Workers: true, NotText: "[not text]"}
	checkFaults(t, faultsOf(t, with("VISITOR_SECRET", "[not text]", "CLIENT_ID", "[not text]", "ANYTHING", "[not text]"),
		bound),
		"CLIENT_ID: bound to something that is no text", "VISITOR_SECRET: wrangler secret put VISITOR_SECRET")
	s, warnings := mustRead(t, with("PORT", "80", "LOG_LEVEL", "debug"), workers)
	if s.Native.Listen != "" || s.LogLevel != slog.LevelDebug {
		t.Errorf("%+v", s)
	}
	checkWarnings(t, warnings)
}

func TestWarnings(t *testing.T) {
	tests := map[string]struct {
		env  map[string]string
		want []string
	}{
		"client id":      {with("CLIENT_ID", "app_1"), []string{"CLIENT_ID: all digits"}},
		"short kid":      {with("KID", "abc"), []string{"KID: has 3 characters"}},
		"kid characters": {with("KID", strings.Repeat("+", 43)), []string{"KID: 43 letters"}},
		"default session": {with("DEFAULT_SESSION", "default-session"),
			[]string{"DEFAULT_SESSION: share one conversation space"}},
		"quotes":       {with("CLIENT_ID", `"`+clientID+`"`), []string{"CLIENT_ID: stands in quotes"}},
		"curly quotes": {with("CLIENT_ID", "“"+clientID+"”"), []string{"CLIENT_ID: stands in quotes"}},
		"ignored fallback": {with("COZE_JWT_OAUTH_CLIENT_ID", "12"),
			[]string{"COZE_JWT_OAUTH_CLIENT_ID: because CLIENT_ID is set"}},
		"same fallback":  {with("COZE_JWT_OAUTH_CLIENT_ID", clientID), nil},
		"same base":      {with("TOKEN_ENDPOINT", coze.China.Endpoint, "COZE_API_BASE", "https://api.coze.cn/"), nil},
		"both consumers": {with("DEVICE_ID", "1", "CUSTOM_CONSUMER", "2"), []string{"DEVICE_ID: CUSTOM_CONSUMER is set too"}},
		"open and keys": {with("OPEN_ACCESS", "on", "API_KEYS", "shop="+strings.Repeat("0123456789", 5)),
			[]string{"OPEN_ACCESS: lets anybody in"}},
		"open to visitors": {with("OPEN_ACCESS", "on", "VISITOR_SECRET", strings.Repeat("0123456789", 5)),
			[]string{"OPEN_ACCESS: has no effect beside VISITOR_SECRET"}},
		"other base": {with("TOKEN_ENDPOINT", coze.China.Endpoint, "COZE_API_BASE", "https://api.coze.com"),
			[]string{"COZE_API_BASE: is ignored"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, warnings := mustRead(t, test.env, native)
			checkWarnings(t, warnings, test.want...)
			if s.Callers.IsOpen() == (name == "open to visitors") {
				t.Errorf("open: %t", s.Callers.IsOpen())
			}
			if strings.Contains(name, "quotes") && s.OAuth.ClientID != clientID {
				t.Errorf("client id %q", s.OAuth.ClientID)
			}
		})
	}
}

func TestSettingsPrintNoKey(t *testing.T) {
	s, _ := mustRead(t, with(), native)
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "Primes") || !strings.Contains(string(text), "SHA256:") {
		t.Errorf("%s", text)
	}
}
