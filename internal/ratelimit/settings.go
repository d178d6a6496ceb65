package ratelimit

import (
	"coze-token/internal/setting"
)

var (
	addressRate = setting.New(setting.Row{Name: "RATE_LIMIT", Default: "300"}, parseSetting)
	callerRate  = setting.New(appRow("RATE_LIMIT_CALLER"), parseSetting)
	sessionRate = setting.New(appRow("RATE_LIMIT_SESSION"), parseSetting)
	appRate     = setting.New(appRow("RATE_LIMIT_APP"), parseSetting)
)

func appRow(name string) setting.Row {
	return setting.Row{Name: name, Default: setting.Off, App: setting.Shared}
}

// Settings are this package's settings.
var Settings = setting.List{addressRate, callerRate, sessionRate, appRate}

// Rates are how often those who ask for an app's tokens may do so.
type Rates struct {
	Caller  Rate // one API key
	Session Rate // one session
	App     Rate // all together
}

// ReadAddressRate returns how often one address may ask.
func ReadAddressRate(r *setting.Reader) Rate { return addressRate.Get(r) }

// ReadRates returns the rates of one app.
func ReadRates(r *setting.Reader) Rates {
	return Rates{Caller: callerRate.Get(r), Session: sessionRate.Get(r), App: appRate.Get(r)}
}

func parseSetting(v *setting.Value) Rate {
	rate, err := ParseRate(v.Text())
	v.Report(err)
	return rate
}
