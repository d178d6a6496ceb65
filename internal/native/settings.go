package native

import (
	"net"
	"strconv"
	"strings"

	"coze-token/internal/quote"
	"coze-token/internal/setting"
)

// This file is linked into the Worker too: a setting of the native server is a fault there, and its
// name is known. The other files of the package are not linked there.

var (
	listen = setting.New(setting.Row{
		Name: "LISTEN", Default: "127.0.0.1:8787", Host: setting.Native, Others: []setting.Other{{Name: port, Ambient: true}},
	}, parseListen)
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

// SettingList is this package's settings.
var SettingList = setting.List{redisURL, listen, maxConnections, tlsCert, tlsKey, auditFile, logFormat}

// Settings are what is set for the native server.
type Settings struct {
	// Listen is the address of the listener as [net.Listen] takes it: an empty host is all
	// interfaces, port 0 any free one.
	Listen string
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
	return Settings{
		Listen:         listen.Get(r),
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
			v.Fault("is "+quote.Text(text)+", which is not a port",
				"use a number from 0 to 65535, or set LISTEN, which wins over it")
		}
		return net.JoinHostPort("", text)
	}
	const remedy = "use host:port, such as 127.0.0.1:8787, or :8787 for all interfaces"
	host, port, err := net.SplitHostPort(text)
	switch {
	case strings.Contains(text, "/"):
		v.Fault("is a URL or a path, not an address", remedy)
	case err != nil && isPort(text):
		v.Fault("is a port without a host", "use 127.0.0.1:"+text+" for this machine only, or :"+text+" for all interfaces")
	case err != nil:
		v.Fault("is "+quote.Text(text)+", not an address with a port",
			remedy+"; an IPv6 address stands in brackets, [::1]:8787")
	case !isPort(port):
		v.Fault("has the port "+quote.Text(port)+", which is not a number from 0 to 65535", remedy)
	case strings.ContainsAny(host, " \t@#?\"'*"):
		v.Fault("has the host "+quote.Text(host)+", which is neither an address nor a name", remedy)
	}
	return net.JoinHostPort(host, port)
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
func pemFile(v *setting.Value, marker, kind, remedy string) string {
	if content, ok := v.ReadFile(); ok && !strings.Contains(content, marker) {
		v.Fault("the file does not hold "+kind+" in PEM form", remedy)
	}
	return v.Text()
}
