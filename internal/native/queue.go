//go:build !wasip1

package native

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"sync"
	"time"

	"coze-token/internal/guard"
)

const (
	// maxQueued is how much a queue keeps for a slow reader, in bytes: some thousands of records.
	maxQueued = 1 << 20
	// closeTimeout is how long a queue that is closed waits for its reader.
	closeTimeout = 2 * time.Second
)

var errNotRead = errors.New("what reads it is stuck, and the queue for it is full")

// A Queue hands records to a writer that may be slow or stuck, such as a pipe that nobody reads.
// Writing to it never waits. What has gathered while the writer was busy is written at once. When
// 1 MiB has gathered, further records are lost. It is safe for concurrent use.
//
// A signal that cannot be caught loses what has gathered, usually nothing.
type Queue struct {
	report func(records int, err error)
	lines  guard.Throttle

	mu       sync.Mutex
	change   sync.Cond // there is something to write, or nothing is left, or it was closed
	to       io.Writer
	gathered []byte
	spare    []byte
	busy     bool // with a write
	lost     int  // records
	reported int  // of those
	err      error
	closed   bool
}

// NewQueue makes a queue before a writer. Lost is called when records were lost, with how many and
// why, at most once a minute and after a write. It may write to the queue.
func NewQueue(to io.Writer, lost func(records int, err error)) *Queue {
	q := &Queue{to: to, report: lost}
	q.change.L = &q.mu
	go q.run()
	return q
}

// Write takes one record, which ends with a newline. The error says that it was lost.
func (q *Queue) Write(record []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.gathered)+len(record) > maxQueued {
		q.lost++
		q.err = errNotRead
		return 0, errNotRead
	}
	q.gathered = append(q.gathered, record...)
	q.change.Broadcast()
	return len(record), nil
}

// run writes until the queue is closed.
func (q *Queue) run() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		for len(q.gathered) == 0 && !q.closed {
			q.change.Wait()
		}
		if len(q.gathered) == 0 {
			return
		}
		// Goroutines that are ready come first, so that one write has their records too. On a quiet server
		// there are none.
		q.mu.Unlock()
		runtime.Gosched()
		q.mu.Lock()
		records, to := q.gathered, q.to
		q.gathered, q.spare = q.spare[:0], nil
		q.busy = true
		q.mu.Unlock()
		n, err := to.Write(records)
		q.mu.Lock()
		if err != nil {
			q.lost += bytes.Count(records[min(n, len(records)):], []byte("\n"))
			q.err = err
		}
		if q.spare = records; cap(records) > maxQueued/16 {
			q.spare = nil // a burst shall not cost memory for ever
		}
		q.busy = false
		q.change.Broadcast()
		q.mu.Unlock()
		q.reportLost()
		q.mu.Lock()
	}
}

// reportLost reports what was lost, unless the last report was less than a minute ago.
func (q *Queue) reportLost() {
	q.mu.Lock()
	if q.lost == q.reported {
		q.mu.Unlock()
		return
	}
	if _, ok := q.lines.Allow(time.Now()); !ok {
		q.mu.Unlock()
		return
	}
	records, err := q.lost-q.reported, q.err
	q.reported = q.lost
	q.mu.Unlock()
	q.report(records, err)
}

// AllLost is how many records were lost since the queue was made.
func (q *Queue) AllLost() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int64(q.lost)
}

// Swap puts another writer in the place of the one before, which it returns. Of what has gathered,
// a part may still go there.
func (q *Queue) Swap(to io.Writer) (before io.Writer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	before, q.to = q.to, to
	return before
}

// Close waits until all is written, for at most 2 s. What is written to the queue afterwards is
// lost.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.change.Broadcast()
	late := false
	timer := time.AfterFunc(closeTimeout, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		late = true
		q.change.Broadcast()
	})
	defer timer.Stop()
	for (q.busy || len(q.gathered) > 0) && !late {
		q.change.Wait()
	}
}
