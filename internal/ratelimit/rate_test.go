package ratelimit_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"coze-token/internal/fault"
	"coze-token/internal/ratelimit"
)

func TestParseRate(t *testing.T) {
	for text, want := range map[string]ratelimit.Rate{
		"300": {300, time.Minute}, " 1 ": {1, time.Minute}, "1000000": {1e6, time.Minute}, "0300": {300, time.Minute},
		"100/10s": {100, 10 * time.Second}, "5/s": {5, time.Second}, "5 / m": {5, time.Minute}, "5/2h": {5, 2 * time.Hour},
		"1/24h": {1, ratelimit.MaxPer}, "1/86400s": {1, ratelimit.MaxPer}, "off": {}, "OFF": {},
	} {
		if got, err := ratelimit.ParseRate(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, problem := range map[string]string{
		"": "not a rate", "on": "not a rate", "-1": "not a rate", "+1": "not a rate", "1.5": "not a rate",
		"1e3": "not a rate", "1,000": "not a rate",
		"３００": "not a rate", "300 requests": "not a rate", "/10s": "not a rate", "99999999999999999999": "not a rate",
		"0": "refuse everybody", "000": "refuse everybody", "0/10s": "refuse everybody", "1000001": "above the maximum",
		"1/": "span", "1/10": "span", "1/10ms": "span", "1/1d": "span", "1/1.5s": "span",
		"1/-1s": "span", "1/1s/1s": "span", "1/µs": "span",
		"1/0s": "out of range", "1/25h": "out of range", "1/999999999h": "out of range",
		strings.Repeat("9", 200): "200 characters", "-----BEGIN": "10 characters",
	} {
		got, err := ratelimit.ParseRate(text)
		f, ok := errors.AsType[fault.Fault](err)
		if !ok || !strings.Contains(f.Problem.String(), problem) || f.Remedy.String() == "" || got != (ratelimit.Rate{}) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func FuzzParseRate(f *testing.F) {
	for _, seed := range []string{"300", "off", "100/10s", "5/s", "0", "1/25h", "/", "9999999999/999999999h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rate, err := ratelimit.ParseRate(text)
		if err != nil {
			if f, ok := errors.AsType[fault.Fault](err); !ok || f.Problem.String() == "" || f.Remedy.String() == "" ||
				strings.Contains(err.Error(), "\n") || len(err.Error()) > 800 {
				t.Errorf("%q: %q", text, err)
			}
			return
		}
		if !rate.Off() && (rate.Requests > ratelimit.MaxRequests || rate.Per > ratelimit.MaxPer || rate.Per < time.Second) {
			t.Errorf("%q: %v out of bounds", text, rate)
		}
	})
}
