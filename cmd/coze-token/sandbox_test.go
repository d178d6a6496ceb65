package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// The service accepts the settings that the sandbox prints, even if the sandbox listens on all
// interfaces.
func TestSandboxSettings(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", ":0", "0.0.0.0:0"} {
		t.Run(listen, func(t *testing.T) {
			lines, stdout := io.Pipe()
			var log logBuffer
			untilCleanup(t, func(ctx context.Context) error {
				defer stdout.Close()
				if code := run(ctx, []string{"sandbox", "--listen", listen}, nil, stdout, &log); code != exitOK {
					return errors.New("the sandbox failed: " + log.String())
				}
				return nil
			})
			var environ []string
			for settings := bufio.NewReader(lines); len(environ) < 5; {
				line, err := settings.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
				environ = append(environ, name+"="+strings.Trim(value, `"`))
			}
			var token bytes.Buffer
			code := run(t.Context(), []string{"mint"}, environ, &token, &log)
			if code != exitOK || !strings.HasPrefix(token.String(), "czs_") {
				t.Errorf("with the sandbox's settings mint fails: %s", log.String())
			}
		})
	}
}
