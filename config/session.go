package config

import "fmt"

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

// settleSession holds the switch against the secret.
func (d *draft) settleSession() {
	switch {
	case d.sessionHash && !d.isSet("SESSION_SECRET"):
		d.fault("SESSION_HASH", "is on, and SESSION_SECRET is not set", makeSecret)
	case !d.sessionHash:
		d.settings.SessionSecret = Secret{}
	}
}
