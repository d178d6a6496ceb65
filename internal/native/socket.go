//go:build !wasip1

package native

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"coze-token/internal/message"
)

// Listener opens the listener that the settings name. Its errors are those of [Listen] and
// [ListenUnix].
func (s Settings) Listener() (net.Listener, error) {
	if path, ok := strings.CutPrefix(s.Listen, unixPrefix); ok {
		return ListenUnix(path, s.SocketMode, s.SocketOwner)
	}
	return Listen(s.Listen)
}

// Dial is where the listener of the settings is found on this machine, as [net.Dial] takes it.
func (s Settings) Dial() (network, address string) {
	if path, ok := strings.CutPrefix(s.Listen, unixPrefix); ok {
		return "unix", path
	}
	host, port, _ := net.SplitHostPort(s.Listen)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost" // which may be 127.0.0.1 or ::1
	}
	return "tcp", net.JoinHostPort(host, port)
}

// ListenUnix listens on a Unix socket with the permissions and the owner of [Settings]. A socket
// that an ended process left behind is replaced. One on which somebody listens is an error, and so
// is a file that is no socket. The file is removed when the listener is closed.
func ListenUnix(path string, mode fs.FileMode, owner string) (net.Listener, error) {
	if err := removeStale(path); err != nil {
		return nil, message.New("cannot listen on %s: %s", path, err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = message.Reason(op.Err) // without the path, which stands below
		}
		return nil, message.New("cannot listen on %s: %s", path, err)
	}
	if err = chown(path, owner); err == nil {
		err = os.Chmod(path, mode)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// removeStale removes a socket on which nobody listens.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return nil // there is none, or listening will say what is wrong
	}
	if info.Mode().Type() != fs.ModeSocket {
		return message.New("there is a file of this name, and it is no socket")
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return message.New("another program has this socket")
	}
	return os.Remove(path)
}

// chown gives a file to "user", "user:group" or ":group", by names or numbers.
func chown(path, owner string) error {
	if owner == "" {
		return nil
	}
	name, group, _ := strings.Cut(owner, ":")
	uid, err := id(name, func() (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
	if err != nil {
		return err
	}
	gid, err := id(group, func() (string, error) {
		g, err := user.LookupGroup(group)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
	if err != nil {
		return err
	}
	return os.Chown(path, uid, gid)
}

// id is a number as it is, or that of a name. An empty name is -1, which changes nothing.
func id(name string, lookUp func() (string, error)) (int, error) {
	if name == "" {
		return -1, nil
	}
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	text, err := lookUp()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}
