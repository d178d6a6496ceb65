package config

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"coze-token/internal/quote"
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

// readSharedStore reads a word, or the word kv with the name of a binding.
func readSharedStore(d *draft, v value) {
	text := v.text.Reveal()
	kv, named := strings.CutPrefix(text, "kv:")
	switch {
	case text == "cache" || text == off || named && bindingName.MatchString(kv):
		d.settings.SharedStore = text
	default:
		d.fault(v.name, "is "+quote.Text(text)+", none of what it can be", "use cache, off, or kv: and the name of a binding in wrangler.jsonc, such as kv:TOKENS")
	}
}

// bindingName is what a binding is called: a name in JavaScript.
var bindingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// settleCache holds MIN_TTL against the duration: were it as long, every token would be too short when it comes.
func (d *draft) settleCache() { d.minTTLFits("TOKEN_DURATION", d.settings.Duration) }

func (d *draft) minTTLFits(name string, duration time.Duration) {
	most := (duration / 10 * 9).Truncate(time.Second)
	if d.settings.MinTTL > most && duration > 0 {
		d.fault("MIN_TTL", fmt.Sprintf("is %d seconds, too much for tokens that live %d", d.settings.MinTTL/time.Second, duration/time.Second),
			fmt.Sprintf("use at most %d, nine tenths of %s, or raise that", most/time.Second, name))
	}
}
