package cozetoken_test

import (
	"strings"
	"testing"

	cozetoken "coze-token"
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
			o := cozetoken.Options{ReadFile: files(map[string]string{"/none": "# all are gone\n"})}
			checkFaults(t, faultsOf(t, with(c.variable, c.text), o), c.variable+": ")
		})
	}
	checkFaults(t, faultsOf(t, with("JWT_ISSUER", "https://login.example", "JWT_AUDIENCE", ","), native),
		"JWT_AUDIENCE: nothing in it")
	checkFaults(t, faultsOf(t, with("CF_ACCESS_TEAM", "team", "CF_ACCESS_AUD", ","), native),
		"CF_ACCESS_AUD: nothing in it")
	for _, empty := range []any{[]string{}, "", " ", map[string]any(nil)} {
		for _, member := range []string{"api_keys", "api_keys_file", "logins", "allowed_origins", "visitor_secret"} {
			checkFaults(t, faultsOf(t, with("APPS", apps(t, "shop", map[string]any{member: empty})), native),
				"APPS.shop."+member+": is empty; write")
		}
	}
	// Compose files and platforms pass what is not set as an empty variable.
	s, _ := mustRead(t, with("LOGINS", "", "ALLOWED_ORIGINS", " ", "API_KEYS", ""), native)
	if !s.Callers.IsOpen() || s.Pages.Origins != nil {
		t.Errorf("got %+v", s)
	}
}

// An app that says anything of who may ask has its own callers and none of the service's. Otherwise
// its issuer would be believed under another's keys, and visitors would come in beside its API
// keys.
func TestCallersAreInheritedAsAWhole(t *testing.T) {
	env := with("JWT_ISSUER", "https://a.example", "JWT_AUDIENCE", "web", "JWKS_URL", "https://a.example/keys",
		"API_KEYS", "crm="+aKey,
		"VISITOR_SECRET", aSecret, "TURNSTILE_SECRET", "0x4AAA", "OPEN_ACCESS", "on", "ALLOWED_ORIGINS",
		"https://www.example.com")
	has := func(members map[string]any) string {
		o := cozetoken.Options{ReadFile: files(map[string]string{"/secret": aSecret})}
		env["APPS"] = apps(t, "shop", members)
		s, _ := mustRead(t, env, o)
		shop := s.app("shop")
		var what []string
		for _, l := range shop.Callers.Logins {
			what = append(what, "login "+l.Issuer+" "+l.JWKSURL)
		}
		if shop.Callers.Keys != nil {
			what = append(what, "keys")
		}
		if shop.Callers.VisitorSecrets != nil {
			what = append(what, "visitors")
		}
		if shop.Callers.TurnstileSecret.Reveal() != "" {
			what = append(what, "turnstile")
		}
		if shop.Callers.Open {
			what = append(what, "open")
		}
		if !shop.Pages.Origins.Match("https://www.example.com") {
			t.Error("the origins are not inherited")
		}
		return strings.Join(what, ", ")
	}
	for name, c := range map[string]struct {
		members map[string]any
		want    string
	}{
		"nothing": {map[string]any{"rate_limit_app": 5},
			"login https://a.example https://a.example/keys, keys, visitors, turnstile, open"},
		"another issuer": {map[string]any{"jwt_issuer": "https://b.example", "jwt_audience": "web"},
			"login https://b.example "},
		"keys":              {map[string]any{"api_keys": "shop=" + aKey}, "keys"},
		"visitors":          {map[string]any{"visitor_secret": aSecret}, "visitors"},
		"visitors, in file": {map[string]any{"visitor_secret_file": "/secret"}, "visitors"},
		"open":              {map[string]any{"open_access": true}, "open"},
	} {
		if got := has(c.members); got != c.want {
			t.Errorf("an app that says %s of its callers has %q, want %q", name, got, c.want)
		}
	}
	env["APPS"] = apps(t, "shop", map[string]any{"jwt_issuer": "https://b.example"})
	checkFaults(t, faultsOf(t, env, native), "APPS.shop.jwt_issuer: is set without JWT_AUDIENCE")
	env["APPS"] = apps(t, "shop", map[string]any{"open_access": false})
	checkFaults(t, faultsOf(t, env, native), "APPS.shop.open_access: is off, and nobody else is let in")
}

// What is off is not on for lack of anything else.
func TestOpenAccessOff(t *testing.T) {
	checkFaults(t, faultsOf(t, with("OPEN_ACCESS", "off"), native), "OPEN_ACCESS: is off, and nobody else is let in")
	checkFaults(t, faultsOf(t, with("OPEN_ACCESS", "off", "API_KEYS", "crm=short"), native), "API_KEYS: ")
	checkFaults(t, faultsOf(t, with("OPEN_ACCESS", "maybe"), native), "OPEN_ACCESS: which is not one of its values")
	mustRead(t, with("OPEN_ACCESS", "off", "API_KEYS", "crm="+aKey), native)
	env := with("OPEN_ACCESS", "off", "APPS", apps(t, "shop", map[string]any{"api_keys": "crm=" + aKey}))
	for name := range with() {
		delete(env, name) // there is no app at /
	}
	mustRead(t, env, native)
}

// What the service could not be built from is a fault here, with the variable that completes it, so
// that check finds what serve would.
func TestCallersThatDoNotFitTogether(t *testing.T) {
	list := func(text string) string { return strings.ReplaceAll(text, "'", `"`) }
	const a, b = `'issuer':'https://a.example','audiences':['x']`, `'issuer':'https://b.example','audiences':['y']`
	for name, c := range map[string]struct {
		env  map[string]string
		want []string
	}{
		"one issuer twice": {with("LOGINS", list(`[{`+a+`},{`+a+`}]`)),
			[]string{"LOGINS: two logins have the issuer https://a.example"}},
		"one name twice": {with("LOGINS", list(`[{'name':'n',`+a+`},{'name':'n',`+b+`}]`)),
			[]string{"LOGINS: two logins are both called n"}},
		"a login in both": {with("LOGINS", list(`[{`+a+`}]`), "JWT_ISSUER",
			"https://a.example", "JWT_AUDIENCE", "x"),
			[]string{"JWT_ISSUER: two logins have the issuer"}},
		"Access as well": {with("JWT_ISSUER", "https://team.cloudflareaccess.com", "JWT_AUDIENCE", "x", "CF_ACCESS_TEAM",
			"team", "CF_ACCESS_AUD", "x"),
			[]string{"CF_ACCESS_TEAM: two logins have the issuer"}},
		"a member twice": {with("LOGINS", list(`[{'issuer':'https://b.example',`+a+`}]`)),
			[]string{`LOGINS: has "issuer" twice`}},
		"a member twice, once in capitals": {with("LOGINS",
			list(`[{'issuer':'https://a.example','audiences':['x'],'Audiences':['y']}]`)),
			[]string{`LOGINS: has "Audiences" twice`}},
		"a member twice, in an app": {with("APPS", apps(t, "shop",
			map[string]any{"logins": list(`[{'issuer':'https://a.example','audiences':['x'],'audienceſ':['y']}]`)})),
			[]string{`APPS.shop.logins: has "audienceſ" twice`}},
		"a bracket too many": {with("LOGINS", list(`[{'issuer':'https://a.example','audiences':['x']}]]`)),
			[]string{"LOGINS: is not a JSON list of logins"}},
		"something after it": {with("LOGINS", list(`[{'issuer':'https://a.example','audiences':['x']}] []`)),
			[]string{"LOGINS: is not a JSON list of logins"}},
		"a team that is none": {with("CF_ACCESS_TEAM", "https://evil.example/x", "CF_ACCESS_AUD", "x"),
			[]string{"CF_ACCESS_TEAM: team domain that Cloudflare's dashboard shows"}},
		"a login's header": {with("LOGINS", list(`[{`+a+`,'header':'Cookie'}]`)),
			[]string{"LOGINS: the header Cookie has another meaning"}},
		"Turnstile": {with("VISITOR_SECRET", aSecret, "TURNSTILE_SECRET", "0x4 AAA"),
			[]string{"TURNSTILE_SECRET: characters that no key has"}},
		"Turnstile for nobody": {with("TURNSTILE_SECRET", "0x4AAA", "API_KEYS", "crm="+aKey),
			[]string{"TURNSTILE_SECRET: is set without VISITOR_SECRET"}},
		"in an app, and all at once": {with("TOKEN_DURATION", "0", "CF_ACCESS_AUD", "x", "APPS",
			apps(t, "shop", map[string]any{"turnstile_secret": "0x4 AAA"})),
			[]string{"TOKEN_DURATION: ", "CF_ACCESS_AUD: without CF_ACCESS_TEAM", "APPS.shop.turnstile_secret: no key has",
				"APPS.shop.turnstile_secret: without VISITOR_SECRET"}},
	} {
		t.Run(name, func(t *testing.T) { checkFaults(t, faultsOf(t, c.env, native), c.want...) })
	}
	s, _ := mustRead(t, with("LOGINS", list(`[{`+a+`},{`+b+`}]`),
		"JWT_ISSUER", "https://c.example", "JWT_AUDIENCE", "x", "CF_ACCESS_TEAM", "team", "CF_ACCESS_AUD", "x"), native)
	if len(s.Callers.Logins) != 4 {
		t.Errorf("%d logins", len(s.Callers.Logins))
	}
}

// A key that is limited to what is not there would let nobody in.
func TestLimitsOfKeys(t *testing.T) {
	shop := apps(t, "shop", nil)
	key := "crm=" + aKey
	for name, c := range map[string]struct {
		env  map[string]string
		want []string
	}{
		"another app": {with("APPS", shop, "API_KEYS", key+" apps=shop|shops"),
			[]string{"API_KEYS: limits the key crm to an app that there is not"}},
		"no apps": {with("API_KEYS", key+" apps=shop"), []string{"API_KEYS: crm"}},
		"none at /": {with("APPS", shop, "API_KEYS", key+" apps=/", "CLIENT_ID", "-", "KID", "-", "PRIVATE_KEY",
			"-"), []string{"API_KEYS: crm"}},
		"in an app": {with("APPS", apps(t, "shop", map[string]any{"api_keys": key + " apps=sales"})),
			[]string{"APPS.shop.api_keys: crm"}},
		"unreadable apps":  {with("APPS", "{", "API_KEYS", key+" apps=shop"), []string{"APPS: not valid JSON"}},
		"no app of a name": {with("API_KEYS", key+" apps=/shop"), []string{"API_KEYS: whose name is not one"}},
	} {
		t.Run(name, func(t *testing.T) { checkFaults(t, faultsOf(t, c.env, native), c.want...) })
	}
	// A configuration file that could not be read sets the app at /.
	env := with("APPS", shop, "API_KEYS", key+" apps=/|shop", "CLIENT_ID", "-", "KID", "-", "PRIVATE_KEY", "-")
	mustRead(t, env, cozetoken.Options{Partial: true})
	_, warnings := mustRead(t, with("APPS", shop, "API_KEYS", key+" apps=/|shop"), native)
	checkWarnings(t, warnings)

	for name, c := range map[string]struct {
		env  map[string]string
		want []string
	}{
		"a page that is listed": {with("API_KEYS", key+" origins=https://a.example", "ALLOWED_ORIGINS",
			"https://a.example"), nil},
		"any page": {with("API_KEYS", key+" origins=https://a.example"), nil},
		"another page": {with("API_KEYS", key+" origins=https://a.example", "ALLOWED_ORIGINS",
			"https://b.example"), []string{"API_KEYS: https://a.example"}},
		"a page of another app": {with("API_KEYS", key+" apps=shop origins=https://a.example", "ALLOWED_ORIGINS",
			"https://b.example",
			"APPS", apps(t, "shop", map[string]any{"allowed_origins": "https://a.example"})), nil},
		"there is none at /": {with("API_KEYS", key+" origins=https://a.example", "ALLOWED_ORIGINS", "https://b.example",
			"CLIENT_ID", "-", "KID", "-", "PRIVATE_KEY", "-",
			"APPS", apps(t, "shop", map[string]any{"allowed_origins": "https://a.example"})), nil},
		"the same for each app": {with("API_KEYS", key+" origins=https://a.example", "ALLOWED_ORIGINS", "https://b.example",
			"APPS", shop), []string{"API_KEYS: https://a.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings := mustRead(t, c.env, native)
			checkWarnings(t, warnings, c.want...)
		})
	}
}

const (
	aKey    = "ctk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
	aSecret = "0123456789abcdef0123456789abcdef"
)
