package redis

import (
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/redis/go-redis/v9"

	"coze-token/internal/fault"
)

// CheckURL checks the form of a URL for [Open], without making a connection. The error is a
// [fault.Fault]. It quotes nothing of the URL, which may hold a password.
func CheckURL(url string) error {
	_, err := parse(url)
	return err
}

const form = "use redis://:password@host:6379, rediss://:password@host:6379 for TLS, or unix:///path/to/socket"

// parse reads a URL. The library's own errors quote the URL, so they are not passed on.
func parse(text string) (*redis.Options, error) {
	text = strings.TrimSpace(text)
	u, err := url.Parse(text)
	switch {
	case text == "":
		return nil, fault.New("is empty", form)
	case err != nil, u.Fragment != "", u.Opaque != "":
		return nil, fault.New("is not a URL", form+", and write characters of the password that mean something in a URL "+
			"as %XX: / is %2F, # is %23, ? is %3F, @ is %40, % is %25")
	case u.Scheme != "redis" && u.Scheme != "rediss" && u.Scheme != "unix":
		return nil, fault.New("does not begin with redis://, rediss:// or unix://", form)
	case u.Scheme == "unix" && (u.Host != "" || u.Path == ""):
		return nil, fault.New("names no socket", "write three slashes: unix:///path/to/socket")
	case u.Scheme != "unix" && u.Hostname() == "":
		return nil, fault.New("names no host", form)
	}
	if _, given := u.User.Password(); u.User != nil && !given {
		return nil, fault.New("has a user and no password", "a password stands behind a colon: redis://:password@host")
	}
	for option := range u.Query() {
		if option != "db" || u.Scheme != "unix" {
			return nil, fault.New("has options behind a question mark", "leave them out: timeouts and connections are this "+
				"program's business, certificates are always verified, and the database stands behind a slash: redis://host/1")
		}
	}
	o, err := redis.ParseURL(u.String())
	if err != nil || o.DB < 0 {
		return nil, fault.New("has a database that is not a number", "leave it out, or write redis://host:6379/0")
	}
	return o, nil
}

// remedy is what a person can do about an error of the server or of the way to it.
func remedy(err error) string {
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, named := errors.AsType[x509.HostnameError](err)
	_, network := errors.AsType[*net.OpError](err)
	text := err.Error()
	switch {
	case unknown:
		return "its certificate is of an authority that this machine does not know: " +
			"set SSL_CERT_FILE to the authority's certificate"
	case named:
		return "its certificate is for another name: use that name in REDIS_URL"
	case strings.Contains(text, "WRONGPASS"), strings.Contains(text, "NOAUTH"), strings.Contains(text, "invalid password"):
		return "put the right password into REDIS_URL: redis://:password@host or redis://user:password@host"
	case strings.Contains(text, "NOPERM"):
		return "allow the user ~coze-token:* and the commands GET, GETRANGE, SET, DEL, TIME, EVAL and EVALSHA"
	case strings.Contains(text, "READONLY"):
		return "REDIS_URL names a read-only replica: name the primary"
	case strings.Contains(text, "MOVED"), strings.Contains(text, "CLUSTERDOWN"), strings.Contains(text, "CROSSSLOT"):
		return "REDIS_URL names a node of a cluster, which cannot be used: name a single server"
	case strings.Contains(text, "OOM "):
		return "the server's memory is full: raise maxmemory, or set maxmemory-policy to allkeys-lru"
	case strings.Contains(text, "unknown command"):
		return "the server lacks a command: GET, GETRANGE, SET, DEL, TIME, EVAL and EVALSHA are used"
	case strings.Contains(text, "DB index"):
		return "use a database that the server has, such as 0"
	case strings.Contains(text, "first record does not look like a TLS handshake"):
		return "the server does not speak TLS on this port: write redis:// instead of rediss://, or use its TLS port"
	case network:
		return "see that the server runs and that REDIS_URL has its host and port"
	default:
		return "see that the server runs, that REDIS_URL has its host and port, and rediss:// if it speaks TLS"
	}
}
