package worker

import (
	"os"
	"strings"
)

// Env returns the Worker's variables and secrets, by name. Bindings that
// are not text (KV, rate limits and the like) are not among them. It works
// before the first request too, and so does os.Getenv.
func Env() map[string]string {
	list := os.Environ()
	env := make(map[string]string, len(list))
	for _, kv := range list {
		name, value, _ := strings.Cut(kv, "=")
		env[name] = value
	}
	return env
}
