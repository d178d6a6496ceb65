package cozetoken_test

import (
	"maps"
	"testing"
	"time"

	cozetoken "coze-token"
)

func TestCacheSettings(t *testing.T) {
	for _, c := range []struct {
		name    string
		set     map[string]string
		workers bool
		want    func(*view) bool
	}{
		{"defaults", nil, false, func(s *view) bool {
			return !s.broker.Off && s.broker.Size == 100_000 && s.broker.MinTTL == 0 && s.broker.Budget == 6000
		}},
		{"defaults on an workers", nil, true, func(s *view) bool { return s.broker.Size == 10_000 }},
		{"off", map[string]string{"CACHE": "off", "MINT_BUDGET": "off"}, false,
			func(s *view) bool { return s.broker.Off && s.broker.Budget < 0 }},
		{"set", map[string]string{"CACHE": "on", "CACHE_SIZE": "5", "MIN_TTL": "810", "MINT_BUDGET": "1"}, false,
			func(s *view) bool {
				return !s.broker.Off && s.broker.Size == 5 && s.broker.MinTTL == 810*time.Second && s.broker.Budget == 1
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := with()
			maps.Copy(env, c.set)
			s, _ := mustRead(t, env, cozetoken.Options{Workers: c.workers})
			if !c.want(s) {
				t.Errorf("got %+v", *s)
			}
		})
	}
	for _, c := range []struct{ name, value, want string }{
		{"CACHE", "yes", "on or off"},
		{"CACHE_SIZE", "0", "from 1"},
		{"MIN_TTL", "811", "at most 810"},
		{"MIN_TTL", "0", "from 1"},
		{"MIN_TTL", "5m", "whole number"},
		{"MINT_BUDGET", "0", "or off"},
		{"MINT_BUDGET", "-1", "or off"},
	} {
		t.Run(c.name+"="+c.value, func(t *testing.T) {
			checkFaults(t, faultsOf(t, with(c.name, c.value), native), c.name+": "+c.want)
		})
	}
}
