package config_test

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"coze-token/config"
)

func TestEnviron(t *testing.T) {
	got := config.Environ([]string{"A=1", "B=x=y", "A=2", "EMPTY=", "=C:=C:\\", "NOTHING", "多=字"})
	if want := map[string]string{"A": "1", "B": "x=y", "EMPTY": "", "多": "字"}; !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func fileOf(members map[string]any) []byte {
	data, err := json.MarshalIndent(members, "", "  ")
	if err != nil {
		panic(err)
	}
	return data
}

func sample() map[string]any {
	return map[string]any{
		"client_type": "jwt", "client_id": clientID, "public_key_id": keyID, "private_key": privatePEM(),
		"coze_api_base": "https://api.coze.com", "coze_www_base": "https://www.coze.com",
	}
}

func TestFromFile(t *testing.T) {
	env, warnings, err := config.FromFile(append([]byte("\uFEFF"), fileOf(sample())...))
	if err != nil {
		t.Fatal(err)
	}
	checkWarnings(t, warnings)
	s, warnings := mustParse(t, env, native)
	checkWarnings(t, warnings)
	if s.App.ClientID != clientID || s.App.Keys[0].ID != keyID || s.Region != "com" {
		t.Errorf("%+v", s.App)
	}
}

func TestFromFileWarnings(t *testing.T) {
	members := sample()
	members["clientId"] = "1"
	members["colour"] = true
	members["-----BEGIN PRIVATE KEY-----"] = 1
	members["client_id"] = 1133483935040
	env, warnings, err := config.FromFile(fileOf(members))
	if err != nil {
		t.Fatal(err)
	}
	checkWarnings(t, warnings, "a member of the configuration file: is not a member", "clientId: did you mean client_id?", "colour: is not a member")
	if env["COZE_JWT_OAUTH_CLIENT_ID"] != clientID {
		t.Errorf("client id %q", env["COZE_JWT_OAUTH_CLIENT_ID"])
	}
}

func TestFromFileFaults(t *testing.T) {
	change := func(name string, value any) []byte {
		members := sample()
		members[name] = value
		return fileOf(members)
	}
	const itself = "the configuration file"
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"empty":          {[]byte(" \n"), itself + ": is empty"},
		"web app":        {change("client_type", "web"), `client_type: is "web"`},
		"pkce app":       {change("client_type", "pkce"), "client_type: 服务类应用"},
		"type unknown":   {change("client_type", 5), "client_type: JWT"},
		"id is a list":   {change("client_id", []string{"1"}), "client_id: is not a text"},
		"array":          {[]byte("[]"), itself + ": is not a JSON object"},
		"null":           {[]byte("null"), itself + ": is not a JSON object"},
		"pem":            {[]byte(privatePEM()), itself + ": line 1, column 2"},
		"missing comma":  {[]byte("{\n  \"client_id\": \"1\"\n  \"private_key\": \"2\"}"), itself + ": line 3, column 3"},
		"cut off":        {fileOf(sample())[:300], itself + ": cut off"},
		"two values":     {[]byte("{} {}"), itself + ": line 1, column 4"},
		"key over lines": {[]byte("{\"private_key\": \"" + privatePEM() + "\"}"), itself + ": stands on one line"},
	} {
		t.Run(name, func(t *testing.T) {
			env, _, err := config.FromFile(test.data)
			faults, ok := errors.AsType[config.Faults](err)
			if !ok || env != nil {
				t.Fatalf("%v, %v", env, err)
			}
			checkFaults(t, faults, test.want)
			if strings.Contains(err.Error(), "MII") {
				t.Error("the file is quoted")
			}
		})
	}
}

func TestMerge(t *testing.T) {
	file, _, err := config.FromFile(fileOf(sample()))
	if err != nil {
		t.Fatal(err)
	}
	merged := config.Merge(map[string]string{
		"PATH": "/bin", "CLIENT_ID": "12", "COZE_REGION": "cn", "KID": " ", "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH": "/p",
	}, file)
	s, warnings := mustParse(t, merged, config.Options{ReadFile: files(map[string]string{"/p": rsaPEM(2048)})})
	checkWarnings(t, warnings)
	if s.App.ClientID != "12" || s.App.Keys[0].ID != keyID || s.Region != "cn" || merged["PATH"] != "/bin" {
		t.Errorf("%+v", s.App)
	}
	fromFile, _ := mustParse(t, file, native)
	if s.App.Keys[0].String() == fromFile.App.Keys[0].String() {
		t.Error("the key is the file's, although the environment names one")
	}
	if file["COZE_API_BASE"] == "" {
		t.Error("Merge changed its argument")
	}
	if got := config.Merge(map[string]string{"A": "1"}, nil); got["A"] != "1" {
		t.Errorf("%v", got)
	}
}
