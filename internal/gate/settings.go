package gate

import (
	"maps"
	"slices"
	"time"

	"coze-token/coze"
	"coze-token/internal/setting"
)

var (
	defaultSession  = setting.New(setting.Row{Name: "DEFAULT_SESSION", App: setting.Shared}, parseDefaultSession)
	upstreamTimeout = setting.New(setting.Row{Name: "UPSTREAM_TIMEOUT", Default: "10", Min: 1, Max: 60}, setting.Seconds)

	clientJS = setting.New(setting.Row{Name: "CLIENT_JS", Default: "on"}, setting.OnOff)
	compat   = setting.New(setting.Row{Name: "COMPAT", Default: setting.Off}, setting.Choice(setting.Off, "quickstart"))

	sessionRequired = setting.New(switchRow("SESSION_REQUIRED"), setting.OnOff)
	sessionPrefix   = setting.New(setting.Row{Name: "SESSION_PREFIX", App: setting.Shared}, parsePrefix)
	hashSessions    = setting.New(switchRow("SESSION_HASH"), setting.OnOff)
	sessionSecret   = setting.New(setting.Row{Name: "SESSION_SECRET", App: setting.Shared, Secret: true}, parseSecret)
)

func switchRow(name string) setting.Row {
	return setting.Row{Name: name, Default: setting.Off, App: setting.Shared}
}

// Settings are this package's settings.
var Settings = setting.List{
	defaultSession, upstreamTimeout, clientJS, compat, sessionRequired, sessionPrefix, hashSessions, sessionSecret,
}

// ReadTimeout returns how long a caller waits for Coze at most, all attempts and pauses included.
func ReadTimeout(r *setting.Reader) time.Duration { return upstreamTimeout.Get(r) }

// ReadClient reports whether GET /client.js is answered.
func ReadClient(r *setting.Reader) bool { return clientJS.Get(r) }

// ReadQuickstart reports whether the pages of Coze's quickstarts are answered. No app may have one of
// their paths then: has reports whether there is an app of a name.
func ReadQuickstart(r *setting.Reader, has func(name string) bool) bool {
	if compat.Get(r) != "quickstart" {
		return false
	}
	for _, name := range slices.Sorted(maps.Keys(quickstarts)) {
		if has(name) {
			r.Fault(compat, "is quickstart, and an app is named %s, which is a path of the quickstarts'",
				"give the app another name, or remove %s", name, r.Call(compat))
		}
	}
	return true
}

// ReadSessions returns how one app names sessions, and the session of callers who name none.
func ReadSessions(r *setting.Reader) (sessions Sessions, fallback string) {
	sessions = Sessions{Required: sessionRequired.Get(r), Prefix: sessionPrefix.Get(r)}
	fallback = defaultSession.Get(r)
	secret := sessionSecret.Get(r)
	switch {
	case hashSessions.Get(r) && !r.IsSet(sessionSecret):
		r.Fault(hashSessions, "is on, and SESSION_SECRET is not set", makeSecret)
	case hashSessions.Get(r): // a hash has one length, whatever the name's is
		sessions.Secret = []byte(secret.Reveal())
	case r.IsOwn(sessionSecret) && !r.IsOwn(hashSessions): // names would go to Coze as they are, unnoticed
		r.Fault(sessionSecret, "is set without SESSION_HASH, so no name is hashed",
			"set SESSION_HASH to on; or to off, if the secret is for apps that set it to on")
	case len(sessions.Prefix)+len(fallback) > coze.MaxSession:
		r.Fault(defaultSession, "is longer, with %s before it, than the %d bytes of a session", "shorten one of the two",
			r.Call(sessionPrefix), coze.MaxSession)
	}
	return sessions, fallback
}

// ParseName parses what Coze takes in any language: a session, a device, a consumer.
func ParseName(v *setting.Value) string {
	if err := coze.CheckSession(v.Text()); err != nil {
		v.Fault("%s", "use 1 to 256 bytes of UTF-8 without control characters", err)
	}
	return v.Text()
}

func parseDefaultSession(v *setting.Value) string {
	session := ParseName(v)
	if v.OK() {
		v.Warn("all callers without X-User-ID share one conversation space",
			"send X-User-ID for each end user, and remove this once all do")
	}
	return session
}

// maxPrefix leaves room for the names: a visitor's has 34 bytes, and callers may send longer ones.
const maxPrefix = coze.MaxSession / 2

func parsePrefix(v *setting.Value) string {
	if n := len(v.Text()); n > maxPrefix {
		v.Fault("is %d bytes long, and with the name after it a session has %d at most",
			"use %d bytes at most", n, coze.MaxSession, maxPrefix)
		return ""
	}
	return ParseName(v)
}

// minSecret is the least length of a secret that people choose, in bytes: 32 random hexadecimal
// digits are 128 bits.
const minSecret = 32

const makeSecret = "use 32 random characters or more, such as openssl rand -hex 32 prints"

func parseSecret(v *setting.Value) setting.Secret {
	if n := len(v.Text()); n < minSecret {
		v.Fault("is %d characters long, too short to be a secret", makeSecret, n)
	}
	return setting.NewSecret(v.Text())
}
