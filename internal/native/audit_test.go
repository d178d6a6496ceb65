//go:build unix

package native_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"coze-token/internal/native"
)

func TestLostAuditRecordsAreTold(t *testing.T) {
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skip("there is no " + full + " here")
	}
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		name := filepath.Join(t.TempDir(), "audit")
		if err := os.Symlink(full, name); err != nil {
			t.Fatal(err)
		}
		audit, err := native.OpenAudit(name, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		told := func(want string) {
			t.Helper()
			got := log.String()
			if strings.Count(got, "\n") != 1 || !strings.Contains(got, "AUDIT_FILE") || !strings.Contains(got, want) {
				t.Errorf("the log does not have one line with %s: %s", want, got)
			}
			log.Reset()
		}
		for range 5 {
			audit.Logger().Info("request")
		}
		told("lost=1 ")
		time.Sleep(time.Minute) // the bubble's
		audit.Logger().Info("request")
		told("lost=5 ")

		// The last of them are told of when there is room again.
		audit.Logger().Info("request")
		audit.Logger().Info("request")
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if err := audit.Reopen(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		audit.Logger().Info("request")
		told("lost=2 ")
		if data, err := os.ReadFile(name); err != nil || strings.Count(string(data), "\n") != 1 {
			t.Errorf("the file holds %q, %v", data, err)
		}
	})
}

// A pipe is opened when it has a reader, and neither waited for nor opened by a check.
func TestAuditIntoAPipe(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Skip(err)
	}
	if err := native.CheckAudit(name); err != nil {
		t.Error(err)
	}
	if _, err := native.OpenAudit(name, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a pipe without a reader was opened")
	}
	reader, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	audit, err := native.OpenAudit(name, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	audit.Logger().Info("request")
	p := make([]byte, 100)
	if n, err := reader.Read(p); err != nil || !strings.Contains(string(p[:n]), "request") {
		t.Errorf("%q, %v", p[:n], err)
	}
}
