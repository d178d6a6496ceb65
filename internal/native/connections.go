//go:build !wasip1

package native

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// A limitListener accepts only so many connections at once. Further ones wait for a slot. If one
// waits, the connection that has been idle for longest is closed. Otherwise, somebody could occupy
// all slots for the price of one request each, and keep everybody else out.
type limitListener struct {
	net.Listener
	max int

	mu     sync.Mutex
	change sync.Cond                  // a connection was closed or became idle, or the listener was closed
	slots  map[*limited]*list.Element // :: open connection → its element of idle; nil if it is not idle
	idle   list.List                  // of *limited, the one that has been idle for longest first
	closed bool
}

func newLimitListener(l net.Listener, max int) *limitListener {
	limit := &limitListener{Listener: l, max: max, slots: map[*limited]*list.Element{}}
	limit.change.L = &limit.mu
	return limit
}

// A limited connection occupies a slot until it is closed.
type limited struct {
	net.Conn
	listener *limitListener
}

// Accept accepts a connection and then waits for a slot, so that no connection is closed before its
// slot is needed.
func (l *limitListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.slots) >= l.max && !l.closed {
		if oldest := l.idle.Front(); oldest != nil {
			l.release(oldest.Value.(*limited))
		} else {
			l.change.Wait()
		}
	}
	if l.closed {
		conn.Close()
		return nil, net.ErrClosed
	}
	c := &limited{conn, l}
	l.slots[c] = nil
	return c, nil
}

// Close also ends an Accept that waits for a slot.
func (l *limitListener) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.change.Broadcast()
	return l.Listener.Close()
}

// connState is the server's ConnState.
func (l *limitListener) connState(conn net.Conn, state http.ConnState) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	c := conn.(*limited)
	l.mu.Lock()
	defer l.mu.Unlock()
	element, open := l.slots[c]
	if element != nil {
		l.idle.Remove(element)
		l.slots[c] = nil
	}
	if state == http.StateIdle && open {
		l.slots[c] = l.idle.PushBack(c)
		l.change.Signal()
	}
}

// Close closes the connection and frees its slot.
func (c *limited) Close() error {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	return c.listener.release(c)
}

func (l *limitListener) release(c *limited) error {
	element, open := l.slots[c]
	if !open {
		return net.ErrClosed
	}
	if element != nil {
		l.idle.Remove(element)
	}
	delete(l.slots, c)
	l.change.Signal()
	return c.Conn.Close()
}
