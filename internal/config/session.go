package config

import (
	"fmt"

	"coze-token/coze"
)

// minSecret is the least length of a secret that people choose, in bytes: 32 random characters of hex have 128 bits.
const minSecret = 32

func readSessionSecret(d *draft, v value) {
	if n := len(v.text.Reveal()); n < minSecret {
		d.fault(v.name, fmt.Sprintf("is %d characters long, too short to be a secret", n), makeSecret)
		return
	}
	d.settings.SessionSecret = v.text
}

const makeSecret = "use 32 random characters or more, such as openssl rand -hex 32 prints"

// maxPrefix leaves room for the names: a visitor's has 34 bytes, and callers may send longer ones.
const maxPrefix = coze.MaxSession / 2

func readSessionPrefix(d *draft, v value) {
	if n := len(v.text.Reveal()); n > maxPrefix {
		d.fault(v.name, fmt.Sprintf("is %d bytes long, and with the name after it a session has %d at most", n, coze.MaxSession), fmt.Sprintf("use %d bytes at most", maxPrefix))
		return
	}
	d.settings.SessionPrefix = d.text(v)
}

// settleSession holds the switch against the secret, and names that are set against each other.
func (d *draft) settleSession() {
	switch {
	case d.sessionHash && !d.isSet("SESSION_SECRET"):
		d.fault("SESSION_HASH", "is on, and SESSION_SECRET is not set", makeSecret)
	case d.sessionHash: // a hash has the same length, whatever the name's
		return
	case d.isOwn("SESSION_SECRET") && !d.isOwn("SESSION_HASH"): // names would go to Coze as they are, and nobody would notice
		d.fault(d.from["SESSION_SECRET"], "is set without SESSION_HASH, so no name is hashed", "set SESSION_HASH to on; or to off, if the secret is for apps that set it to on")
	case len(d.settings.SessionPrefix)+len(d.settings.DefaultSession) > coze.MaxSession:
		d.fault("DEFAULT_SESSION", fmt.Sprintf("is longer, with %s before it, than the %d bytes of a session", d.call("SESSION_PREFIX"), coze.MaxSession), "shorten one of the two")
	}
	d.settings.SessionSecret = Secret{}
}
