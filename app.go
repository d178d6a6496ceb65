package cozetoken

import (
	"cmp"
	"slices"

	"coze-token/coze"
	"coze-token/internal/auth"
	"coze-token/internal/config"
	"coze-token/internal/cors"
	"coze-token/internal/gate"
	"coze-token/internal/ratelimit"
)

// Logins are one login of each provider, for the next one of the same to share its keys. What no settings in force have is
// not among them, so its keys are forgotten.
type logins map[provider]*auth.Login

type provider struct{ issuer, jwks string }

// app builds one app of the gate's. Its logins are added to those known.
func (v *Service) app(name string, a config.AppSettings, known logins) (gate.App, error) {
	app := grants(a)
	signed := *a.App
	if sign := v.platform.Signer; sign != nil {
		signed.Keys = slices.Clone(signed.Keys)
		for i := range signed.Keys {
			signed.Keys[i].Signer = sign(signed.Keys[i].Signer)
		}
	}
	app.Grant.App = &signed
	callers, err := v.callers(name, a, known)
	if err != nil {
		return gate.App{}, err
	}
	app.Callers, app.Origins = callers, origins(a)
	app.CallerRate, app.SessionRate, app.Rate = a.CallerRate, a.SessionRate, a.Rate
	return app, nil
}

// grants is the part of an app that says what its tokens are asked for: by the gate, and by who asks without one.
func grants(a config.AppSettings) gate.App {
	sessions := gate.Sessions{Required: a.SessionRequired, Prefix: a.SessionPrefix}
	if secret := a.SessionSecret.Reveal(); secret != "" {
		sessions.Secret = []byte(secret)
	}
	return gate.App{
		Grant:    coze.TokenRequest{App: a.App, Session: a.DefaultSession, Duration: a.Duration},
		Sessions: sessions,
	}
}

// Grant is what an app's token is asked for on behalf of a user, or of nobody in particular, where user is empty. It is what
// the gate would ask for, so that a token that was made without it opens the same conversations. An error says why the user
// cannot have a session.
func Grant(a config.AppSettings, user string) (coze.TokenRequest, error) {
	app := grants(a)
	return app.GrantFor(user)
}

// callers builds who may ask for an app's tokens.
func (v *Service) callers(name string, a config.AppSettings, known logins) (*auth.Authenticator, error) {
	o := auth.Options{Keys: a.Keys, Open: a.IsOpen()}
	for _, login := range a.Logins {
		login.Transport, login.Go, login.Log = v.platform.Transport, v.platform.Go, v.platform.Log
		p := provider{login.Issuer, login.JWKSURL}
		login.KeysOf = cmp.Or(known[p], v.logins[p])
		built, err := auth.NewLogin(login)
		if err != nil {
			return nil, err
		}
		known[p] = built
		o.Logins = append(o.Logins, built)
	}
	if len(a.VisitorSecrets) > 0 {
		visitors := auth.VisitorOptions{App: name}
		for _, secret := range a.VisitorSecrets {
			visitors.Secrets = append(visitors.Secrets, secret.Reveal())
		}
		if secret := a.TurnstileSecret.Reveal(); secret != "" {
			turnstile, err := auth.NewTurnstile(auth.TurnstileOptions{Secret: secret, Transport: v.platform.Transport})
			if err != nil {
				return nil, err
			}
			visitors.Turnstile = turnstile
		}
		built, err := auth.NewVisitors(visitors)
		if err != nil {
			return nil, err
		}
		o.Visitors = built
	}
	return auth.New(o)
}

// origins says what pages of the listed origins may do. Cookies are for visitors, whose identity is one.
func origins(a config.AppSettings) *cors.Policy {
	return &cors.Policy{
		Origins:     a.Origins,
		Methods:     []string{"POST"},
		Headers:     slices.Concat([]string{gate.SessionHeader, "Content-Type"}, auth.PageHeaders),
		Expose:      slices.Concat([]string{"X-Request-Id", "Www-Authenticate", auth.TicketHeader}, ratelimit.ResponseHeaders),
		Credentials: len(a.VisitorSecrets) > 0 || len(a.Logins) > 0,
	}
}
