package native

import (
	"io/fs"
	"net"
	"strconv"
	"strings"
	"time"

	"coze-token/internal/message"
	"coze-token/internal/quote"
	"coze-token/internal/setting"
)

// This file is linked into the Worker too: a setting of the native server is a fault there, and its
// name is known. The other files of the package are not linked there.

var (
	listen = setting.New(setting.Row{
		Name: "LISTEN", Default: "127.0.0.1:8787", Host: setting.Native, Others: []setting.Other{{Name: port, Ambient: true}},
	}, parseListen)
	socketMode = setting.New(setting.Row{
		Name: "SOCKET_MODE", Default: "0660", Host: setting.Native,
	}, parseMode)
	socketOwner = setting.New(setting.Row{Name: "SOCKET_OWNER", Host: setting.Native}, parseOwner)
	drainDelay  = setting.New(setting.Row{
		Name: "DRAIN_DELAY", Default: "0", Min: 0, Max: 600, Host: setting.Native,
	}, setting.Seconds)
	metricsListen  = setting.New(setting.Row{Name: "METRICS_LISTEN", Host: setting.Native}, parseMetricsListen)
	maxConnections = setting.New(setting.Row{
		Name: "MAX_CONNECTIONS", Default: "1024", Min: 1, Max: 1_000_000, Host: setting.Native,
	}, setting.Whole)
	tlsCert   = setting.New(setting.Row{Name: "TLS_CERT_FILE", Host: setting.Native, HoldsKey: true}, parseCert)
	tlsKey    = setting.New(setting.Row{Name: "TLS_KEY_FILE", Host: setting.Native, HoldsKey: true}, parseKey)
	redisURL  = setting.New(setting.Row{Name: "REDIS_URL", Host: setting.Native, Secret: true}, setting.SecretText)
	auditFile = setting.New(setting.Row{Name: "AUDIT_FILE", Host: setting.Native}, setting.Text)
	logFormat = setting.New(setting.Row{
		Name: "LOG_FORMAT", Default: "auto", Host: setting.Native,
	}, setting.Choice("auto", "text", "json"))
)

// port is a port without a host. Many platforms set it.
const port = "PORT"

const (
	unixPrefix = "unix:"
	// maxSocketPath is what fits into a socket's address on macOS. Linux takes four bytes more.
	maxSocketPath = 103
)

// SettingList is this package's settings.
var SettingList = setting.List{
	redisURL, listen, socketMode, socketOwner, maxConnections, drainDelay, tlsCert, tlsKey, metricsListen,
	auditFile, logFormat,
}

// Settings are what is set for the native server.
type Settings struct {
	// Listen is the address of the listener as [net.Listen] takes it: an empty host is all
	// interfaces, port 0 any free one. Or it is "unix:" and the absolute path of a socket.
	Listen string
	// SocketMode and SocketOwner are those of the socket's file. The owner is "user", "user:group"
	// or ":group"; empty is who runs the process.
	SocketMode  fs.FileMode
	SocketOwner string
	// MetricsListen is the address for /metrics. Empty: there are no metrics.
	MetricsListen string
	// DrainDelay is how long requests are still served after the signal to stop, while /readyz
	// already says that it stops.
	DrainDelay time.Duration
	// MaxConnections is how many connections are open at once at most.
	MaxConnections int
	// TLSCertFile and TLSKeyFile are PEM files: both or neither.
	TLSCertFile, TLSKeyFile string
	// RedisURL is where replicas share tokens and counts. Empty: nowhere.
	RedisURL setting.Secret
	// AuditFile is where the records of tokens and refusals go, instead of the log. Empty: the log.
	AuditFile string
	// LogFormat is "auto" (text on a terminal, JSON otherwise), "text" or "json".
	LogFormat string
}

// ReadSettings returns the native server's settings.
func ReadSettings(r *setting.Reader) Settings {
	r.Together(tlsCert, tlsKey, "set both for HTTPS, or neither")
	address := listen.Get(r)
	if _, socket := strings.CutPrefix(address, unixPrefix); !socket && address != "" {
		for _, s := range []setting.Setting{socketMode, socketOwner} {
			if r.IsSet(s) {
				r.Fault(s, "is set, and LISTEN names no socket", "remove it, or use LISTEN=unix:/run/coze-token.sock")
			}
		}
	}
	return Settings{
		Listen:         address,
		SocketMode:     socketMode.Get(r),
		SocketOwner:    socketOwner.Get(r),
		DrainDelay:     drainDelay.Get(r),
		MetricsListen:  metricsListen.Get(r),
		MaxConnections: maxConnections.Get(r),
		TLSCertFile:    tlsCert.Get(r),
		TLSKeyFile:     tlsKey.Get(r),
		RedisURL:       redisURL.Get(r),
		AuditFile:      auditFile.Get(r),
		LogFormat:      logFormat.Get(r),
	}
}

func parseListen(v *setting.Value) string {
	text := v.Text()
	if v.Name == port {
		if !isPort(text) {
			v.Fault("is %s, which is not a port",
				"use a number from 0 to 65535, or set LISTEN, which wins over it", quote.Text(text))
		}
		return net.JoinHostPort("", text)
	}
	if path, ok := strings.CutPrefix(text, unixPrefix); ok {
		switch {
		case !strings.HasPrefix(path, "/"):
			v.Fault("does not name a socket by its whole path", "use unix: and a path, such as unix:/run/coze-token.sock")
		case len(path) > maxSocketPath:
			v.Fault("has a path of %d bytes, longer than systems take",
				"use a path of %d bytes at most", len(path), maxSocketPath)
		}
		return text
	}
	const remedy = "use host:port, such as 127.0.0.1:8787, :8787 for all interfaces, or unix:/run/coze-token.sock"
	host, port, err := net.SplitHostPort(text)
	switch {
	case strings.Contains(text, "/"):
		v.Fault("is a URL or a path, not an address", remedy)
	case err != nil && isPort(text):
		v.Fault("is a port without a host", "use 127.0.0.1:%s for this machine only, or :%s for all interfaces", text, text)
	case err != nil:
		v.Fault("is %s, not an address with a port",
			remedy+"; an IPv6 address stands in brackets, [::1]:8787", quote.Text(text))
	case !isPort(port):
		v.Fault("has the port %s, which is not a number from 0 to 65535", remedy, quote.Text(port))
	case strings.ContainsAny(host, " \t@#?\"'*"):
		v.Fault("has the host %s, which is neither an address nor a name", remedy, quote.Text(host))
	}
	return net.JoinHostPort(host, port)
}

func parseMetricsListen(v *setting.Value) string {
	if strings.HasPrefix(v.Text(), unixPrefix) {
		v.Fault("is a socket, and Prometheus asks over TCP", "use host:port, such as 127.0.0.1:9464")
	}
	return parseListen(v)
}

// parseMode reads permissions as chmod takes them.
func parseMode(v *setting.Value) fs.FileMode {
	mode, err := strconv.ParseUint(v.Text(), 8, 32)
	if err != nil || mode > 0o777 || len(v.Text()) < 3 {
		v.Fault("is %s, which is no mode of a file",
			"use three or four octal digits, such as 0660: who may write to the socket may connect", quote.Text(v.Text()))
	}
	return fs.FileMode(mode)
}

func parseOwner(v *setting.Value) string {
	user, group, both := strings.Cut(v.Text(), ":")
	if user == "" && group == "" || both && group == "" || strings.ContainsAny(user+group, " /:") {
		v.Fault("is %s, which names neither a user nor a group",
			"use user:group, user or :group, such as :www-data", quote.Text(v.Text()))
	}
	return v.Text()
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

func parseCert(v *setting.Value) string {
	return pemFile(v, "-----BEGIN CERTIFICATE-----", "a certificate",
		"TLS_CERT_FILE takes the certificate chain, TLS_KEY_FILE its private key")
}

func parseKey(v *setting.Value) string {
	return pemFile(v, "PRIVATE KEY-----", "a private key",
		"TLS_KEY_FILE takes the certificate's private key, TLS_CERT_FILE the certificate chain")
}

// pemFile checks that the file can be read and holds the kind of PEM block that it should.
// [Certificate] says whether the two files belong together.
func pemFile(v *setting.Value, marker string, kind, remedy message.Format) string {
	if content, ok := v.ReadFile(); ok && !strings.Contains(content, marker) {
		v.Fault("the file does not hold %s in PEM form", remedy, kind)
	}
	return v.Text()
}
