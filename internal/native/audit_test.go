//go:build unix

package native_test

import (
	"fmt"
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
			synctest.Wait()
			got := log.String()
			if strings.Count(got, "\n") != 1 || !strings.Contains(got, "AUDIT_FILE") || !strings.Contains(got, want) {
				t.Errorf("the log does not have one line with %s: %s", want, got)
			}
			log.Reset()
		}
		defer audit.Close()
		for range 5 {
			audit.Logger().Info("request")
			synctest.Wait()
		}
		told("lost=1 ")
		time.Sleep(time.Minute) // the bubble's
		audit.Logger().Info("request")
		told("lost=5 ")

		// The last of them are told of when there is room again.
		audit.Logger().Info("request")
		audit.Logger().Info("request")
		synctest.Wait()
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
	audit.Close()
	p := make([]byte, 100)
	if n, err := reader.Read(p); err != nil || !strings.Contains(string(p[:n]), "request") {
		t.Errorf("%q, %v", p[:n], err)
	}
}

// A pipe whose reader reads nothing holds nobody up: not those who write records, not a reopening,
// not the end.
func TestAuditIntoAStuckPipe(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Skip(err)
	}
	reader, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	var log strings.Builder
	audit, err := native.OpenAudit(name, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	logger := audit.Logger()
	text := strings.Repeat("x", 1000)
	for range 3000 { // the pipe has 64 KiB, the queue 1 MiB
		logger.Info(text)
	}
	if n := strings.Count(log.String(), "audit records were lost"); n != 1 {
		t.Errorf("%d lines tell of the lost records", n)
	}
	if err := audit.Reopen(); err != nil {
		t.Error(err)
	}
	began := time.Now()
	audit.Close()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("closing took %v", took)
	}
}

// Records that gathered while the writer was busy are written in order, and all before the end.
func TestQueueWritesAllInOrder(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit")
	audit, err := native.OpenAudit(name, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for i := range 5000 {
		record := fmt.Sprintf("%d\n", i)
		want.WriteString(record)
		if _, err := audit.Write([]byte(record)); err != nil {
			t.Fatal(err)
		}
	}
	audit.Close()
	if got, err := os.ReadFile(name); err != nil || string(got) != want.String() {
		t.Errorf("%d bytes were written, not %d: %v", len(got), want.Len(), err)
	}
}
