package config_test

import (
	"maps"
	"testing"
	"time"

	"coze-token/internal/config"
)

func TestCacheSettings(t *testing.T) {
	for _, c := range []struct {
		name string
		set  map[string]string
		edge bool
		want func(*config.Settings) bool
	}{
		{"defaults", nil, false, func(s *config.Settings) bool {
			return !s.CacheOff && s.CacheSize == 100_000 && s.MinTTL == 0 && s.MintBudget == 6000
		}},
		{"defaults on an edge", nil, true, func(s *config.Settings) bool { return s.CacheSize == 10_000 }},
		{"off", map[string]string{"CACHE": "off", "MINT_BUDGET": "off"}, false, func(s *config.Settings) bool { return s.CacheOff && s.MintBudget < 0 }},
		{"set", map[string]string{"CACHE": "on", "CACHE_SIZE": "5", "MIN_TTL": "810", "MINT_BUDGET": "1"}, false, func(s *config.Settings) bool {
			return !s.CacheOff && s.CacheSize == 5 && s.MinTTL == 810*time.Second && s.MintBudget == 1
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := with()
			maps.Copy(env, c.set)
			s, _ := mustParse(t, env, config.Options{Edge: c.edge})
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
