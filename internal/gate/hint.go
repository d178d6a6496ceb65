package gate

import (
	"strings"

	"coze-token/coze"
	"coze-token/internal/message"
)

// refusals are the refusals that Coze is known to send, and what to do about each. The first one
// that fits is used. message is a part of Coze's own text, spelling included. An empty code or
// message fits any.
var refusals = []struct {
	code, message string
	hint          message.Format
}{
	{"", "kid not been", "Coze does not know this key. In order of likelihood: the app was made in the other region " +
		"(coze.cn and coze.com share nothing: set COZE_REGION to cn or com); KID is not the fingerprint of this " +
		"private key's public half; CLIENT_ID is not the OAuth app's id; or the key was created seconds ago " +
		"(wait half a minute)."},
	{"", "verify jwt empty", "Coze could not verify the signature: PRIVATE_KEY is not the private half of the key " +
		"that KID names, or a proxy drops the Authorization header."},
	{"", "deactivated by the owner", "The OAuth app is switched off. Its owner can enable it in Coze's console."},
	{"", "invalid app type", "The OAuth app is not of the type JWT (服务类应用). Create one of that type in Coze's " +
		"console; the type of an existing app cannot be changed."},
	{"", "connector app should bind", "The app is a channel (渠道) app that is bound to no channel yet. Bind it in " +
		"Coze's console, or use an ordinary OAuth app of type JWT."},
	{"", "login session invalid", "Coze says the app's authorisation is no longer valid. Log in to Coze again, open " +
		"the OAuth app in the console and authorise it anew."},
	{"unsupported_grant_type", "", "Coze does not accept the JWT grant for this app: it must be of the type JWT " +
		"(服务类应用)."},
	{"access_deny", "", "Coze denies this app access. Look at its state, type and permissions in Coze's console."},
	{"invalid_request", "", "Coze found a parameter wrong; its message names it. If it is the scope: only channel " +
		"(渠道) apps may send one."},
	{"invalid_client", "", "Coze does not accept the assertion. Check that CLIENT_ID, KID and PRIVATE_KEY belong to " +
		"one app, that COZE_REGION is the app's region, that this machine's clock is right, and, after a change in " +
		"the console, wait half a minute."},
}

// Hint says in plain words what a person can do about a failure at Coze. It names settings as
// docs/settings.md does.
func Hint(e *coze.Error) message.Format {
	switch e.Kind {
	case coze.Busy:
		return "Coze limits how often tokens are asked for. Wait, and ask less often."
	case coze.Timeout:
		return "Coze did not answer in time. Try again; if it goes on, check the network between this service and " +
			"TOKEN_ENDPOINT."
	case coze.InvalidRequest:
		return "Check KID, PRIVATE_KEY and the other settings of the app."
	case coze.Unavailable:
		switch {
		case e.Temporary():
			return "Try again shortly. If it goes on, check TOKEN_ENDPOINT and the network or proxy between this " +
				"service and Coze."
		case e.WrongClock:
			return "This machine's clock is wrong, most likely: set it (NTP). If it is right, the clock at " +
				"TOKEN_ENDPOINT is wrong, or that is not Coze's token endpoint."
		}
		return "Check that TOKEN_ENDPOINT is the address of Coze's token endpoint and that no proxy answers in its place."
	}
	for _, r := range refusals {
		if (r.code == "" || r.code == e.Code) && strings.Contains(e.Message, r.message) {
			return r.hint
		}
	}
	return "Coze refused; its message says why. Coze's support can look the log id up."
}
