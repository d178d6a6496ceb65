package config

import (
	"log/slog"
	"net"
	"strings"

	"coze-token/internal/quote"
)

func readListen(d *draft, v value) {
	text := v.text.Reveal()
	if v.name == portName {
		if !validPort(text) {
			d.fault(v.name, "is "+quote.Text(text)+", which is not a port", "use a number from 0 to 65535, or set LISTEN, which wins over it")
			return
		}
		d.settings.Listen = net.JoinHostPort("", text)
		return
	}
	const remedy = "use host:port, such as 127.0.0.1:8787, or :8787 for all interfaces"
	host, port, err := net.SplitHostPort(text)
	switch {
	case strings.Contains(text, "/"):
		d.fault(v.name, "is a URL or a path, not an address", remedy)
	case err != nil && validPort(text):
		d.fault(v.name, "is a port without a host", "use 127.0.0.1:"+text+" for this machine only, or :"+text+" for all interfaces")
	case err != nil:
		d.fault(v.name, "is "+quote.Text(text)+", not an address with a port", remedy+"; an IPv6 address stands in brackets, [::1]:8787")
	case port == "" || !validPort(port):
		d.fault(v.name, "has the port "+quote.Text(port)+", which is not a number from 0 to 65535", remedy)
	case strings.ContainsAny(host, " \t@#?\"'*"):
		d.fault(v.name, "has the host "+quote.Text(host)+", which is neither an address nor a name", remedy)
	default:
		d.settings.Listen = net.JoinHostPort(host, port)
	}
}

func readMaxConnections(d *draft, v value) {
	d.settings.MaxConnections = int(d.whole(v, 1, maxConnections, ""))
}

func readTLSCert(d *draft, v value) {
	d.settings.TLSCertFile = d.pemFile(v, "-----BEGIN CERTIFICATE-----", "a certificate", "TLS_CERT_FILE takes the certificate chain, TLS_KEY_FILE its private key")
}

func readTLSKey(d *draft, v value) {
	d.settings.TLSKeyFile = d.pemFile(v, "PRIVATE KEY-----", "a private key", "TLS_KEY_FILE takes the certificate's private key, TLS_CERT_FILE the certificate chain")
}

// pemFile checks that the file can be read and holds the kind of PEM block that it should. Whether the two files
// belong together is for the host to say, which parses them: see Options.Look.
func (d *draft) pemFile(v value, marker, kind, remedy string) string {
	path := v.text.Reveal()
	content, ok := d.readFile(v.name, v.name, path)
	switch {
	case !ok:
		return ""
	case !strings.Contains(content, marker):
		d.fault(v.name, "the file does not hold "+kind+" in PEM form", remedy)
		return ""
	}
	return path
}

func (d *draft) settleTLS() {
	d.together("TLS_CERT_FILE", "TLS_KEY_FILE", "set both for HTTPS, or neither")
}

func readLogLevel(d *draft, v value) {
	switch d.choice(v, "debug", "info", "warn", "error") {
	case "debug":
		d.settings.LogLevel = slog.LevelDebug
	case "warn":
		d.settings.LogLevel = slog.LevelWarn
	case "error":
		d.settings.LogLevel = slog.LevelError
	}
}

func readLogFormat(d *draft, v value) { d.settings.LogFormat = d.choice(v, "auto", "text", "json") }
