package config_test

import (
	"errors"
	"strings"
	"testing"

	"coze-token/config"
	"coze-token/coze"
)

// marker makes a secret recognisable in whatever is printed, even in part. It is no prefix of base64 that occurs otherwise.
const marker = "hunter2hunter2"

// check holds what is true of every outcome.
func check(t *testing.T, s *config.Settings, warnings []config.Warning, err error) {
	t.Helper()
	var text strings.Builder
	for _, warning := range warnings {
		text.WriteString(warning.String() + "\n")
	}
	if err != nil {
		text.WriteString(err.Error())
		faults, ok := errors.AsType[config.Faults](err)
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
	url, err := s.App.TokenURL()
	if err != nil || !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://") {
		t.Errorf("token URL %q: %v", url, err)
	}
	if s.App.ClientID == "" || s.App.Audience == "" || len(s.App.Keys) != 1 || s.App.Keys[0].ID == "" || s.App.Keys[0].Signer == nil {
		t.Errorf("the app is incomplete: %+v", s.App)
	}
	if s.Duration < coze.MinDuration || s.Duration > coze.MaxDuration || s.Timeout <= 0 || len(s.DefaultSession) > 256 || s.Listen == "" {
		t.Errorf("out of bounds: %+v", s)
	}
}

func FuzzParse(f *testing.F) {
	// Each seed adds to an environment that is otherwise complete. A line of the fuzzer's text is NAME=value.
	for _, seed := range []string{
		"", "TOKEN_DURATION=900\nSCOPE={}", "COZE_REGION=com\nAUDIENCE=api.coze.cn", "TOKEN_ENDPOINT=http://[::1]:1/token",
		"TOKEN_ENDPOINT=https://a:b@c/?d#e", "LISTEN=:0\nPORT=1", "DEFAULT_SESSION=\"a\"", "PRIVATEKEY=x\nCLIENTID=1", "KID=\nKEY_ID=k",
		"SCOPE=[", "ACCOUNT_ID=1\nENTERPRISE_ID=..", "LOG_LEVEL=warn\nLOG_FORMAT=json\nMAX_CONNECTIONS=-0", "PRIVATE_KEY_FILE=/x", "COZE_API_BASE=https://x/",
		"TLS_CERT_FILE=/x\nTLS_KEY_FILE=-----BEGIN", "CLIENT_ID=”\nKID=“", "UPSTREAM_TIMEOUT=1s\nASSERTION_LIFETIME=9999999999999999999",
	} {
		f.Add(seed, "")
	}
	for _, key := range []string{"x", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "/run/key.pem", "'", "AAAA"} {
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
		options := config.Options{ReadFile: func(string) ([]byte, error) { return []byte(secret + marker), nil }}
		before := clone(env)
		s, warnings, err := config.Parse(env, options)
		check(t, s, warnings, err)
		for name, text := range before {
			if env[name] != text {
				t.Errorf("%s was changed", name)
			}
		}
	})
}

func FuzzFromFile(f *testing.F) {
	for _, seed := range []string{
		`{"client_type":"jwt","client_id":"1","public_key_id":"k","private_key":"@","coze_api_base":"https://api.coze.cn"}`,
		`{"client_type":"web"}`, `{"private_key":"@`, `{"private_key":"@` + "\n", `{"client_id":5,"private_key":["@"]}`, `[]`, `null`, ``, "\uFEFF{}", `{"a":{"b":"@"}}`,
		`{"privateKey":"@"}`, `@`, `{"client_id":"1" "private_key":"@"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, marker) {
			return
		}
		file, warnings, err := config.FromFile("c.json", []byte(strings.Replace(text, `"private_key":"@`, `"private_key":"`+marker, 1)))
		check(t, nil, warnings, err)
		if err == nil {
			s, warnings, err := config.Parse(nil, config.Options{File: file, ReadFile: files(nil)})
			check(t, s, warnings, err)
		}
	})
}
