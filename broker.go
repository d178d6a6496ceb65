package cozetoken

import (
	"strconv"
	"time"

	"coze-token/broker"
	"coze-token/coze"
	"coze-token/internal/setting"
)

// The settings of package broker: how tokens are remembered.
var (
	cache     = setting.New(setting.Row{Name: "CACHE", Default: "on"}, setting.OnOff)
	cacheSize = setting.New(setting.Row{
		Name: "CACHE_SIZE", Default: strconv.Itoa(broker.DefaultSize), WorkersDefault: "10000", Min: 1, Max: 10_000_000,
	}, setting.Whole)
	minTTL = setting.New(setting.Row{
		Name: "MIN_TTL", Min: 1, Max: int64(coze.MaxDuration / time.Second),
	}, setting.Seconds)
	maxExchanges = setting.New(setting.Row{
		Name: "MAX_EXCHANGES", Default: strconv.Itoa(broker.DefaultMaxExchanges), Min: 1, Max: 100_000,
	}, setting.Whole)
	mintBudget = setting.New(setting.Row{
		Name: "MINT_BUDGET", Default: strconv.Itoa(broker.DefaultBudget), Min: 1, Max: 1_000_000,
	}, parseBudget)
)

// readBroker returns the options of the broker that settings say.
func readBroker(r *setting.Reader) broker.Options {
	checkMinTTL(r, "TOKEN_DURATION", tokenDuration.Get(r))
	return broker.Options{
		Off:    !cache.Get(r),
		Size:   cacheSize.Get(r),
		MinTTL: minTTL.Get(r),
		Budget: mintBudget.Get(r),

		MaxExchanges: maxExchanges.Get(r),
	}
}

// checkMinTTL compares MIN_TTL with how long tokens live. With a MIN_TTL as long as that, every
// token would be too short when it comes.
func checkMinTTL(r *setting.Reader, duration string, lives time.Duration) {
	most := (lives / 10 * 9).Truncate(time.Second)
	if least := minTTL.Get(r); least > most && lives > 0 {
		r.Fault(minTTL, "is %d seconds, too much for tokens that live %d",
			"use at most %d, nine tenths of %s, or raise that",
			least/time.Second, lives/time.Second, most/time.Second, duration)
	}
}

// parseBudget parses a number, or off as a negative one.
func parseBudget(v *setting.Value) int {
	if v.Text() == setting.Off {
		return -1
	}
	return int(v.Whole("a whole number of exchanges a minute, or off"))
}
