// Package testlog has a buffer for what a test's processes and goroutines log.
package testlog

import (
	"bytes"
	"sync"
)

// A Buffer holds what has been written so far. It is for concurrent use, and empty to begin with.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
