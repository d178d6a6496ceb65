package ratelimit_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"coze-token/internal/ratelimit"
)

// A counter is a shared counter with a mode of failure. It counts with a limiter.
type counter struct {
	mu     sync.Mutex
	mode   string // "", "error", "hang", "deaf" (hangs whatever its context says), "panic", "yes", "no"
	behind *ratelimit.Limiter
	calls  int
	key    string
}

func (c *counter) set(mode string) { c.mu.Lock(); c.mode = mode; c.mu.Unlock() }

func (c *counter) asked() int { c.mu.Lock(); defer c.mu.Unlock(); return c.calls }

func (c *counter) Allow(ctx context.Context, key string, rate ratelimit.Rate) (ratelimit.Decision, error) {
	c.mu.Lock()
	mode := c.mode
	c.calls++
	c.key = key
	c.mu.Unlock()
	switch mode {
	case "error":
		return ratelimit.Decision{OK: true}, errors.New("connection refused")
	case "hang":
		<-ctx.Done()
		return ratelimit.Decision{}, ctx.Err()
	case "deaf":
		time.Sleep(time.Hour)
	case "panic":
		panic("nil map")
	case "yes", "no":
		return ratelimit.Decision{OK: mode == "yes", Remaining: ratelimit.Unknown}, nil
	case "nonsense, yes":
		return ratelimit.Decision{OK: true, Remaining: -7, RetryAfter: 5}, nil
	case "nonsense":
		return ratelimit.Decision{OK: false, Name: "x", Remaining: 1 << 40, RetryAfter: 1 << 60}, nil
	}
	return c.behind.Allow(ctx, key, rate), nil
}

func sharing(c ratelimit.Counter, log *bytes.Buffer) *ratelimit.Limiter {
	return ratelimit.New(ratelimit.Options{
		Name: "address", Shared: c, Secret: secret, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
}

var secret = []byte("the key's")

var tenAMinute = ratelimit.Rate{Requests: 10, Per: time.Minute}

func TestSharedCountsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := &counter{behind: ratelimit.New(ratelimit.Options{})}
		one, two := sharing(c, &log), sharing(c, &log)
		for i := range 10 {
			l := []*ratelimit.Limiter{one, two}[i%2]
			d := l.Allow(t.Context(), "a", tenAMinute)
			if !d.OK || d.Remaining != 9-i || d.Name != "address" || d.Rate != tenAMinute {
				t.Fatalf("request %d: %+v", i, d)
			}
		}
		mac := hmac.New(sha256.New, secret) // nobody without the secret can try addresses
		mac.Write([]byte("address:a"))
		if c.key != hex.EncodeToString(mac.Sum(nil)[:16]) {
			t.Errorf("the counter's key is %q", c.key)
		}
		// The processes saw five each; the sixth of each is refused by the shared count, and not
		// counted by their own.
		for range 20 {
			if d := one.Allow(t.Context(), "a", tenAMinute); d.OK || d.RetryAfter != 6*time.Second {
				t.Fatalf("over the limit of all: %+v", d)
			}
		}
		c.set("error")
		if d := one.Allow(t.Context(), "a", tenAMinute); !d.OK || d.Remaining != 4 {
			t.Errorf("alone: %+v", d)
		}
	})
}

// A request that the process itself refuses costs no round trip.
func TestFloodIsKeptFromTheSharedCounter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{mode: "yes"}
		l := sharing(c, &bytes.Buffer{})
		for range 100 {
			l.Allow(t.Context(), "a", tenAMinute)
		}
		if c.asked() != 10 {
			t.Errorf("the counter was asked %d times", c.asked())
		}
	})
}

func TestSharedFails(t *testing.T) {
	for _, mode := range []string{"error", "hang", "deaf", "panic"} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				c := &counter{mode: mode, behind: ratelimit.New(ratelimit.Options{})}
				l := sharing(c, &log)
				began := time.Now()
				for i := range 12 {
					if d := l.Allow(t.Context(), "a", tenAMinute); d.OK != (i < 10) {
						t.Errorf("request %d: %+v", i, d)
					}
				}
				if waited := time.Since(began); waited > 100*time.Millisecond || c.asked() != 1 {
					t.Errorf("waited %v, asked %d times: the breaker is not open", waited, c.asked())
				}
				for i := range 100 { // for 100 s
					time.Sleep(time.Second + 1)
					l.Allow(t.Context(), strconv.Itoa(i), tenAMinute)
				}
				if asked := c.asked(); asked < 25 || asked > 35 {
					t.Errorf("asked %d times within 100 s, not every 3 s", asked)
				}
				if lines := strings.Count(log.String(), "\n"); lines != 2 || !strings.Contains(log.String(), "limit=address") {
					t.Errorf("not one line a minute:\n%s", log.String())
				}
				c.set("")
				time.Sleep(3 * time.Second)
				asked := c.asked()
				for range 3 {
					l.Allow(t.Context(), "c", tenAMinute)
				}
				if c.asked() != asked+3 {
					t.Error("it is not asked again when it works again")
				}
				time.Sleep(2 * time.Hour) // for those that are deaf
			})
		})
	}
}

// A caller that goes away must not be able to switch the shared counter off for others.
func TestCallerGoneIsNoFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := &counter{mode: "hang", behind: ratelimit.New(ratelimit.Options{})}
		l := sharing(c, &log)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		l.Allow(ctx, "a", tenAMinute)
		c.set("")
		l.Allow(t.Context(), "a", tenAMinute)
		if c.asked() != 2 || log.Len() != 0 {
			t.Errorf("asked %d times; log: %s", c.asked(), log.String())
		}
	})
}

func TestSharedSaysOnlyYesOrNo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{mode: "yes"}
		l := sharing(c, &bytes.Buffer{})
		if d := l.Allow(t.Context(), "a", tenAMinute); !d.OK || d.Remaining != ratelimit.Unknown || d.RetryAfter != 0 {
			t.Errorf("yes: %+v", d)
		}
		c.set("no")
		d := l.Allow(t.Context(), "a", tenAMinute)
		if d.OK || d.Remaining != ratelimit.Unknown || d.RetryAfter != time.Minute {
			t.Errorf("no: %+v", d)
		}
		c.set("nonsense")
		d = l.Allow(t.Context(), "a", tenAMinute)
		if d.OK || d.Name != "address" || d.Remaining > 10 || d.RetryAfter != time.Minute {
			t.Errorf("nonsense: %+v", d)
		}
		c.set("nonsense, yes")
		if d := l.Allow(t.Context(), "a", tenAMinute); !d.OK || d.Remaining != ratelimit.Unknown || d.RetryAfter != 0 {
			t.Errorf("nonsense, yes: %+v", d)
		}
	})
}
