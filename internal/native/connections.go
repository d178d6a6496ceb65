//go:build !wasip1

package native

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// The limits of connections rest on one distinction: is the server working for a connection, or is
// it waiting for the client? It works for it from the moment that a request is there until its
// answer is known. Before and after that it waits for what the client sends or reads. A client that
// makes it wait can be disconnected when others need the room; one for whom it works cannot.

const (
	// minShared is the least limit of connections that is divided between addresses. With fewer,
	// there is nothing to divide.
	minShared = 16
	// answerTimeout is how long a client may take to read an answer, which is a few kilobytes.
	answerTimeout = 5 * time.Second
	// keepTime is how long a client keeps its place, also when others need the room, to send its
	// first request and to read each answer.
	keepTime = time.Second
)

// A limitListener accepts only so many connections at once, and from one address at most half of
// them. A further one takes the place of a connection that the server waits for: one of the same
// address if that has its half, otherwise one of the address that has the most. If the server works
// for all of them, the further one waits.
type limitListener struct {
	net.Listener
	max    int
	share  int // of one address
	exempt func(netip.Addr) bool

	mu      sync.Mutex
	change  sync.Cond // a connection was closed or waits for its client, or the listener was closed
	open    int
	holders map[netip.Prefix]*holder
	closed  bool
	count   uint64
}

// A holder is an address with its open connections. The holder of the zero prefix has those of
// trusted proxies and Unix sockets, which many users share.
type holder struct {
	prefix  netip.Prefix
	open    int
	waiting list.List // of *connection: those whose client the server waits for, for longest first
}

// A connection is one that the listener accepted.
type connection struct {
	net.Conn
	listener *limitListener
	holder   *holder
	requests int           // that the server works for now; HTTP/2 has several on one connection
	element  *list.Element // in holder.waiting; nil while the server works for the connection
	since    uint64        // orders the connections that wait by when they began to
	keep     time.Time     // until when it keeps its place
	closed   bool
}

func newLimitListener(l net.Listener, max int, exempt func(netip.Addr) bool) *limitListener {
	limit := &limitListener{Listener: l, max: max, share: max / 2, exempt: exempt, holders: map[netip.Prefix]*holder{}}
	if max < minShared {
		limit.share = max + 1
	}
	limit.change.L = &limit.mu
	return limit
}

// Accept accepts a connection and then makes or waits for room, so that no connection is closed
// before its room is needed.
func (l *limitListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			if l.noFiles(err) {
				continue
			}
			return nil, err
		}
		prefix := l.prefixOf(conn.RemoteAddr())
		l.mu.Lock()
		c, err := l.admit(conn, prefix)
		l.mu.Unlock()
		if c != nil {
			return c, nil
		}
		conn.Close()
		if err != nil {
			return nil, err
		}
	}
}

// noFiles handles the error of a process that has as many open files as it may. It reports whether
// a connection was closed to go on with.
func (l *limitListener) noFiles(err error) bool {
	if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.makeRoom()
}

// admit returns the connection with its place. It returns nil if the address has its share already,
// and the server works for all of them.
func (l *limitListener) admit(conn net.Conn, prefix netip.Prefix) (*connection, error) {
	if h := l.holders[prefix]; h != nil && prefix.IsValid() && h.open >= l.share {
		c := h.oldest()
		if c == nil {
			return nil, nil
		}
		l.release(c)
	}
	for l.open >= l.max && !l.closed {
		if !l.makeRoom() {
			kept := time.AfterFunc(keepTime, l.change.Broadcast)
			l.change.Wait()
			kept.Stop()
		}
	}
	if l.closed {
		return nil, net.ErrClosed
	}
	h := l.holders[prefix]
	if h == nil {
		h = &holder{prefix: prefix}
		l.holders[prefix] = h
	}
	c := &connection{Conn: conn, listener: l, holder: h, keep: time.Now().Add(keepTime)}
	h.open++
	l.open++
	l.wait(c)
	return c, nil
}

// prefixOf is the address as far as connections are counted by it: an IPv6 network of /64 belongs
// to one client. It is zero for an address that is not bounded.
func (l *limitListener) prefixOf(address net.Addr) netip.Prefix {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	if l.exempt != nil && l.exempt(ip) {
		return netip.Prefix{}
	}
	prefix, _ := ip.Prefix(min(ip.BitLen(), 64))
	return prefix
}

// makeRoom closes the oldest waiting connection of the address that has the most connections. Those
// of proxies come last. It reports whether there was one.
func (l *limitListener) makeRoom() bool {
	var first *connection
	for _, h := range l.holders {
		if c := h.oldest(); c != nil && (first == nil || c.goesBefore(first)) {
			first = c
		}
	}
	if first == nil {
		return false
	}
	l.release(first)
	return true
}

func (c *connection) goesBefore(other *connection) bool {
	h, o := c.holder, other.holder
	switch {
	case h.prefix.IsValid() != o.prefix.IsValid():
		return h.prefix.IsValid()
	case h.open != o.open:
		return h.open > o.open
	}
	return c.since < other.since
}

// oldest returns the connection that has waited for longest and can be closed, or nil.
func (h *holder) oldest() *connection {
	for e := h.waiting.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*connection); !time.Now().Before(c.keep) {
			return c
		}
	}
	return nil
}

// Close also ends an Accept that waits for room.
func (l *limitListener) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.change.Broadcast()
	return l.Listener.Close()
}

// wait notes that the server waits for the connection's client from now on.
func (l *limitListener) wait(c *connection) {
	l.count++
	c.since = l.count
	c.element = c.holder.waiting.PushBack(c)
	l.change.Signal()
}

// Close closes the connection and frees its place.
func (c *connection) Close() error {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	return c.listener.release(c)
}

func (l *limitListener) release(c *connection) error {
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	if c.element != nil {
		c.holder.waiting.Remove(c.element)
		c.element = nil
	}
	l.open--
	if c.holder.open--; c.holder.open == 0 {
		delete(l.holders, c.holder.prefix)
	}
	l.change.Signal()
	return c.Conn.Close()
}

// work notes that the server works for one more request of the connection, or, if n is -1, for one
// less.
func (c *connection) work(n int) {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	c.add(n)
}

// add is work with the lock held.
func (c *connection) add(n int) {
	if c.requests += n; c.closed {
		return
	}
	switch {
	case c.requests > 0 && c.element != nil:
		c.holder.waiting.Remove(c.element)
		c.element = nil
	case c.requests == 0 && c.element == nil:
		c.listener.wait(c)
	}
}

// connState is the server's ConnState. An idle connection has nothing more to write.
func connState(conn net.Conn, state http.ConnState) {
	if c := accepted(conn); state == http.StateIdle {
		c.listener.mu.Lock()
		defer c.listener.mu.Unlock()
		c.keep = time.Time{}
		c.listener.change.Signal()
	}
}

// accepted is the connection of the listener under what the server has of it.
func accepted(conn net.Conn) *connection {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	return conn.(*connection)
}

// answer notes that the answer to a request is known.
func (c *connection) answer() {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	c.keep = time.Now().Add(keepTime)
	c.add(-1)
}

type connectionKey struct{}

// connContext is the server's ConnContext: it hands the connection to the handler.
func connContext(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, accepted(conn))
}

// working tells each connection when h works for it, and bounds the time for reading its answers.
func working(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 {
			// Its end is where the client says, and a proxy in front may have seen another one
			// (request smuggling). No further request is read after it.
			w.Header().Set("Connection", "close")
		}
		c, ok := r.Context().Value(connectionKey{}).(*connection)
		if !ok { // there is no limit
			h.ServeHTTP(w, r)
			return
		}
		c.work(1)
		a := &answering{ResponseWriter: w, connection: c}
		defer a.known()
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &waitingBody{r.Body, a}
		}
		h.ServeHTTP(a, r)
	})
}

// answering notes when the answer is known.
type answering struct {
	http.ResponseWriter
	connection *connection
	done       bool
}

// Unwrap is for [http.ResponseController].
func (a *answering) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answering) WriteHeader(status int) {
	if status >= 200 {
		a.known()
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answering) Write(p []byte) (int, error) {
	a.known()
	return a.ResponseWriter.Write(p)
}

func (a *answering) known() {
	if a.done {
		return
	}
	a.done = true
	http.NewResponseController(a.ResponseWriter).SetWriteDeadline(time.Now().Add(answerTimeout))
	a.connection.answer()
}

// A waitingBody is the body of a request. While it is read, the server waits for the client.
type waitingBody struct {
	io.ReadCloser
	request *answering
}

func (b *waitingBody) Read(p []byte) (int, error) {
	if !b.request.done {
		b.request.connection.work(-1)
		defer b.request.connection.work(1)
	}
	return b.ReadCloser.Read(p)
}
