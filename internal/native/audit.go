//go:build !wasip1

package native

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
)

// An AuditFile is a file to which records are appended, one JSON object on each line. A record never
// waits for the file: see [Queue]. It is safe for concurrent use.
type AuditFile struct {
	name  string
	log   *slog.Logger
	queue *Queue
}

// OpenAudit opens the file or creates it, readable by its owner only. The log gets a line when
// records are lost, at most one a minute.
func OpenAudit(name string, log *slog.Logger) (*AuditFile, error) {
	a := &AuditFile{name: name, log: log}
	file, err := a.open()
	if err != nil {
		return nil, err
	}
	a.queue = NewQueue(file, a.lost)
	return a, nil
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
	file, err := a.open()
	if err != nil {
		return err
	}
	return a.queue.Swap(file).(io.Closer).Close() // which ends a write that waits for a pipe's reader
}

func (a *AuditFile) open() (*os.File, error) {
	// O_NONBLOCK makes a pipe without a reader an error. Otherwise, opening it would wait for one.
	return os.OpenFile(a.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o600)
}

// Write appends one record. If it fails, the log says how many records were lost. The service goes
// on, because a full disk or a stuck reader must not become an outage.
func (a *AuditFile) Write(record []byte) (int, error) {
	n, err := a.queue.Write(record)
	if err != nil {
		a.queue.reportLost() // at once: the writer may be stuck for ever
	}
	return n, err
}

func (a *AuditFile) lost(records int, err error) {
	a.log.Error("audit records were lost: AUDIT_FILE could not be written; "+
		"make room, mend what reads it, or name another file", "file", a.name, "lost", records, "error", err)
}

// AllLost is how many records were lost since the file was first opened.
func (a *AuditFile) AllLost() int64 { return a.queue.AllLost() }

// Close waits until all records are written, for at most 2 s.
func (a *AuditFile) Close() { a.queue.Close() }

// Logger writes records to the file, whatever level the log has.
func (a *AuditFile) Logger() *slog.Logger {
	return jsonLogger(a, slog.LevelDebug)
}
