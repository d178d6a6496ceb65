package config

import (
	"fmt"
	"time"
)

// The words of settings that are switches.
const (
	on  = "on"
	off = "off"
)

// readBudget reads a number, or off as a negative one.
func readBudget(d *draft, v value) {
	if v.text.Reveal() == off {
		d.settings.MintBudget = -1
		return
	}
	d.settings.MintBudget = int(d.whole(v, 1, maxBudget, " of exchanges a minute, or off"))
}

// settleCache holds MIN_TTL against the duration: were it as long, every token would be too short when it comes.
func (d *draft) settleCache() {
	most := (d.settings.Duration / 10 * 9).Truncate(time.Second)
	if d.settings.MinTTL > most && d.settings.Duration > 0 {
		d.fault("MIN_TTL", fmt.Sprintf("is %d seconds, too much for tokens that live %d", d.settings.MinTTL/time.Second, d.settings.Duration/time.Second),
			fmt.Sprintf("use at most %d, nine tenths of TOKEN_DURATION, or raise TOKEN_DURATION", most/time.Second))
	}
}
