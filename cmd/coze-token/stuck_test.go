package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"
)

// serveIntoPipe runs serve until t ends, without a limit for addresses. Its standard error is a pipe,
// of which the lines after its URL are for the test to read, within a minute.
func serveIntoPipe(t *testing.T, environ ...string) (cmd *exec.Cmd, url string, lines *bufio.Reader) {
	t.Helper()
	_, settings := startSandboxServer(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close() })
	cmd = exec.Command("coze-token", "serve")
	cmd.Env = slices.Concat(settings, []string{"LISTEN=127.0.0.1:0", "RATE_LIMIT=off"}, environ)
	cmd.Stderr = write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	t.Cleanup(func() { cmd.Process.Kill() })
	read.SetReadDeadline(time.Now().Add(time.Minute))
	lines = bufio.NewReader(read)
	return cmd, readURL(t, lines), lines
}

// Nobody reads standard error any more: requests are answered all the same, and the process ends.
func TestStuckStandardError(t *testing.T) {
	t.Parallel()
	cmd, url, _ := serveIntoPipe(t, "LOG_LEVEL=debug")

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i := range 600 { // some 300 records fill a pipe of 64 KiB
		if _, err := post(ctx, url, fmt.Sprintf("user-%d", i%10)); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
	began := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Errorf("it has not ended %v after SIGTERM", time.Since(began))
	}
}
