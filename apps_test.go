package cozetoken_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	cozetoken "coze-token"
)

const secondKeyID = "aAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaA1"

// apps is the text of APPS with what is given over a complete app.
func apps(t *testing.T, name string, members map[string]any) string {
	t.Helper()
	app := map[string]any{"client_id": "42", "kid": keyID, "private_key": privatePEM()}
	for member, value := range members {
		if value == nil {
			delete(app, member)
		} else {
			app[member] = value
		}
	}
	text, err := json.Marshal(map[string]any{name: app})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestApps(t *testing.T) {
	text := apps(t, "shop", map[string]any{
		"coze_region": "com", "token_duration": 60, "default_session": "s", "session_required": true,
		"scope": map[string]any{"a": 1}, "kid_2": secondKeyID, "private_key_2": privatePEM(),
	})
	env := with("APPS", text, "SESSION_PREFIX", "pre-", "ACCOUNT_ID", "77", "COZE_REGION", "cn", "AUDIENCE", "api.coze.cn")
	s, _ := mustRead(t, env, native)
	shop := s.app("shop")
	if s.OAuth.ClientID != clientID || s.app("shop").OAuth == nil || shop.OAuth.ClientID != "42" {
		t.Fatalf("got %+v", s)
	}
	if shop.Region != "com" || shop.OAuth.Audience != "api.coze.com" || shop.Duration != time.Minute ||
		shop.Session != "s" || !shop.Sessions.Required {
		t.Errorf("the app's own: %+v", shop)
	}
	if len(shop.OAuth.Keys) != 2 || shop.OAuth.Keys[1].ID != secondKeyID || string(shop.OAuth.Scope) != `{"a":1}` {
		t.Errorf("keys and scope: %+v", shop.OAuth)
	}
	if shop.Sessions.Prefix != "pre-" {
		t.Error("what is shared is not inherited")
	}
	if shop.OAuth.AccountID != "" || s.OAuth.AccountID != "77" {
		t.Error("the default app's account is inherited")
	}

	t.Run("alone", func(t *testing.T) {
		s, _ := mustRead(t, with("APPS", text, "CLIENT_ID", "-", "KID", "-", "PRIVATE_KEY", "-"), native)
		if s.OAuth != nil || s.app("shop").OAuth == nil {
			t.Errorf("got %+v", s)
		}
	})
	t.Run("from a file, in YAML", func(t *testing.T) {
		o := cozetoken.Options{
			ReadFile: files(map[string]string{"/apps.yaml": "shop: …"}),
			YAML:     func([]byte) ([]byte, error) { return []byte(text), nil },
		}
		s, _ := mustRead(t, with("APPS_FILE", "/apps.yaml"), o)
		if s.app("shop").OAuth == nil {
			t.Error("the app is missing")
		}
	})
	t.Run("a key from a file", func(t *testing.T) {
		o := cozetoken.Options{ReadFile: files(map[string]string{"/key.pem": privatePEM()})}
		s, _ := mustRead(t, with("APPS", apps(t, "shop",
			map[string]any{"private_key": nil, "private_key_file": "/key.pem"})), o)
		if len(s.app("shop").OAuth.Keys) != 1 {
			t.Error("the key is missing")
		}
	})
	t.Run("logins", func(t *testing.T) {
		logins := []any{map[string]any{"issuer": "https://login.example", "audiences": []string{"web"}}}
		s, _ := mustRead(t, with("APPS", apps(t, "shop", map[string]any{"logins": logins})), native)
		if got := s.app("shop").Callers.Logins; len(got) != 1 || got[0].Issuer != "https://login.example" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("bots as numbers", func(t *testing.T) {
		list := []int{7388123456789012345, 7388123456789012346}
		s, _ := mustRead(t, with("APPS", apps(t, "shop", map[string]any{"bots": list})), native)
		if got := string(s.app("shop").OAuth.Scope); !strings.Contains(got, `["7388123456789012345","7388123456789012346"]`) {
			t.Errorf("got %s", got)
		}
	})
	t.Run("bots", func(t *testing.T) {
		s, _ := mustRead(t, with("APPS", apps(t, "shop", map[string]any{"bots": []string{"1", "2"}})), native)
		const want = `{"account_permission":{"permission_list":["Connector.botChat"]},` +
			`"attribute_constraint":{"connector_bot_chat_attribute":{"bot_id_list":["1","2"]}}}`
		if got := string(s.app("shop").OAuth.Scope); got != want {
			t.Errorf("got %s", got)
		}
	})
}

func TestAppsFaults(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"not JSON": {`{"shop":`, []string{"APPS: wrong at byte"}},
		"a list":   {`[]`, []string{"APPS: object of objects"}},
		"one name twice": {strings.Replace(apps(t, "shop", nil), `{`, `{"shop":{},`, 1),
			[]string{`APPS: has "shop" twice`}},
		"one member twice": {strings.Replace(apps(t, "shop", nil), `{"client_id"`, `{"kid":"x","client_id"`, 1),
			[]string{`APPS: has "kid" twice`}},
		"empty":          {`{}`, []string{"APPS: names no app"}},
		"bad name":       {apps(t, "Shop", nil), []string{"APPS: cannot stand in a path"}},
		"reserved name":  {apps(t, "healthz", nil), []string{"APPS: of the service's own"}},
		"unknown member": {apps(t, "shop", map[string]any{"clientid": "1"}), []string{"APPS.shop: client_id"}},
		"camel case": {apps(t, "shop", map[string]any{"assertionLifetime": 1}),
			[]string{`APPS.shop: has a member "assertionLifetime", which no app has`}},
		"a hidden name":     {apps(t, "shopForCustomers2", nil), []string{"APPS: has an app named a text of 17 characters"}},
		"name of words":     {apps(t, "shopForCustomers_2", nil), []string{`APPS: has an app named "shopForCustomers_2"`}},
		"service's setting": {apps(t, "shop", map[string]any{"listen": ":1"}), []string{"APPS.shop: which no app has"}},
		"capitals":          {apps(t, "shop", map[string]any{"BOTS": "1"}), []string{"APPS.shop: which no app has"}},
		"wrong type":        {apps(t, "shop", map[string]any{"bots": []bool{true}}), []string{"APPS.shop.bots: of a type"}},
		"missing":           {apps(t, "shop", map[string]any{"client_id": nil}), []string{"APPS.shop.client_id: is not set"}},
		"out of bounds": {apps(t, "shop", map[string]any{"token_duration": 86400}),
			[]string{"APPS.shop.token_duration: 86399"}},
		"bots and scope": {apps(t, "shop", map[string]any{"bots": "1", "scope": map[string]any{"a": 1}}),
			[]string{"APPS.shop.bots: SCOPE"}},
		"half a spare key": {apps(t, "shop", map[string]any{"kid_2": secondKeyID}),
			[]string{"APPS.shop.kid_2: without PRIVATE_KEY_2"}},
		"hash, no secret": {apps(t, "shop", map[string]any{"session_hash": "on"}),
			[]string{"APPS.shop.session_hash: SESSION_SECRET"}},
	} {
		t.Run(name, func(t *testing.T) { checkFaults(t, faultsOf(t, with("APPS", c.text), native), c.want...) })
	}
	t.Run("no YAML without its reader's words", func(t *testing.T) {
		o := cozetoken.Options{YAML: func([]byte) ([]byte, error) { return nil, errors.New("near \"hunter2\"") }}
		checkFaults(t, faultsOf(t, with("APPS", "hunter2"), o), "APPS: neither JSON nor YAML")
	})
}

func TestSpareKeysAndSessions(t *testing.T) {
	s, _ := mustRead(t, with("KID_2", secondKeyID, "PRIVATE_KEY_2", privatePEM(), "SESSION_HASH", "on",
		"SESSION_SECRET", "0123456789abcdef0123456789abcdef", "SESSION_REQUIRED", "on"), native)
	if len(s.OAuth.Keys) != 2 || s.OAuth.Keys[0].ID != keyID || s.Sessions.Secret == nil || !s.Sessions.Required {
		t.Errorf("got %+v", s)
	}
	s, _ = mustRead(t, with("SESSION_SECRET", aSecret, "SESSION_HASH", "off"), native)
	if s.Sessions.Secret != nil {
		t.Error("names are hashed, and nobody asked for it")
	}
	checkFaults(t, faultsOf(t, with("SESSION_SECRET", aSecret), native), "SESSION_SECRET: is set without SESSION_HASH")
	hashing := apps(t, "shop", map[string]any{"session_hash": true})
	s, _ = mustRead(t, with("SESSION_SECRET", aSecret, "SESSION_HASH", "off", "APPS", hashing), native)
	if s.app("shop").Sessions.Secret == nil || s.Sessions.Secret != nil {
		t.Error("the app does not hash under the service's secret")
	}
	mustRead(t, with("SESSION_SECRET", aSecret, "SESSION_HASH", "off", "APPS", apps(t, "shop", nil)), native)
	mustRead(t, with("SESSION_SECRET", aSecret, "SESSION_HASH", "on", "APPS",
		apps(t, "shop", map[string]any{"session_hash": false})), native)
	checkFaults(t, faultsOf(t, with("SESSION_HASH", "off", "APPS",
		apps(t, "shop", map[string]any{"session_secret": aSecret})), native),
		"APPS.shop.session_secret: is set without SESSION_HASH")
	checkFaults(t, faultsOf(t, with("SESSION_HASH", "on", "SESSION_SECRET", "short"), native), "SESSION_SECRET: too short")
	checkFaults(t, faultsOf(t, with("PRIVATE_KEY_3", privatePEM()), native), "PRIVATE_KEY_3: without KID_3")
}

// A prefix leaves room for the names that it stands before.
func TestSessionPrefixLeavesRoom(t *testing.T) {
	long, session := strings.Repeat("p", 128), strings.Repeat("s", 128)
	mustRead(t, with("SESSION_PREFIX", long, "DEFAULT_SESSION", session), native)
	checkFaults(t, faultsOf(t, with("SESSION_PREFIX", long+"p"), native), "SESSION_PREFIX: use 128 bytes at most")
	checkFaults(t, faultsOf(t, with("SESSION_PREFIX", long, "DEFAULT_SESSION", session+"s"), native),
		"DEFAULT_SESSION: longer, with SESSION_PREFIX")
	mustRead(t, with("SESSION_PREFIX", long, "DEFAULT_SESSION", session+"s", "SESSION_HASH", "on", "SESSION_SECRET",
		aSecret), native)
}

// What an app has from the service is the service's fault, or that of its configuration file, and
// is said once.
func TestWhatIsInheritedIsCalledAsTheServiceS(t *testing.T) {
	two := func(members map[string]any) string {
		return strings.TrimSuffix(apps(t, "sales", members), "}") + "," + strings.TrimPrefix(apps(t, "shop", members), "{")
	}
	rootless := func(pairs ...string) map[string]string {
		return with(append(pairs, "CLIENT_ID", "-", "KID", "-", "PRIVATE_KEY", "-")...)
	}
	file := func(base string) cozetoken.Options {
		members := sample()
		members["coze_api_base"] = base
		o := fromFile(t, members)
		o.ReadFile = files(map[string]string{"/apps": two(nil), "/of-account": two(map[string]any{"account_id": "7"}),
			"/secret": "0x4AAA"})
		return o
	}
	closed := []string{"OPEN_ACCESS: is off, and nobody else is let in"}
	tooLong := strings.Repeat("s", 200)
	for name, c := range map[string]struct {
		env     map[string]string
		options cozetoken.Options
		want    []string
	}{
		"a file's": {map[string]string{"APPS_FILE": "/apps"}, file("ftp://x.y"),
			[]string{`coze_api_base in c.json: has the scheme "ftp"`}},
		"a file's beside a setting": {map[string]string{"APPS_FILE": "/apps", "AUDIENCE": "api.coze.cn"},
			file("https://api.coze.com"),
			[]string{"coze_api_base in c.json: and AUDIENCE is of coze.cn"}},
		"a file's beside a member": {map[string]string{"APPS_FILE": "/of-account"}, file("https://api.coze.com/account/2"),
			[]string{"coze_api_base in c.json: and APPS_FILE.sales.account_id is set too",
				"coze_api_base in c.json: and APPS_FILE.shop.account_id is set too"}},
		"closed":          {with("APPS", two(nil), "OPEN_ACCESS", "off"), native, closed},
		"closed, no root": {rootless("APPS", two(nil), "OPEN_ACCESS", "off"), native, closed},
		"regions, no root": {rootless("APPS", two(nil), "COZE_REGION", "cn", "AUDIENCE", "api.coze.com"), native,
			[]string{"AUDIENCE: is of coze.com, and COZE_REGION is of coze.cn"}},
		"regions of its own": {rootless("APPS", apps(t, "shop",
			map[string]any{"coze_region": "cn", "audience": "api.coze.com"})), native,
			[]string{"APPS.shop.audience: and APPS.shop.coze_region is of coze.cn"}},
		"a secret's file": {with("APPS", two(nil), "TURNSTILE_SECRET_FILE", "/secret"), file(""),
			[]string{"TURNSTILE_SECRET_FILE: is set without VISITOR_SECRET"}},
		"a duration": {with("APPS", two(nil), "TOKEN_DURATION", "60", "MIN_TTL", "55"), native,
			[]string{"MIN_TTL: nine tenths of TOKEN_DURATION,"}},
		"a duration's lack": {with("APPS", two(nil), "MIN_TTL", "86390"), native,
			[]string{"MIN_TTL: nine tenths of TOKEN_DURATION,"}},
		"a duration of its own": {with("APPS", apps(t, "shop", map[string]any{"token_duration": 60}), "MIN_TTL", "55"),
			native,
			[]string{"MIN_TTL: nine tenths of APPS.shop.token_duration,"}},
		"a session": {with("APPS", apps(t, "shop", map[string]any{"session_prefix": strings.Repeat("p", 100)}),
			"DEFAULT_SESSION", tooLong), native,
			[]string{"DEFAULT_SESSION: is longer, with APPS.shop.session_prefix before it"}},
	} {
		t.Run(name, func(t *testing.T) { checkFaults(t, faultsOf(t, c.env, c.options), c.want...) })
	}

	_, warnings := mustRead(t, map[string]string{"APPS_FILE": "/apps"}, file("https://www.coze.com"))
	checkWarnings(t, warnings, "coze_api_base in c.json: website")
	_, warnings = mustRead(t, with("API_KEYS", "crm="+aKey+" origins=https://a.example", "ALLOWED_ORIGINS",
		"https://a.example",
		"APPS", apps(t, "shop", map[string]any{"allowed_origins": "https://b.example"})), native)
	checkWarnings(t, warnings, "API_KEYS: to https://a.example, whose pages APPS.shop.allowed_origins refuses")
}
