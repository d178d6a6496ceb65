package main

import (
	"context"
	"io"
	"testing"
)

// A token of mint opens the conversations that one of serve opens: both name the user to Coze
// alike.
func TestMintNamesSessionsAsServeDoes(t *testing.T) {
	for name, rules := range map[string][]string{
		"as they are":   nil,
		"with a prefix": {"SESSION_PREFIX=shop-"},
		"hashed":        {"SESSION_PREFIX=shop-", "SESSION_HASH=on", "SESSION_SECRET=0123456789abcdef0123456789abcdef"},
	} {
		t.Run(name, func(t *testing.T) {
			sb, environ := startSandboxServer(t)
			environ = append(environ, rules...)
			session := func() any {
				last, _ := sb.Last()
				return last.Claims["session_name"]
			}
			var log logBuffer
			if _, err := post(context.Background(), serve(t, &log, append(environ, "LISTEN=127.0.0.1:0")...),
				"user-1"); err != nil {
				t.Fatal(err)
			}
			served := session()
			if code := run(context.Background(), []string{"mint", "--session", "user-1"}, environ, io.Discard,
				&log); code != exitOK {
				t.Fatalf("mint failed: %s", log.String())
			}
			if served == nil || session() != served || sb.Exchanges() != 2 {
				t.Errorf("serve named %v, mint %v", served, session())
			}
		})
	}
}
