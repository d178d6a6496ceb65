package cozetoken_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	cozetoken "coze-token"
	"coze-token/internal/fault"
)

func TestEnviron(t *testing.T) {
	got := cozetoken.Environ([]string{"A=1", "B=x=y", "A=2", "EMPTY=", "=C:=C:\\", "NOTHING", "多=字"})
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

// fromFile are options with a configuration file, which is read without a warning.
func fromFile(t *testing.T, members map[string]any) cozetoken.Options {
	t.Helper()
	file, warnings, err := cozetoken.ParseFile("c.json", append([]byte("\uFEFF"), fileOf(members)...))
	if err != nil {
		t.Fatal(err)
	}
	checkWarnings(t, warnings)
	return cozetoken.Options{File: file, ReadFile: files(map[string]string{"/p": rsaPEM(2048)})}
}

func TestParseFile(t *testing.T) {
	s, warnings := mustRead(t, nil, fromFile(t, sample()))
	checkWarnings(t, warnings)
	if s.OAuth.ClientID != clientID || s.OAuth.Keys[0].ID != keyID || s.Region != "com" {
		t.Errorf("%+v", s.OAuth)
	}
}

func TestParseFileWarnings(t *testing.T) {
	members := sample()
	members["clientId"] = "1"
	members["colour"] = true
	members["publicKeyFingerprint"] = "1"
	members["-----BEGIN PRIVATE KEY-----"] = 1
	members["client_id"] = 1133483935040
	file, warnings, err := cozetoken.ParseFile("c.json", fileOf(members))
	if err != nil {
		t.Fatal(err)
	}
	checkWarnings(t, warnings, "a member in c.json: is not a member", "clientId in c.json: did you mean client_id?",
		"colour in c.json: is not a member",
		"publicKeyFingerprint in c.json: is not a member")
	if s, _ := mustRead(t, nil, cozetoken.Options{File: file}); s.OAuth.ClientID != clientID {
		t.Errorf("client id %q", s.OAuth.ClientID)
	}
}

// What is wrong with a value is told where the value stands: nobody set the variable that says the
// same.
func TestWhatIsWrongInAFileIsCalledByItsMember(t *testing.T) {
	change := func(pairs ...any) cozetoken.Options {
		members := sample()
		for i := 0; i < len(pairs); i += 2 {
			members[pairs[i].(string)] = pairs[i+1]
		}
		return fromFile(t, members)
	}
	_, warnings := mustRead(t, nil, change("public_key_id", "abc", "client_id", `"app"`, "coze_api_base",
		"https://www.coze.com"))
	checkWarnings(t, warnings, "client_id in c.json: stands in quotes", "client_id in c.json: all digits",
		"public_key_id in c.json: has 3 characters",
		"coze_api_base in c.json: website")
	for _, c := range []struct {
		name    string
		env     map[string]string
		options cozetoken.Options
		want    []string
	}{
		{"id", nil, change("client_id", "<id>"), []string{"client_id in c.json: characters that no id has"}},
		{"key", nil, change("private_key", "nonsense"), []string{"private_key in c.json: not a private key"}},
		{"key's file", nil, change("private_key", "/run/key.pem"),
			[]string{"private_key in c.json: put that name into PRIVATE_KEY_FILE"}},
		{"base", nil, change("coze_api_base", "http://api.coze.com/?a"),
			[]string{"coze_api_base in c.json: http to another", "coze_api_base in c.json: query"}},
		{"region", map[string]string{"AUDIENCE": "api.coze.cn"}, change(),
			[]string{"coze_api_base in c.json: AUDIENCE is of coze.cn"}},
		{"account", map[string]string{"ACCOUNT_ID": "1"}, change("coze_api_base", "https://api.coze.com/account/2"),
			[]string{"coze_api_base in c.json: holds an account"}},
		{"the environment's", map[string]string{"COZE_JWT_OAUTH_CLIENT_ID": "<id>"}, change(),
			[]string{"COZE_JWT_OAUTH_CLIENT_ID: characters that no id has"}},
		{"missing", nil, change("client_id", " "), []string{"CLIENT_ID: is not set"}},
	} {
		t.Run(c.name, func(t *testing.T) { checkFaults(t, faultsOf(t, c.env, c.options), c.want...) })
	}
}

func TestParseFileFaults(t *testing.T) {
	change := func(name string, value any) []byte {
		members := sample()
		members[name] = value
		return fileOf(members)
	}
	const itself = "c.json"
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"empty":          {[]byte(" \n"), itself + ": is empty"},
		"web app":        {change("client_type", "web"), `client_type in c.json: is "web"`},
		"pkce app":       {change("client_type", "pkce"), "client_type in c.json: 服务类应用"},
		"type unknown":   {change("client_type", 5), "client_type in c.json: JWT"},
		"id is a list":   {change("client_id", []string{"1"}), "client_id in c.json: is not a text"},
		"array":          {[]byte("[]"), itself + ": is not a JSON object"},
		"null":           {[]byte("null"), itself + ": is not a JSON object"},
		"pem":            {[]byte(privatePEM()), itself + ": line 1, column 2"},
		"missing comma":  {[]byte("{\n  \"client_id\": \"1\"\n  \"private_key\": \"2\"}"), itself + ": line 3, column 3"},
		"cut off":        {fileOf(sample())[:300], itself + ": cut off"},
		"two values":     {[]byte("{} {}"), itself + ": line 1, column 4"},
		"key over lines": {[]byte("{\"private_key\": \"" + privatePEM() + "\"}"), itself + ": stands on one line"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := cozetoken.ParseFile("c.json", test.data)
			faults, ok := errors.AsType[fault.List](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			checkFaults(t, faults, test.want)
			if strings.Contains(err.Error(), "MII") {
				t.Error("the file is quoted")
			}
		})
	}
}

func TestTheEnvironmentIsLaidOverTheFile(t *testing.T) {
	options := fromFile(t, sample())
	env := map[string]string{"PATH": "/bin", "CLIENT_ID": "12", "COZE_REGION": "cn", "KID": " ",
		"COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH": "/p"}
	before := clone(env)
	s, warnings := mustRead(t, env, options)
	checkWarnings(t, warnings)
	if s.OAuth.ClientID != "12" || s.OAuth.Keys[0].ID != keyID || s.Region != "cn" {
		t.Errorf("%+v", s.OAuth)
	}
	if !maps.Equal(env, before) {
		t.Errorf("the environment was changed: %v", env)
	}
	inFile, _ := mustRead(t, nil, options)
	if s.OAuth.Keys[0].String() == inFile.OAuth.Keys[0].String() {
		t.Error("the key is the file's, although the environment names one")
	}
	s, _ = mustRead(t, map[string]string{"TOKEN_ENDPOINT": "http://[::1]:1/token"}, options)
	if s.OAuth.Endpoint != "http://[::1]:1/token" {
		t.Errorf("the endpoint is %s", s.OAuth.Endpoint)
	}
	if printed := fmt.Sprintf("%v %+v %#v", options.File, options.File, options.File); strings.Contains(printed, "MII") {
		t.Errorf("the key is printed: %s", printed)
	}
}
