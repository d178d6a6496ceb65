package main

import (
	"flag"
	"fmt"

	"coze-token/internal/auth"
)

const keyHelp = `
Usage: coze-token key [--name NAME]

Makes an API key for a backend that asks for tokens on behalf of its own users. It prints two lines: the key, which the
backend keeps and sends as "Authorization: Bearer KEY" or "X-API-Key: KEY", and the setting API_KEYS with the key's hash,
as it stands in a file of settings. The key cannot be got back from the hash, so store it now.

Flags:
  --name NAME        what the key is called in logs: "backend" unless given

Exit codes: 0 a key was printed, 2 wrong command line.
`

func keyCommand() command {
	name := "backend"
	return command{
		name: "key", summary: "make an API key for a backend", help: keyHelp,
		flags: func(fs *flag.FlagSet) { fs.StringVar(&name, "name", name, "") },
		run:   func(p *process) int { return p.key(name) },
	}
}

func (p *process) key(name string) int {
	key := auth.NewKey()
	setting := name + "=" + auth.HashKey(key)
	// Only the name can be wrong: by itself, or because API_KEYS reads it as more than a name.
	if keys, err := auth.ParseKeys(setting); err != nil || keys.Callers()[0].Name != name {
		p.errorf("key: --name is not a name that a key can have",
			`use 1 to 31 letters, digits, ".", "_", "-" or "@", and neither apps nor origins`)
		return exitUsage
	}
	fmt.Fprintf(p.stdout, "key: %s\nAPI_KEYS=%s\n", key, setting)
	return exitOK
}
