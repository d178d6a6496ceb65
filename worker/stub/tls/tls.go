// Package tls is what net/http needs of crypto/tls in order to compile, and no more. The Worker's
// build puts it in the place of crypto/tls (go build -overlay, script/build-worker.mjs).
//
// A Worker has no sockets, so TLS has no use in it. But net/http's types mention it, and the linker
// therefore keeps elliptic curves, X.509 and big numbers, which cost a quarter of the start of a
// program that does nothing else. If net/http needs more of it one day, the build says which name
// is undefined. Nothing here makes a connection: what would, fails.
package tls

import (
	"context"
	"errors"
	"net"
)

var errNone = errors.New("tls: there is none in this program")

type (
	Certificate     struct{}
	ClientHelloInfo struct{}

	ConnectionState struct {
		Version, CipherSuite           uint16
		ServerName, NegotiatedProtocol string
		NegotiatedProtocolIsMutual     bool
	}

	Config struct {
		NextProtos               []string
		ServerName               string
		Certificates             []Certificate
		GetCertificate           func(*ClientHelloInfo) (*Certificate, error)
		GetConfigForClient       func(*ClientHelloInfo) (*Config, error)
		CipherSuites             []uint16
		MinVersion               uint16
		PreferServerCipherSuites bool
	}

	Conn struct{ net.Conn }

	Dialer struct {
		NetDialer *net.Dialer
		Config    *Config
	}

	RecordHeaderError struct {
		Msg          string
		RecordHeader [5]byte
		Conn         net.Conn
	}
)

const (
	VersionTLS12 = 0x0303
	VersionTLS13 = 0x0304

	TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256   = 0xc02f
	TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 = 0xc02b
)

func (c *Config) Clone() *Config {
	if c == nil {
		return nil
	}
	copied := *c
	return &copied
}

func (e RecordHeaderError) Error() string { return "tls: " + e.Msg }

// Client returns a connection that is good for nothing. There is no Dialer either, nor a server.
func Client(c net.Conn, _ *Config) *Conn { return &Conn{noConn{c}} }

func (*Conn) HandshakeContext(context.Context) error { return errNone }
func (*Conn) VerifyHostname(string) error            { return errNone }
func (*Conn) ConnectionState() ConnectionState       { return ConnectionState{} }
func (c *Conn) NetConn() net.Conn                    { return c.Conn }

func (*Dialer) DialContext(context.Context, string, string) (net.Conn, error) { return nil, errNone }

func LoadX509KeyPair(string, string) (Certificate, error) { return Certificate{}, errNone }

func NewListener(l net.Listener, _ *Config) net.Listener { return noListener{l} }

// A noConn reads and writes nothing: what was meant to be encrypted must not leave in the clear.
type noConn struct{ net.Conn }

func (noConn) Read([]byte) (int, error)  { return 0, errNone }
func (noConn) Write([]byte) (int, error) { return 0, errNone }

type noListener struct{ net.Listener }

func (noListener) Accept() (net.Conn, error) { return nil, errNone }
