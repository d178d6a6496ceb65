package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// After Ctrl-C while a command waits for Coze, the command does not blame Coze, the network or a
// setting.
func TestInterrupt(t *testing.T) {
	for _, command := range []string{"mint", "check"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			sb, environ := startSandboxServer(t, "latency=1m")
			cmd := exec.Command("coze-token", command)
			cmd.Env = environ
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { cmd.Process.Kill() })
			eventually(t, "Coze was asked", func() bool { return sb.Exchanges() == 1 })
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
				t.Errorf("%s ended with %v", command, err)
			}
			if stderr.String() != "coze-token: interrupted\n" {
				t.Errorf("it said %q", stderr.String())
			}
			if strings.Contains(stdout.String(), "FAIL") || strings.Contains(stdout.String(), "czs_") {
				t.Errorf("it printed %s", stdout.String())
			}
		})
	}
}
