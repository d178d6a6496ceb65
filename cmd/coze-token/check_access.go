package main

import (
	"context"
	"time"

	cozetoken "coze-token"
	"coze-token/internal/auth"
	"coze-token/internal/native"
	"coze-token/internal/redis"
)

// access says who may ask, and whether the keys of their logins can be fetched.
func (c *checkup) access(a cozetoken.App, offline bool) {
	callers := a.Callers
	if callers.IsOpen() {
		c.warn("access", cozetoken.OpenAccess)
	}
	if callers.Keys != nil {
		c.ok("access", "%d API keys", callers.Keys.Len())
	}
	if len(callers.VisitorSecrets) > 0 {
		c.ok("access", "anonymous visitors, each a session of its own")
	}
	for _, login := range callers.Logins {
		c.login(login, offline)
	}
	if callers.UserHeader != "" {
		c.ok("access", "users whom a trusted proxy names in %s", callers.UserHeader)
	}
	if callers.WeChat != nil {
		c.weChat(*callers.WeChat, offline)
	}
	if a.Pages.Origins.Empty() {
		c.ok("access", "no pages of other origins (ALLOWED_ORIGINS is not set)")
	} else {
		c.ok("access", "pages of the origins that ALLOWED_ORIGINS lists, and no others")
	}
}

func (c *checkup) weChat(w auth.WeChatOptions, offline bool) {
	if offline {
		c.ok("access", "users of the WeChat mini program %s; WeChat was not asked (--offline)", w.AppID)
		return
	}
	switch e := auth.CheckWeChat(c.ctx, w, native.Transport()); {
	case e == nil:
		c.ok("access", "users of the WeChat mini program %s, whose AppSecret WeChat takes", w.AppID)
	case e.Reason == auth.WeChatRefused:
		c.fail("access", "users of the WeChat mini program %s: %s", "%s", w.AppID, e.Problem, e.Hint)
	default:
		c.warn("access", "users of the WeChat mini program %s: %s", w.AppID, e)
	}
}

func (c *checkup) login(login auth.LoginOptions, offline bool) {
	if offline {
		c.ok("access", "users of %s; its keys were not fetched (--offline)", login.Label())
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, 10*time.Second)
	defer cancel()
	keys, dropped, err := (&auth.KeySets{Transport: native.Transport()}).Check(ctx, login)
	if err != nil {
		c.fail("access", "users of %s: %s",
			"check JWT_ISSUER and JWKS_URL, and the network between this machine and the provider", login.Label(), err)
		return
	}
	c.ok("access", "users of %s, which has %d keys", login.Label(), keys)
	for _, why := range dropped {
		c.warn("access", "users of %s: %s, so tokens that it signed are refused", login.Label(), why)
	}
}

// redis says whether the shared store can be used. The service does without it, so it is a warning
// if not.
func (c *checkup) redis(s *cozetoken.Settings, offline bool) {
	url := s.Native.RedisURL.Reveal()
	if url == "" || offline {
		return
	}
	store, err := redis.Open(url)
	if err != nil {
		c.fail("redis", "REDIS_URL: %s", "", err)
		return
	}
	defer store.Close()
	ctx, cancel := context.WithTimeout(c.ctx, 2*time.Second)
	defer cancel()
	if err := store.Check(ctx); err != nil {
		c.warn("redis", "REDIS_URL: %s; until it works, replicas share nothing", err)
		return
	}
	c.ok("redis", "answers")
}
