package cozetoken

import (
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"coze-token/broker"
	"coze-token/coze"
	"coze-token/internal/auth"
	"coze-token/internal/clientip"
	"coze-token/internal/cors"
	"coze-token/internal/fault"
	"coze-token/internal/gate"
	"coze-token/internal/native"
	"coze-token/internal/ratelimit"
	"coze-token/internal/setting"
)

// settingList is every setting. Its order is the one in which faults are shown.
var settingList = slices.Concat(
	setting.List{
		clientID, privateKey, keyID, keyID2, privateKey2, keyID3, privateKey3, bots, appList,
		cozeRegion, audience, tokenEndpoint, tokenDuration, assertionLifetime,
	},
	auth.Settings, cors.Settings, ratelimit.Settings, clientip.Settings, gate.Settings,
	setting.List{cache, cacheSize, minTTL, mintBudget, maxExchanges, sharedStore, rateLimitBinding},
	setting.List{accountID, enterpriseID, scope, deviceID, customConsumer, connectorID},
	native.SettingList,
	setting.List{logLevel},
)

// mistaken are variables that people set for a setting and that are spelt quite differently. Other
// programs hardly use them. They are pointed out only while the setting itself is not set.
var mistaken = map[string]string{
	"KEY_ID":                   "KID",
	"PUBLIC_KEY_ID":            "KID",
	"KEY_FINGERPRINT":          "KID",
	"JWT_KID":                  "KID",
	"PRIVATE_KEY_PATH":         "PRIVATE_KEY_FILE",
	"PRIVATE_KEY_FILE_PATH":    "PRIVATE_KEY_FILE",
	"OAUTH_CLIENT_ID":          "CLIENT_ID",
	"JWT_CLIENT_ID":            "CLIENT_ID",
	"JWT_OAUTH_CLIENT_ID":      "CLIENT_ID",
	"JWT_OAUTH_PRIVATE_KEY":    "PRIVATE_KEY",
	"JWT_OAUTH_PUBLIC_KEY_ID":  "KID",
	"TOKEN_TTL":                "TOKEN_DURATION",
	"TOKEN_URL":                "TOKEN_ENDPOINT",
	"COZE_APP_ID":              "CLIENT_ID",
	"COZE_KEY_ID":              "KID",
	"COZE_PUBLIC_KEY_ID":       "KID",
	"COZE_PRIVATE_KEY_PATH":    "PRIVATE_KEY_FILE",
	"COZE_API_URL":             cozeAPIBase,
	"COZE_API_ENDPOINT":        cozeAPIBase,
	"COZE_BASE_URL":            cozeAPIBase,
	"COZE_ENDPOINT":            "TOKEN_ENDPOINT",
	"COZE_API_BASE_URL":        cozeAPIBase,
	"COZE_TOKEN_URL":           "TOKEN_ENDPOINT",
	"COZE_JWT_OAUTH_KID":       "KID",
	"COZE_OAUTH_CLIENT_ID":     "CLIENT_ID",
	"COZE_OAUTH_PRIVATE_KEY":   "PRIVATE_KEY",
	"COZE_OAUTH_PUBLIC_KEY_ID": "KID",
}

// foreign are names close to a setting's that other programs use.
var foreign = []string{"API_KEY", "SSL_CERT_FILE"}

var logLevel = setting.New(setting.Row{Name: "LOG_LEVEL", Default: "info"}, func(v *setting.Value) (level slog.Level) {
	if word := setting.Choice("debug", "info", "warn", "error")(v); v.OK() {
		level.UnmarshalText([]byte(word))
	}
	return level
})

// Settings are what a service is built from, complete and within bounds. [Read] makes them.
type Settings struct {
	// Timeout is how long a caller waits for Coze at most, all attempts and pauses included.
	Timeout    time.Duration
	client     bool // GET /client.js is answered
	quickstart bool // pages of Coze's quickstarts are answered
	// LogLevel is the least level that is logged.
	LogLevel slog.Level
	// Native and Worker are the settings of the two hosts. Only those of this host are set.
	Native native.Settings
	Worker WorkerSettings

	apps        map[string]App // the name of the app at / is empty
	broker      broker.Options
	addressRate ratelimit.Rate
	proxies     *clientip.Proxies
}

// MaxExchanges is how many exchanges with Coze are under way at once, each with a connection.
func (s *Settings) MaxExchanges() int { return s.broker.MaxExchanges }

// An App is what is set for one app.
type App struct {
	// OAuth is the app at Coze. Region is the name of its region: "cn", "com", or "custom" where
	// the endpoint and the audience are not both of one.
	OAuth  *coze.App
	Region string
	// Duration is how long a token lives, in whole seconds.
	Duration time.Duration
	// Session is the session of callers who name none. Empty: no session is sent for them.
	Session string
	// Sessions is how sessions are named at Coze.
	Sessions gate.Sessions
	// DeviceID and CustomConsumer say whether the session is whom quota and billing are put down to.
	// Where they are Fixed, they stand in OAuth.
	DeviceID, CustomConsumer gate.QuotaID
	// Callers is who may ask.
	Callers auth.Config
	// Pages are the pages that may ask.
	Pages cors.Policy
	// Rates are how often they may ask.
	Rates ratelimit.Rates
}

// Apps are the apps by name: the one at /, whose name is empty, if there is one, and then the
// others in order.
func (s *Settings) Apps() iter.Seq2[string, App] {
	return func(yield func(string, App) bool) {
		for _, name := range slices.Sorted(maps.Keys(s.apps)) {
			if !yield(name, s.apps[name]) {
				return
			}
		}
	}
}

// App returns the app of the name. That of the app at / is empty.
func (s *Settings) App(name string) (App, bool) {
	app, ok := s.apps[name]
	return app, ok
}

// Read reads the settings in env and checks them. The error is every fault: each says which
// variable is wrong, what is wrong with it and what to do. Warnings come in either case.
func Read(env map[string]string, o Options) (*Settings, fault.List, error) {
	r := open(env, o)
	s := read(r, o)
	warnings, err := r.Close()
	if err != nil {
		return nil, warnings, err
	}
	return s, warnings, nil
}

func open(env map[string]string, o Options) *setting.Reader {
	return settingList.Open(env, setting.Options{
		File: o.File.layer, ReadFile: o.ReadFile, Exposed: o.Exposed, YAML: o.YAML, Workers: o.Workers, NotText: o.NotText,
		Partial: o.Partial, Mistaken: mistaken, Foreign: foreign,
	})
}

// read reads all that is set. What is wrong with it goes to r.
func read(r *setting.Reader, o Options) *Settings {
	onlyApps := r.Has(appList) && !r.HasRequired() && !o.Partial
	if onlyApps {
		r.Parse(setting.Own)
	} else {
		r.Parse()
	}
	others := appList.Get(r)
	serves := func(name string) bool {
		_, ok := others[name]
		return ok || name == "" && !onlyApps || others == nil && r.IsSet(appList) // APPS is a fault already
	}
	s := &Settings{apps: map[string]App{}}
	app := readApp(r, "", serves, !onlyApps)
	if !onlyApps {
		s.apps[""] = app
	}
	s.Timeout, s.LogLevel = gate.ReadTimeout(r), logLevel.Get(r)
	s.client = gate.ReadClient(r)
	s.quickstart = gate.ReadQuickstart(r, func(name string) bool { _, ok := others[name]; return ok })
	s.broker = readBroker(r)
	s.Native, s.Worker = native.ReadSettings(r), readWorker(r)
	s.addressRate, s.proxies = ratelimit.ReadAddressRate(r), clientip.Read(r)
	for _, name := range slices.Sorted(maps.Keys(others)) {
		a := r.App(r.Variable(appList)+"."+name+".", others[name])
		app := readApp(a, name, serves, true)
		s.apps[name] = app
		if a.IsOwn(tokenDuration) {
			checkMinTTL(r, a.Call(tokenDuration), app.Duration)
		}
	}
	for _, app := range s.Apps() {
		if app.Callers.UserHeader != "" && s.proxies == nil {
			r.Fault(auth.UserHeader, "is set without TRUSTED_PROXIES, and nobody would be believed",
				"set TRUSTED_PROXIES to the addresses of the proxy that sends it")
			break
		}
	}
	if o.Check != nil {
		r.ReportNamed(o.Check(s))
	}
	return s
}

// Environ turns what [os.Environ] returns into a map. If a variable stands there twice, the first
// one counts, as for [os.Getenv].
func Environ(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, text, ok := strings.Cut(entry, "=")
		if _, again := env[name]; !ok || name == "" || again { // "=C:=…" is how Windows keeps its current directories
			continue
		}
		env[name] = text
	}
	return env
}

// readApp reads the settings of one app. Where served is false there is no such app, and they are
// those that the apps of APPS share.
func readApp(r *setting.Reader, name string, serves func(app string) bool, served bool) (a App) {
	if served {
		a.OAuth, a.Region = readOAuthApp(r)
	}
	a.Duration = tokenDuration.Get(r)
	a.Sessions, a.Session = gate.ReadSessions(r)
	a.DeviceID, a.CustomConsumer = deviceID.Get(r), customConsumer.Get(r)
	a.Pages = cors.Read(r)
	a.Rates = ratelimit.ReadRates(r)
	a.Callers = auth.Read(r, served)
	checkKeys(r, a, name, serves)
	return a
}

// checkKeys checks what API keys are limited to. A key for an app or a page that does not exist
// would let nobody in, and nobody would notice.
func checkKeys(r *setting.Reader, a App, name string, serves func(app string) bool) {
	for _, key := range a.Callers.Keys.Callers() {
		if slices.ContainsFunc(key.Apps, func(app string) bool { return !serves(app) }) {
			r.Fault(auth.APIKeys, "limits the key %s to an app that there is not",
				"name apps as APPS does, and the one of CLIENT_ID as /", key.Name)
		}
		if a.Pages.Origins.Empty() || !serves(name) || key.Apps != nil && !slices.Contains(key.Apps, name) {
			continue
		}
		for _, page := range key.Origins {
			if !a.Pages.Origins.Match(page) {
				r.Warn(auth.APIKeys, "limits the key %s to %s, whose pages "+
					"%s refuses", "list that origin as well, or correct it", key.Name, page, r.Call(cors.AllowedOrigins))
			}
		}
	}
}
