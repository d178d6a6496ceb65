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
)

// quiet is how long after a line about records that were lost the next one is left out.
const quiet = time.Minute

// An AuditFile is a file to which records are appended, a JSON object on each line. It can be opened again, after it was
// moved away to be kept.
type AuditFile struct {
	name string
	log  *slog.Logger

	mu   sync.Mutex
	file *os.File
	lost int       // records since the last line about them
	why  error     // the last of them was
	next time.Time // when there may be another line
}

// OpenAudit opens the file, or makes it, readable by its owner only. The log is told of records that are lost.
func OpenAudit(name string, log *slog.Logger) (*AuditFile, error) {
	a := &AuditFile{name: name, log: log}
	return a, a.Reopen()
}

// CheckAudit says whether [OpenAudit] would succeed, and leaves nothing behind: whoever checks may be another user than who
// serves, and a file that they made would be theirs.
func CheckAudit(name string) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return nil // to open a pipe would take its reader from it
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) { // then it takes a directory in which it can be made
		if file, err = os.CreateTemp(filepath.Dir(name), ".audit-*"); err == nil {
			defer os.Remove(file.Name())
		}
	}
	if err != nil {
		return err
	}
	return file.Close()
}

// Reopen goes on in the file that now has the name. After an error it goes on in the old one.
func (a *AuditFile) Reopen() error {
	// A pipe that nobody reads is an error at once, and not a wait without end.
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

// Write appends one record. The service goes on without records that cannot be written, since a full disk must not
// become an outage, but not in silence.
func (a *AuditFile) Write(record []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, err := a.file.Write(record)
	if err != nil {
		a.lost++
		a.why = err
	}
	if a.lost > 0 && !time.Now().Before(a.next) {
		a.log.Error("audit records were lost: AUDIT_FILE could not be written; make room, or name another file", "file", a.name, "lost", a.lost, "error", a.why)
		a.lost, a.next = 0, time.Now().Add(quiet)
	}
	return n, err
}

// Logger writes records to the file, whatever level the log has.
func (a *AuditFile) Logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(a, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
