package config

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"coze-token/caller"
	"coze-token/limit"
	"coze-token/origin"
)

// list takes a list apart at its commas.
func list(v value) []string {
	var items []string
	for item := range strings.SplitSeq(v.text.Reveal(), ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// blame reports the faults that a package of its own found in a setting.
func (d *draft) blame(name string, err error) {
	var faults caller.Faults
	if !errors.As(err, &faults) {
		d.fault(name, err.Error(), "correct it")
		return
	}
	for _, f := range faults {
		d.fault(name, f.Problem, f.Remedy)
	}
}

func readKeys(d *draft, v value) {
	keys, err := caller.ParseKeys(v.text.Reveal())
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
	var logins []caller.LoginOptions
	if err := decoder.Decode(&logins); err != nil || decoder.More() {
		d.fault(v.name, "is not a JSON list of logins", `use [{"issuer": "https://login.example.com", "audiences": ["my-page"]}], with no members but those that the documentation lists`)
		return
	}
	for _, o := range logins {
		d.addLogin(v.name, o)
	}
}

// noTransport stands in for the service's while a login is checked, which fetches nothing.
type noTransport struct{}

func (noTransport) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("not here")
}

// addLogin checks a login. What fetches its keys is the service's to give.
func (d *draft) addLogin(name string, o caller.LoginOptions) {
	probe := o
	probe.Transport = noTransport{}
	if _, err := caller.NewLogin(probe); err != nil {
		d.blame(name, err)
		return
	}
	d.settings.Logins = append(d.settings.Logins, o)
}

func readVisitorSecret(d *draft, v value) {
	secrets := caller.ParseSecrets(v.text.Reveal())
	if _, err := caller.NewVisitors(caller.VisitorOptions{Secrets: secrets}); err != nil {
		d.blame(v.name, err)
		return
	}
	for _, secret := range secrets {
		d.settings.VisitorSecrets = append(d.settings.VisitorSecrets, NewSecret(secret))
	}
}

func readOrigins(d *draft, v value) {
	set, warnings, faults := origin.Parse(v.text.Reveal())
	for _, w := range warnings {
		d.warn(v.name, w.Problem, w.Remedy)
	}
	for _, f := range faults {
		d.fault(v.name, f.Problem, f.Remedy)
	}
	d.settings.Origins = set
}

func (d *draft) rate(v value) limit.Rate {
	rate, err := limit.ParseRate(v.text.Reveal())
	var fault limit.Fault
	if errors.As(err, &fault) {
		d.fault(v.name, fault.Problem, fault.Remedy)
	}
	return rate
}

// settleAccess completes the logins, and looks at what is between the settings.
func (d *draft) settleAccess() {
	if d.isSet("JWT_ISSUER") {
		d.addLogin(d.from["JWT_ISSUER"], d.login)
	} else {
		for _, name := range []string{"JWT_AUDIENCE", "JWKS_URL", "JWT_SESSION_CLAIM"} {
			if d.isSet(name) {
				d.fault(name, "is set without JWT_ISSUER", "set JWT_ISSUER to the iss of the tokens, or remove it")
			}
		}
	}
	if d.together("CF_ACCESS_TEAM", "CF_ACCESS_AUD", "set both, or neither") && d.accessTeam != "" {
		d.addLogin("CF_ACCESS_TEAM", caller.CloudflareAccess(d.accessTeam, d.accessAudiences...))
	}
	if d.isSet("TURNSTILE_SECRET") && !d.isSet("VISITOR_SECRET") {
		d.fault("TURNSTILE_SECRET", "is set without VISITOR_SECRET, and only visitors have to pass Turnstile", "set VISITOR_SECRET, or remove it")
	}
	switch {
	case !d.settings.Open:
	case d.isSet("VISITOR_SECRET"):
		d.warn("OPEN_ACCESS", "has no effect beside VISITOR_SECRET, because whoever has no credential is a visitor", "remove it")
	case d.settings.knowsCallers():
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
	proxies, faults := limit.ParseProxies(d.proxies.text.Reveal(), header)
	for _, f := range faults {
		d.fault("TRUSTED_PROXIES", f.Problem, f.Remedy)
	}
	d.settings.Proxies = proxies
}
