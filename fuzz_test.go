package cozetoken_test

import (
	"errors"
	"strings"
	"testing"

	cozetoken "coze-token"
	"coze-token/coze"
	"coze-token/internal/fault"
	nativehost "coze-token/internal/native"
)

// marker makes a secret recognisable in whatever is printed, even in part. It is no prefix of
// base64 that occurs otherwise.
const marker = "hunter2hunter2"

// check holds what is true of every outcome.
func check(t *testing.T, s *cozetoken.Settings, warnings fault.List, err error) {
	t.Helper()
	var text strings.Builder
	for _, warning := range warnings {
		text.WriteString(warning.Error() + "\n")
	}
	if err != nil {
		text.WriteString(err.Error())
		faults, ok := errors.AsType[fault.List](err)
		if !ok || len(faults) == 0 || s != nil {
			t.Fatalf("settings %v with %T %v", s, err, err)
		}
		if strings.Count(err.Error(), "\n") != len(faults)-1 {
			t.Errorf("not one line a fault: %q", err)
		}
	}
	if strings.Contains(text.String(), marker) {
		t.Errorf("the secret is quoted: %s", text.String())
	}
	if s == nil {
		return
	}
	served := 0
	for name, a := range s.Apps() {
		served++
		url, err := a.OAuth.TokenURL()
		if err != nil || !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://") {
			t.Errorf("%q: token URL %q: %v", name, url, err)
		}
		if a.OAuth.ClientID == "" || a.OAuth.Audience == "" || len(a.OAuth.Keys) < 1 || len(a.OAuth.Keys) > 3 {
			t.Errorf("the app %q is incomplete: %+v", name, a.OAuth)
		}
		for _, key := range a.OAuth.Keys {
			if key.ID == "" || key.Signer == nil {
				t.Errorf("a key of the app %q is incomplete", name)
			}
		}
		if a.Duration < coze.MinDuration || a.Duration > coze.MaxDuration || len(a.Sessions.Prefix)+len(a.Session) > 256 &&
			a.Sessions.Secret == nil {
			t.Errorf("out of bounds: %+v", a)
		}
	}
	if served == 0 || s.Timeout <= 0 || s.Native.Listen == "" {
		t.Errorf("out of bounds: %+v", s)
	}
}

func FuzzRead(f *testing.F) {
	// Each seed adds to an environment that is otherwise complete. A line of the fuzzer's text is
	// NAME=value.
	for _, seed := range []string{
		"", "TOKEN_DURATION=900\nSCOPE={}", "COZE_REGION=com\nAUDIENCE=api.coze.cn", "TOKEN_ENDPOINT=http://[::1]:1/token",
		"TOKEN_ENDPOINT=https://a:b@c/?d#e", "LISTEN=:0\nPORT=1", "DEFAULT_SESSION=\"a\"", "PRIVATEKEY=x\nCLIENTID=1",
		"KID=\nKEY_ID=k",
		"SCOPE=[", "ACCOUNT_ID=1\nENTERPRISE_ID=..", "LOG_LEVEL=warn\nLOG_FORMAT=json\nMAX_CONNECTIONS=-0",
		"PRIVATE_KEY_FILE=/x", "COZE_API_BASE=https://x/",
		"TLS_CERT_FILE=/x\nTLS_KEY_FILE=-----BEGIN", "CLIENT_ID=”\nKID=“",
		"UPSTREAM_TIMEOUT=1s\nASSERTION_LIFETIME=9999999999999999999",
		`APPS={"shop":{"client_id":"1","kid":"k","private_key_file":"/x","api_keys":[]}}`, "LOGINS=[]\nALLOWED_ORIGINS=,",
		"API_KEYS=a=b apps=/|shop\nSESSION_HASH=on",
	} {
		f.Add(seed, "")
	}
	for _, key := range []string{"x", "-----BEGIN PRIVATE KEY-----",
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "/run/key.pem", "'", "AAAA"} {
		f.Add("", key)
	}
	key := privatePEM()
	f.Fuzz(func(t *testing.T, lines, secret string) {
		if strings.Contains(lines, marker) {
			return
		}
		env := map[string]string{"CLIENT_ID": clientID, "KID": keyID, "PRIVATE_KEY": key}
		for line := range strings.SplitSeq(lines, "\n") {
			if name, text, ok := strings.Cut(line, "="); ok {
				env[name] = text
			}
		}
		if secret != "" {
			env["PRIVATE_KEY"] = secret + marker
			env["PRIVATEKEY"] = marker
		}
		options := cozetoken.Options{ReadFile: func(string) ([]byte, error) { return []byte(secret + marker), nil }}
		before := clone(env)
		s, warnings, err := cozetoken.Read(env, options)
		check(t, s, warnings, err)
		for name, text := range before {
			if env[name] != text {
				t.Errorf("%s was changed", name)
			}
		}
	})
}

// The file of apps, as JSON and as YAML.
func FuzzApps(f *testing.F) {
	const shop = `"client_id":"1","kid":"k","private_key_file":"/key"`
	for _, seed := range []string{
		`{"shop":{` + shop + `}}`, `{"shop":{` + shop +
			`,"logins":[{"issuer":"https://a.example","audiences":["x"]}],"scope":{"a":1},"token_duration":60}}`,
		`{"shop":{` + shop + `,"api_keys":"crm=@ apps=/|shop","session_hash":true}}`,
		`{"shop":{` + shop + `,"visitor_secret":"@","open_access":false}}`,
		`{"shop":{` + shop + `,"api_keys":[],"logins":null,"kid_2":"k","private_key_2":"@"}}`,
		`{"shop":{"private_key":"@"},"shop":{}}`, `{"Shop":{},"healthz":{}}`, `{"shop":`, `{}`,
		`[]`, `null`, ``, "\uFEFF{}", "shop:\n  client_id: '1'\n  kid: k\n  private_key_file: /key\n  bots: [1, \"2\"]\n",
		"shop: &a\n  client_id: 1\n  kid: |\n    k\n  private_key_file: /key\n" +
			"sales:\n  <<: *a\n  visitor_secret_file: /secret\n",
		"a: [", "- shop", "? {a: b}\n: c", "a: !!binary x\n---\nb: 1",
	} {
		f.Add(seed)
	}
	key := privatePEM()
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, marker) {
			return
		}
		apps := strings.NewReplacer(`"private_key":"@`, `"private_key":"`+marker, `"private_key_2":"@`,
			`"private_key_2":"`+marker,
			`"api_keys":"crm=@`, `"api_keys":"crm=`+marker, `"visitor_secret":"@`, `"visitor_secret":"`+marker).Replace(text)
		options := cozetoken.Options{YAML: nativehost.YAMLToJSON, ReadFile: func(name string) ([]byte, error) {
			switch name {
			case "/apps":
				return []byte(apps), nil
			case "/key":
				return []byte(key), nil
			}
			return []byte(marker + aSecret), nil
		}}
		s, warnings, err := cozetoken.Read(map[string]string{"APPS_FILE": "/apps", "API_KEYS": "crm=" + aKey}, options)
		check(t, s, warnings, err)
		if s == nil {
			return
		}
		for name, a := range s.Apps() {
			// The service has a key. Only a caller of the app's own takes its place.
			if a.Callers.IsOpen() && !a.Callers.Open {
				t.Errorf("the app %q is open, and nobody said so", name)
			}
		}
	})
}

func FuzzParseFile(f *testing.F) {
	for _, seed := range []string{
		`{"client_type":"jwt","client_id":"1","public_key_id":"k","private_key":"@","coze_api_base":"https://api.coze.cn"}`,
		`{"client_type":"web"}`, `{"private_key":"@`, `{"private_key":"@` + "\n", `{"client_id":5,"private_key":["@"]}`,
		`[]`, `null`, ``, "\uFEFF{}", `{"a":{"b":"@"}}`,
		`{"privateKey":"@"}`, `@`, `{"client_id":"1" "private_key":"@"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, marker) {
			return
		}
		file, warnings, err := cozetoken.ParseFile("c.json",
			[]byte(strings.Replace(text, `"private_key":"@`, `"private_key":"`+marker, 1)))
		check(t, nil, warnings, err)
		if err == nil {
			s, warnings, err := cozetoken.Read(nil, cozetoken.Options{File: file, ReadFile: files(nil)})
			check(t, s, warnings, err)
		}
	})
}
