//go:build !wasip1

package native

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"coze-token/internal/guard"
)

// An AuditFile is a file to which records are appended, one JSON object on each line. It is safe
// for concurrent use.
type AuditFile struct {
	name  string
	log   *slog.Logger
	lines guard.Throttle

	mu   sync.Mutex
	file *os.File
	lost int   // records since the last line in the log
	err  error // the last of them
}

// OpenAudit opens the file or creates it, readable by its owner only. The log gets a line when
// records are lost, at most one a minute.
func OpenAudit(name string, log *slog.Logger) (*AuditFile, error) {
	a := &AuditFile{name: name, log: log}
	return a, a.Reopen()
}

// CheckAudit returns the error that [OpenAudit] would. It leaves no file behind, because the user
// who checks may not be the one who serves.
func CheckAudit(name string) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return nil // a pipe that is opened here would lose its reader
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) { // can a file be created in the directory?
		if file, err = os.CreateTemp(filepath.Dir(name), ".audit-*"); err == nil {
			defer os.Remove(file.Name())
		}
	}
	if err != nil {
		return err
	}
	return file.Close()
}

// Reopen opens the name again, after the file was moved away. After an error, records still go to
// the old file.
func (a *AuditFile) Reopen() error {
	// O_NONBLOCK makes a pipe without a reader an error. Otherwise, opening it would wait for one.
	file, err := os.OpenFile(a.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file != nil {
		a.file.Close()
	}
	a.file = file
	return nil
}

// Write appends one record. If it fails, the log says how many records were lost. The service goes
// on, because a full disk must not become an outage.
func (a *AuditFile) Write(record []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, err := a.file.Write(record)
	if err != nil {
		a.lost++
		a.err = err
	}
	if a.lost == 0 {
		return n, err
	}
	if _, ok := a.lines.Allow(time.Now()); ok {
		a.log.Error("audit records were lost: AUDIT_FILE could not be written; make room, or name another file",
			"file", a.name, "lost", a.lost, "error", a.err)
		a.lost = 0
	}
	return n, err
}

// Logger writes records to the file, whatever level the log has.
func (a *AuditFile) Logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(a, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
