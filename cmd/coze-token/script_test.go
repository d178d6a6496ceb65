package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"coze-token/sandbox"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"coze-token": main})
}

// TestScripts runs the command as a user does. testdata/script has one script for each subject.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"sandbox":   sandboxCmd,
			"keys":      keysCmd,
			"occupy":    occupyCmd,
			"session":   sessionCmd,
			"nosecrets": noSecretsCmd,
		},
	})
}

var scriptKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// sandboxes are the sandboxes of the scripts. nosecrets asks them which assertions were sent.
var sandboxes sync.Map // :: *testscript.TestScript → *sandbox.Sandbox

// sandboxCmd starts a sandbox with faults and puts the settings of its app into the environment:
//
//	sandbox [fault...]
func sandboxCmd(ts *testscript.TestScript, neg bool, faults []string) {
	sb, err := sandbox.New(sandbox.Options{Key: scriptKey()})
	ts.Check(err)
	ts.Check(sb.Fail(faults...))
	server := httptest.NewServer(sb)
	ts.Defer(server.Close)
	for name, value := range sb.Settings(server.URL) {
		ts.Setenv(name, value)
	}
	ts.Setenv("COZE", server.URL)
	sandboxes.Store(ts, sb)
}

// keysCmd puts keys into the environment: KEY (PKCS#8), KEY_LITERAL (with \n for line ends),
// KEY_PUBLIC and KEY_EC. It writes KEY to key.pem, a certificate of it to cert.pem, and a
// certificate of another key to other.pem.
func keysCmd(ts *testscript.TestScript, neg bool, args []string) {
	block := func(kind string, der []byte, err error) string {
		ts.Check(err)
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	der, err := x509.MarshalPKCS8PrivateKey(scriptKey())
	key := block("PRIVATE KEY", der, err)
	ts.Setenv("KEY", key)
	ts.Setenv("KEY_LITERAL", strings.ReplaceAll(key, "\n", `\n`))
	der, err = x509.MarshalPKIXPublicKey(scriptKey().Public())
	ts.Setenv("KEY_PUBLIC", block("PUBLIC KEY", der, err))
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	der, err = x509.MarshalPKCS8PrivateKey(ec)
	ts.Setenv("KEY_EC", block("PRIVATE KEY", der, err))
	ts.Check(os.WriteFile(ts.MkAbs("key.pem"), []byte(key), 0o600))
	for name, key := range map[string]crypto.Signer{"cert.pem": scriptKey(), "other.pem": ec} {
		der, err := certificate(key, 1)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(block("CERTIFICATE", der, err)), 0o600))
	}
}

// occupyCmd listens on a port and puts its address into BUSY. In FREE is an address where nobody
// listens.
func occupyCmd(ts *testscript.TestScript, neg bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv("BUSY", l.Addr().String())
	free, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv("FREE", free.Addr().String())
	ts.Check(free.Close())
}

// sessionCmd fails if the last token is for a session that does not match. Without a pattern it
// fails if the token is for any session:
//
//	session [pattern]
func sessionCmd(ts *testscript.TestScript, neg bool, args []string) {
	sb, ok := sandboxes.Load(ts)
	if !ok || len(args) > 1 {
		ts.Fatalf("usage: session [pattern], after sandbox")
	}
	last, _ := sb.(*sandbox.Sandbox).Last()
	session, named := last.Claims["session_name"].(string)
	switch {
	case named != (len(args) == 1):
		ts.Fatalf("the session is %q", session)
	case named && !regexp.MustCompile(args[0]).MatchString(session):
		ts.Fatalf("the session is %q, not %s", session, args[0])
	}
}

// noSecretsCmd fails if the last command printed a part of the private key or an assertion, or a
// token on standard error.
func noSecretsCmd(ts *testscript.TestScript, neg bool, args []string) {
	printed := ts.ReadFile("stdout") + ts.ReadFile("stderr")
	der, err := x509.MarshalPKCS8PrivateKey(scriptKey())
	ts.Check(err)
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for line := range strings.SplitSeq(key, "\n") {
		if len(line) > 40 && strings.Contains(printed, line) {
			ts.Fatalf("a part of the private key was printed")
		}
	}
	sb, ok := sandboxes.Load(ts)
	if !ok {
		return
	}
	for _, r := range sb.(*sandbox.Sandbox).Requests() {
		if strings.Contains(printed, r.Assertion) {
			ts.Fatalf("an assertion was printed")
		}
	}
	separator := func(r rune) bool { return strings.ContainsRune(" \n\"{}:,", r) }
	for word := range strings.FieldsFuncSeq(ts.ReadFile("stderr"), separator) {
		if _, issued := sb.(*sandbox.Sandbox).Issued(word); issued {
			ts.Fatalf("a token was printed on standard error")
		}
	}
}
