package config

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"coze-token/internal/auth"
	"coze-token/internal/clientip"
	"coze-token/internal/cors"
	"coze-token/internal/fault"
	"coze-token/internal/ratelimit"
	"coze-token/internal/strictjson"
)

// list takes a list apart at its commas. Who writes one with nothing in it means something else than not to set it.
func (d *draft) list(v value) []string {
	var items []string
	for item := range strings.SplitSeq(v.text.Reveal(), ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	if items == nil {
		d.empty(v)
	}
	return items
}

func (d *draft) empty(v value) {
	d.fault(v.name, "is a list with nothing in it", "say what is in it, or remove it")
}

// blame reports the faults that a package of its own found in a setting.
func (d *draft) blame(name string, err error) {
	var faults auth.Faults
	if !errors.As(err, &faults) {
		d.fault(name, err.Error(), "correct it")
		return
	}
	for _, f := range faults {
		d.fault(name, f.Problem, f.Remedy)
	}
}

func readKeys(d *draft, v value) {
	keys, err := auth.ParseKeys(v.text.Reveal())
	if err != nil {
		d.blame(v.name, err)
		return
	}
	d.settings.Keys = keys
}

// readLogins reads a list of logins. Its syntax errors are told by their place: there is no secret in it, but people mix up variables.
func readLogins(d *draft, v value) {
	decoder := json.NewDecoder(strings.NewReader(v.text.Reveal()))
	decoder.DisallowUnknownFields()
	var logins []auth.LoginOptions
	err := decoder.Decode(&logins)
	if _, end := decoder.Token(); err != nil || end != io.EOF {
		d.fault(v.name, "is not a JSON list of logins", `use [{"issuer": "https://login.example.com", "audiences": ["my-page"]}], with no members but those that the documentation lists`)
		return
	}
	if len(logins) == 0 { // [] and null
		d.empty(v)
	}
	d.noDuplicates(v, []byte(v.text.Reveal()), strictjson.DuplicateFold)
	for _, o := range logins {
		d.addLogin(v.name, o)
	}
}

// noTransport stands in for the service's while something is checked, which fetches nothing.
type noTransport struct{}

func (noTransport) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("not here")
}

// addLogin checks a login, by itself and beside those that are there already. What fetches its keys is the service's to give.
func (d *draft) addLogin(name string, o auth.LoginOptions) {
	probe := o
	probe.Transport = noTransport{}
	login, err := auth.NewLogin(probe)
	if err != nil {
		d.blame(name, err)
		return
	}
	logins := append(d.logins, login)
	if _, err := auth.New(auth.Options{Logins: logins}); err != nil {
		d.blame(name, err)
		return
	}
	d.logins = logins
	d.settings.Logins = append(d.settings.Logins, o)
}

func readVisitorSecret(d *draft, v value) {
	secrets := auth.ParseSecrets(v.text.Reveal())
	if _, err := auth.NewVisitors(auth.VisitorOptions{Secrets: secrets}); err != nil {
		d.blame(v.name, err)
		return
	}
	for _, secret := range secrets {
		d.settings.VisitorSecrets = append(d.settings.VisitorSecrets, NewSecret(secret))
	}
}

func readTurnstileSecret(d *draft, v value) {
	if _, err := auth.NewTurnstile(auth.TurnstileOptions{Secret: v.text.Reveal(), Transport: noTransport{}}); err != nil {
		d.blame(v.name, err)
		return
	}
	d.settings.TurnstileSecret = v.text
}

func readOrigins(d *draft, v value) {
	set, warnings, err := cors.Parse(v.text.Reveal())
	for _, w := range warnings {
		d.warn(v.name, w.Problem, w.Remedy)
	}
	for _, f := range fault.Of(err) {
		d.fault(v.name, f.Problem, f.Remedy)
	}
	if err == nil && set.Empty() {
		d.empty(v)
	}
	d.settings.Origins = set
}

func (d *draft) rate(v value) ratelimit.Rate {
	rate, err := ratelimit.ParseRate(v.text.Reveal())
	for _, f := range fault.Of(err) {
		d.fault(v.name, f.Problem, f.Remedy)
	}
	return rate
}

func readOpenAccess(d *draft, v value) {
	word := d.onOff(v)
	d.settings.Open, d.closed = word == on, word == off && d.isSet("OPEN_ACCESS")
}

// settleKeys looks at what keys are limited to. An app or a page that is not there would let nobody in, without a word.
func (d *draft) settleKeys() {
	if d.settings.Keys == nil {
		return
	}
	name := d.from["API_KEYS"]
	for _, key := range d.settings.Keys.Callers() {
		if slices.ContainsFunc(key.Apps, func(app string) bool { return !d.serves(app) }) {
			d.fault(name, "limits the key "+key.Name+" to an app that there is not", "name apps as APPS does, and the one of CLIENT_ID as /")
		}
		if d.settings.Origins.Empty() || !d.serves(d.name) || key.Apps != nil && !slices.Contains(key.Apps, d.name) {
			continue
		}
		for _, page := range key.Origins {
			if !d.settings.Origins.Match(page) {
				d.warn(name, "limits the key "+key.Name+" to "+page+", whose pages "+d.call("ALLOWED_ORIGINS")+" refuses", "list that origin as well, or correct it")
			}
		}
	}
}

// serves says whether there is an app of that name.
func (d *draft) serves(name string) bool {
	if name == "" {
		return !d.rootless
	}
	_, ok := d.apps[name]
	return ok || d.apps == nil && d.isSet("APPS") // which could not be read, and that is a fault already
}

// settleAccess completes the logins, and looks at what is between the settings.
func (d *draft) settleAccess() {
	d.settleKeys()
	if d.isSet("JWT_ISSUER") {
		const remedy = "set JWT_AUDIENCE to the client id (or API identifier) that the provider writes into aud, so that no token for another service is taken"
		if d.together("JWT_ISSUER", "JWT_AUDIENCE", remedy) && d.login.Issuer != "" && d.login.Audiences != nil {
			d.addLogin(d.from["JWT_ISSUER"], d.login)
		}
	} else {
		for _, name := range []string{"JWT_AUDIENCE", "JWKS_URL", "JWT_SESSION_CLAIM"} {
			if d.isSet(name) {
				d.fault(name, "is set without JWT_ISSUER", "set JWT_ISSUER to the iss of the tokens, or remove it")
			}
		}
	}
	if d.together("CF_ACCESS_TEAM", "CF_ACCESS_AUD", "set both, or neither") && d.accessTeam != "" && d.accessAudiences != nil {
		if o, err := auth.CloudflareAccess(d.accessTeam, d.accessAudiences...); err != nil {
			d.blame("CF_ACCESS_TEAM", err)
		} else {
			d.addLogin("CF_ACCESS_TEAM", o)
		}
	}
	if d.isSet("TURNSTILE_SECRET") && !d.isSet("VISITOR_SECRET") {
		d.fault("TURNSTILE_SECRET", "is set without VISITOR_SECRET, and only visitors have to pass Turnstile", "set VISITOR_SECRET, or remove it")
	}
	switch ways := []string{"API_KEYS", "JWT_ISSUER", "LOGINS", "CF_ACCESS_TEAM", "VISITOR_SECRET"}; {
	case d.closed && d.settings.App != nil && !slices.ContainsFunc(ways, d.isSet):
		d.fault("OPEN_ACCESS", "is off, and nobody else is let in", "set API_KEYS, JWT_ISSUER, LOGINS, CF_ACCESS_TEAM or VISITOR_SECRET, or set it to on")
	case d.settings.Open && d.isSet("VISITOR_SECRET"):
		d.warn("OPEN_ACCESS", "has no effect beside VISITOR_SECRET, because whoever has no credential is a visitor", "remove it")
	case d.settings.Open && d.settings.knowsCallers():
		d.warn("OPEN_ACCESS", "lets anybody in without a credential, beside the callers that prove who they are", "remove it once all callers have a credential")
	}
}

// settleProxies reads the two settings that only mean something together.
func (d *draft) settleProxies() {
	if !d.isSet("TRUSTED_PROXIES") {
		if d.isSet("TRUSTED_PROXY_HEADER") {
			d.fault("TRUSTED_PROXY_HEADER", "is set without TRUSTED_PROXIES", "set TRUSTED_PROXIES to the addresses of the proxies")
		}
		return
	}
	var header string
	if d.isSet("TRUSTED_PROXY_HEADER") {
		header = d.proxyHeader.text.Reveal()
	}
	proxies, err := clientip.ParseProxies(d.proxies.text.Reveal(), header)
	for _, f := range fault.Of(err) {
		d.fault("TRUSTED_PROXIES", f.Problem, f.Remedy)
	}
	d.settings.Proxies = proxies
}
