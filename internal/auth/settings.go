package auth

import (
	"encoding/json"
	"io"
	"slices"
	"strings"

	"coze-token/internal/setting"
	"coze-token/internal/strictjson"
)

// callersScope is the group of settings that an app has all from the service, or none. Merged one
// by one, an issuer of the app's would be believed under the service's keys.
const callersScope setting.Scope = "callers"

// The settings of this package.
var (
	APIKeys         = setting.New(secretRow("API_KEYS"), parseKeys)
	jwtIssuer       = setting.New(row("JWT_ISSUER"), setting.Text)
	jwtAudience     = setting.New(row("JWT_AUDIENCE"), setting.Items)
	jwksURL         = setting.New(row("JWKS_URL"), setting.Text)
	jwtSessionClaim = setting.New(row("JWT_SESSION_CLAIM"), setting.Word)
	loginList       = setting.New(row("LOGINS"), parseLogins)
	cfAccessTeam    = setting.New(row("CF_ACCESS_TEAM"), setting.Word)
	cfAccessAud     = setting.New(row("CF_ACCESS_AUD"), setting.Items)
	visitorSecret   = setting.New(secretRow("VISITOR_SECRET"), parseVisitorSecrets)
	turnstileSecret = setting.New(secretRow("TURNSTILE_SECRET"), parseTurnstile)
	openAccess      = setting.New(setting.Row{
		Name: "OPEN_ACCESS", App: callersScope, Default: setting.Off,
	}, setting.OnOff)
)

func row(name string) setting.Row { return setting.Row{Name: name, App: callersScope} }

func secretRow(name string) setting.Row {
	return setting.Row{Name: name, App: callersScope, Secret: true}
}

// Settings are this package's settings.
var Settings = setting.List{
	APIKeys, jwtIssuer, jwtAudience, jwksURL, jwtSessionClaim, loginList, cfAccessTeam, cfAccessAud,
	visitorSecret, turnstileSecret, openAccess,
}

// A Config is who may ask for the tokens of one app. Its zero value lets anybody in.
type Config struct {
	// Keys are the API keys that are taken. Nil: none.
	Keys *Keys
	// Logins are the providers whose users are taken.
	Logins []LoginOptions
	// VisitorSecrets sign the identities of visitors, the newest first. None: there are no visitors.
	VisitorSecrets []setting.Secret
	// TurnstileSecret is the secret key of the widget that new visitors have to pass. Empty: none.
	TurnstileSecret setting.Secret
	// Open lets in callers without a credential, unless they are visitors.
	Open bool
}

// KnowsCallers reports whether there is any way for a caller to be known.
func (c Config) KnowsCallers() bool {
	return c.Keys != nil || len(c.Logins) > 0 || len(c.VisitorSecrets) > 0
}

// IsOpen reports whether anybody gets a token without being known (security check 8). Beside
// visitors nobody does: they are visitors.
func (c Config) IsOpen() bool {
	return c.Open && len(c.VisitorSecrets) == 0 || !c.KnowsCallers()
}

// ReadsCookies reports whether pages have cookies to send: those of visitors, and those of a proxy
// in front that logs users in.
func (c Config) ReadsCookies() bool { return len(c.VisitorSecrets) > 0 || len(c.Logins) > 0 }

// Headers are the further request headers that are read: those of logins.
func (c Config) Headers() (headers []string) {
	for _, login := range c.Logins {
		if login.Header != "" {
			headers = append(headers, login.Header)
		}
	}
	return headers
}

// Read returns who may ask for the tokens of one app. served is false for what the apps of APPS
// share where no app is at /.
func Read(r *setting.Reader, served bool) Config {
	c := Config{
		Keys:            APIKeys.Get(r),
		VisitorSecrets:  visitorSecret.Get(r),
		TurnstileSecret: turnstileSecret.Get(r),
	}
	open, valid := openAccess.Lookup(r)
	c.Open = open
	c.readLogins(r)
	if r.IsSet(turnstileSecret) && !r.IsSet(visitorSecret) {
		r.Fault(turnstileSecret, "is set without VISITOR_SECRET, and only visitors have to pass Turnstile",
			"set VISITOR_SECRET, or remove it")
	}
	ways := []setting.Setting{APIKeys, jwtIssuer, loginList, cfAccessTeam, visitorSecret}
	switch {
	case served && r.IsSet(openAccess) && valid && !open && !slices.ContainsFunc(ways, r.IsSet):
		r.Fault(openAccess, "is off, and nobody else is let in",
			"set API_KEYS, JWT_ISSUER, LOGINS, CF_ACCESS_TEAM or VISITOR_SECRET, or set it to on")
	case c.Open && r.IsSet(visitorSecret):
		r.Warn(openAccess, "has no effect beside VISITOR_SECRET, because whoever has no credential is a visitor",
			"remove it")
	case c.Open && c.KnowsCallers():
		r.Warn(openAccess, "lets anybody in without a credential, beside the callers that prove who they are",
			"remove it once all callers have a credential")
	}
	return c
}

// readLogins reads the three ways to set a login, and checks each beside those before.
func (c *Config) readLogins(r *setting.Reader) {
	add := func(s setting.Setting, o LoginOptions, err error) {
		if err == nil {
			err = CheckLogin(o, c.Logins)
		}
		if err != nil {
			r.Report(s, err)
			return
		}
		c.Logins = append(c.Logins, o)
	}
	for _, o := range loginList.Get(r) {
		add(loginList, o, nil)
	}
	login := LoginOptions{
		Issuer: jwtIssuer.Get(r), Audiences: jwtAudience.Get(r), JWKSURL: jwksURL.Get(r),
		SessionClaim: jwtSessionClaim.Get(r),
	}
	if r.IsSet(jwtIssuer) {
		const remedy = "set JWT_AUDIENCE to the client id (or API identifier) that the provider writes into aud, " +
			"so that no token for another service is taken"
		if r.Together(jwtIssuer, jwtAudience, remedy) && login.Issuer != "" && login.Audiences != nil {
			add(jwtIssuer, login, nil)
		}
	} else {
		for _, s := range []setting.Setting{jwtAudience, jwksURL, jwtSessionClaim} {
			if r.IsSet(s) {
				r.Fault(s, "is set without JWT_ISSUER", "set JWT_ISSUER to the iss of the tokens, or remove it")
			}
		}
	}
	team, audiences := cfAccessTeam.Get(r), cfAccessAud.Get(r)
	if r.Together(cfAccessTeam, cfAccessAud, "set both, or neither") && team != "" && audiences != nil {
		o, err := CloudflareAccess(team, audiences...)
		add(cfAccessTeam, o, err)
	}
}

func parseKeys(v *setting.Value) *Keys {
	keys, err := ParseKeys(v.Text())
	v.Report(err)
	return keys
}

// parseLogins parses a list of logins. Only the fact that it is none is told: there is no secret in
// it, but people mix up variables.
func parseLogins(v *setting.Value) (list []LoginOptions) {
	decoder := json.NewDecoder(strings.NewReader(v.Text()))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&list)
	if _, end := decoder.Token(); err != nil || end != io.EOF {
		v.Fault("is not a JSON list of logins", `use [{"issuer": "https://login.example.com", "audiences": ["my-page"]}], `+
			"with no members but those that the documentation lists")
		return nil
	}
	if len(list) == 0 { // [] and null
		v.Empty()
	}
	v.NoDuplicates(strictjson.DuplicateFold([]byte(v.Text())))
	return list
}

func parseVisitorSecrets(v *setting.Value) []setting.Secret {
	var secrets []setting.Secret
	texts := ParseSecrets(v.Text())
	v.Report(CheckVisitorSecrets(texts))
	for _, text := range texts {
		secrets = append(secrets, setting.NewSecret(text))
	}
	return secrets
}

func parseTurnstile(v *setting.Value) setting.Secret {
	v.Report(CheckTurnstile(v.Text()))
	return setting.NewSecret(v.Text())
}
