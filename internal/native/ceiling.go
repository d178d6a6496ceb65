package native

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// A ceiling is a listener with so many connections open at once and no more; further ones wait. For one that waits, the
// connection that has been idle for longest is closed: otherwise, whoever keeps as many open as there may be keeps
// everybody else out, for the price of one request each.
type ceiling struct {
	net.Listener
	most int

	mu     sync.Mutex
	change sync.Cond // a connection was closed or became idle, or the listener was closed
	open   int
	idle   list.List // of *place, the one that has been idle for longest in front
	closed bool
}

func newCeiling(l net.Listener, most int) *ceiling {
	c := &ceiling{Listener: l, most: most}
	c.change.L = &c.mu
	return c
}

// A place is a connection below a ceiling.
type place struct {
	net.Conn
	ceiling *ceiling
	idle    *list.Element // nil while it is at work
	closed  bool
}

// Accept takes a connection, and then makes room for it: before, nobody knows whether room is needed.
func (c *ceiling) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.open >= c.most && !c.closed {
		if oldest := c.idle.Front(); oldest != nil {
			c.release(oldest.Value.(*place))
			continue
		}
		c.change.Wait()
	}
	if c.closed {
		conn.Close()
		return nil, net.ErrClosed
	}
	c.open++
	return &place{Conn: conn, ceiling: c}, nil
}

// Close lets go of who waits in Accept.
func (c *ceiling) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.change.Broadcast()
	return c.Listener.Close()
}

// watch is the server's ConnState.
func (c *ceiling) watch(conn net.Conn, state http.ConnState) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	p := conn.(*place)
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.idle != nil {
		c.idle.Remove(p.idle)
		p.idle = nil
	}
	if state == http.StateIdle && !p.closed {
		p.idle = c.idle.PushBack(p)
		c.change.Signal()
	}
}

// Close gives the place back.
func (p *place) Close() error {
	p.ceiling.mu.Lock()
	defer p.ceiling.mu.Unlock()
	return p.ceiling.release(p)
}

// release closes a connection, once. The ceiling is locked.
func (c *ceiling) release(p *place) error {
	if p.closed {
		return net.ErrClosed
	}
	p.closed = true
	if p.idle != nil {
		c.idle.Remove(p.idle)
		p.idle = nil
	}
	c.open--
	c.change.Signal()
	return p.Conn.Close()
}
