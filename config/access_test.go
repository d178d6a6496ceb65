package config_test

import (
	"testing"

	"coze-token/config"
)

// A list that is there and holds nobody is not the same as none, which would let everybody in.
func TestEmptyLists(t *testing.T) {
	for name, c := range map[string]struct{ variable, text string }{
		"no login":             {"LOGINS", "[]"},
		"null":                 {"LOGINS", " null "},
		"no origin":            {"ALLOWED_ORIGINS", ","},
		"no key":               {"API_KEYS", " , "},
		"a file of no keys":    {"API_KEYS_FILE", "/none"},
		"no visitors' secret":  {"VISITOR_SECRET", ","},
		"quotes around no key": {"API_KEYS", `""`},
	} {
		t.Run(name, func(t *testing.T) {
			o := config.Options{ReadFile: files(map[string]string{"/none": "# all are gone\n"})}
			checkFaults(t, faultsOf(t, with(c.variable, c.text), o), c.variable+": ")
		})
	}
	checkFaults(t, faultsOf(t, with("JWT_ISSUER", "https://login.example", "JWT_AUDIENCE", ","), native), "JWT_AUDIENCE: nothing in it")
	checkFaults(t, faultsOf(t, with("CF_ACCESS_TEAM", "team", "CF_ACCESS_AUD", ","), native), "CF_ACCESS_AUD: nothing in it")
	for _, empty := range []any{[]string{}, "", " ", map[string]any(nil)} {
		for _, member := range []string{"api_keys", "api_keys_file", "logins", "allowed_origins", "visitor_secret"} {
			checkFaults(t, faultsOf(t, with("APPS", apps(t, "shop", map[string]any{member: empty})), native), "APPS.shop."+member+": is empty; write")
		}
	}
	// Compose files and platforms pass what is not set as an empty variable.
	s, _ := mustParse(t, with("LOGINS", "", "ALLOWED_ORIGINS", " ", "API_KEYS", ""), native)
	if !s.IsOpen() || s.Origins != nil {
		t.Errorf("got %+v", s)
	}
}
