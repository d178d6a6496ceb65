package redis

import (
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/redis/go-redis/v9"

	"coze-token/internal/fault"
	"coze-token/internal/message"
)

// CheckURL checks the form of a URL for [Open], without making a connection. The error is a
// [fault.Fault]. It quotes nothing of the URL, which may hold a password.
func CheckURL(url string) error {
	_, err := parse(url)
	return err
}

const (
	form = "use redis://:password@host:6379, rediss://:password@host:6379 for TLS, or unix:///path/to/socket"

	cluster      = "cluster"
	sentinel     = "sentinel"
	clusterForm  = "use redis+cluster://:password@host1:6379,host2:6379, or rediss+cluster:// for TLS"
	sentinelForm = "the name that Sentinel has for the primary stands behind a slash: " +
		"redis+sentinel://:password@host1:26379,host2:26379/mymaster"
)

// A target is what a URL names.
type target struct {
	*redis.Options
	kind    string   // cluster, sentinel, or empty: one server
	addrs   []string // of some nodes, or of sentinels
	primary string   // the name that Sentinel has for it
}

// parse reads a URL. The form for several hosts is no URL of [url.Parse], so it is read as one for
// each host.
func parse(text string) (*target, error) {
	text = strings.TrimSpace(text)
	scheme, rest, _ := strings.Cut(text, "://")
	base, kind, several := strings.Cut(scheme, "+")
	if !several || base != "redis" && base != "rediss" || kind != cluster && kind != sentinel {
		o, err := parseOne(text)
		return &target{Options: o}, err
	}
	t := &target{kind: kind}
	authority, path, _ := strings.Cut(rest, "/")
	at := strings.LastIndexByte(authority, '@') + 1
	user, hosts := authority[:at], authority[at:]
	switch {
	case kind == sentinel:
		if t.primary, path, _ = strings.Cut(path, "/"); t.primary == "" {
			return nil, fault.New("names no primary", sentinelForm)
		}
	case path != "":
		return nil, fault.New("has a database, and a cluster has none", clusterForm)
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if kind == sentinel && host != "" && !strings.Contains(host, ":") {
			host += ":26379"
		}
		o, err := parseOne(base + "://" + user + host + "/" + path)
		if err != nil {
			return nil, err
		}
		if t.addrs = append(t.addrs, o.Addr); t.Options == nil {
			t.Options = o
		}
	}
	if t.TLSConfig != nil {
		t.TLSConfig.ServerName = "" // each connection has its own
	}
	return t, nil
}

// parseOne reads the URL of one server. The library's own errors quote the URL, so they are not
// passed on.
func parseOne(text string) (*redis.Options, error) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return nil, fault.New("is empty", form)
	case err != nil, u.Fragment != "", u.Opaque != "":
		return nil, fault.New("is not a URL", form+", and write characters of the password that mean something in a URL "+
			"as %%XX: / is %%2F, # is %%23, ? is %%3F, @ is %%40, %% is %%25")
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
func remedy(err error) message.Format {
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
		return "REDIS_URL names a read-only replica: name the primary, or let Sentinel do it, redis+sentinel://"
	case strings.Contains(text, "MOVED"), strings.Contains(text, "CLUSTERDOWN"), strings.Contains(text, "CROSSSLOT"):
		return "REDIS_URL names a node of a cluster as if it were alone, or the cluster is down: " + clusterForm
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
