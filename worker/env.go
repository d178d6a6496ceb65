package worker

import (
	"os"
	"strings"
)

// NotText is what Env has for a binding that is no text, and cannot be written
// as one: a KV namespace, a secret of a Secrets Store, a number of which JavaScript
// has lost digits.
const NotText = "[not text]"

// Env returns the Worker's variables and secrets, by name. Those that are JSON
// in wrangler.jsonc (numbers, true and false, lists and objects) are the text of
// it, and other bindings are NotText. It works before the first request too, and
// so does os.Getenv.
func Env() map[string]string {
	list := os.Environ()
	env := make(map[string]string, len(list))
	for _, kv := range list {
		name, value, _ := strings.Cut(kv, "=")
		env[name] = value
	}
	return env
}
