package native

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// An AuditFile is a file to which records are appended, a JSON object on each line. It can be opened again, after it was
// moved away to be kept.
type AuditFile struct {
	name string
	mu   sync.Mutex
	file *os.File
}

// OpenAudit opens the file, or makes it, readable by its owner only.
func OpenAudit(name string) (*AuditFile, error) {
	a := &AuditFile{name: name}
	return a, a.Reopen()
}

// CheckAudit says whether [OpenAudit] would succeed, and leaves nothing behind: whoever checks may be another user than who
// serves, and a file that they made would be theirs.
func CheckAudit(name string) error {
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
	file, err := os.OpenFile(a.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
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

// Write appends one record.
func (a *AuditFile) Write(record []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.file.Write(record)
}

// Logger writes records to the file, whatever level the log has.
func (a *AuditFile) Logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(a, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
