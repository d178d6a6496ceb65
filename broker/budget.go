package broker

import (
	"time"

	"golang.org/x/time/rate"

	"coze-token/coze"
)

// A budget counts exchanges against a number a minute. Nil is no limit.
type budget struct{ limiter *rate.Limiter }

func newBudget(perMinute int) *budget {
	if perMinute < 0 {
		return nil
	}
	return &budget{rate.NewLimiter(rate.Limit(float64(perMinute)/60), perMinute)}
}

// spend takes one exchange from the budget, or says when there will be one.
func (b *budget) spend(now time.Time) *coze.Error {
	if b == nil || b.limiter.AllowN(now, 1) {
		return nil
	}
	missing := 1 - b.limiter.TokensAt(now)
	wait := time.Duration(missing / float64(b.limiter.Limit()) * float64(time.Second))
	return &coze.Error{Kind: coze.Busy, RetryAfter: max(wait, time.Millisecond), Err: ErrBudget}
}
