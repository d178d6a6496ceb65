package cozetoken

import (
	"strings"

	"coze-token/internal/auth"
	"coze-token/internal/quote"
	"coze-token/internal/setting"
)

// The settings of a service on Cloudflare Workers: how its instances share what they know.
var (
	sharedStore = setting.New(setting.Row{
		Name: "SHARED_STORE", Default: "cache", Host: setting.Workers,
	}, parseSharedStore)
	rateLimitBinding = setting.New(setting.Row{Name: "RATE_LIMIT_BINDING", Host: setting.Workers}, setting.Word)
)

// WorkerSettings are what is set for a Worker.
type WorkerSettings struct {
	// SharedStore is where the instances share tokens: "cache", "kv:NAME" or "off".
	SharedStore string
	// RateLimitBinding is the rate-limit binding that counts the requests of an address. Empty:
	// none.
	RateLimitBinding string
}

func readWorker(r *setting.Reader) WorkerSettings {
	return WorkerSettings{SharedStore: sharedStore.Get(r), RateLimitBinding: rateLimitBinding.Get(r)}
}

// isBindingName reports whether a binding can be called so: by a name in JavaScript.
func isBindingName(name string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
	return name != "" && len(name) <= 64 && strings.ContainsAny(name[:1], letters) &&
		strings.Trim(name, letters+"0123456789") == ""
}

func parseSharedStore(v *setting.Value) string {
	text := v.Text()
	name, isKV := strings.CutPrefix(text, "kv:")
	if text != "cache" && text != setting.Off && !(isKV && isBindingName(name)) {
		v.Fault("is %s, none of what it can be",
			"use cache, off, or kv: and the name of a binding in wrangler.jsonc, such as kv:TOKENS", quote.Text(text))
	}
	return text
}

// WarmUp are the settings of a service that answers requests while a Worker starts, before the
// first real one: one of the apps, at /, for anybody who asks.
func (s *Settings) WarmUp() *Settings {
	w := *s
	for _, app := range s.Apps() {
		app.Callers = auth.Config{}
		w.apps = map[string]App{"": app}
		break
	}
	return &w
}
