package ratelimit

// Told is what the RateLimit header says, as numbers.
func (d Decision) Told() (r int, t int64) { return d.Remaining, seconds(d.window()) }
