package cozetoken_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io/fs"
	"maps"
	"strings"
	"sync"
	"testing"

	cozetoken "coze-token"
	"coze-token/broker"
	"coze-token/internal/fault"
)

// Keys are made once for the whole package and never stand in a file of the repository.
var privatePEM = sync.OnceValue(func() string { return rsaPEM(2048) })

func rsaPEM(bits int) string {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return pkcs8(key)
}

func pkcs8(key any) string {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func ecPEM() string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return pkcs8(key)
}

func publicPEM() string {
	block, _ := pem.Decode([]byte(privatePEM()))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.(*rsa.PrivateKey).Public())
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

const (
	clientID = "1133483935040"
	keyID    = "_7Zk3vJ0fV5m2LrXwT9bYcN1eHsD8uPaGiKoR6tEyMQ"
)

// with is the least environment that works, changed by pairs of name and text. A text of "-" takes
// the name away.
func with(pairs ...string) map[string]string {
	env := map[string]string{"CLIENT_ID": clientID, "KID": keyID, "PRIVATE_KEY": privatePEM()}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "-" {
			delete(env, pairs[i])
		} else {
			env[pairs[i]] = pairs[i+1]
		}
	}
	return env
}

// files is a ReadFile over a map.
func files(content map[string]string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if text, ok := content[name]; ok {
			return []byte(text), nil
		}
		if strings.HasPrefix(name, "/forbidden") {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
		}
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
}

var (
	native  = cozetoken.Options{ReadFile: files(nil)}
	workers = cozetoken.Options{Workers: true}
)

// A view is settings with those of the app at /, which there need not be.
type view struct {
	*cozetoken.Settings
	cozetoken.App
	broker broker.Options
}

func viewOf(s *cozetoken.Settings) *view {
	v := &view{Settings: s, broker: s.Broker()}
	v.App, _ = s.App("")
	return v
}

func (v *view) app(name string) cozetoken.App {
	app, _ := v.Settings.App(name)
	return app
}

func mustRead(t *testing.T, env map[string]string, options cozetoken.Options) (*view, fault.List) {
	t.Helper()
	settings, warnings, err := cozetoken.Read(env, options)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return viewOf(settings), warnings
}

// faultsOf is what Parse finds, which must be something and must not hold the key.
func faultsOf(t *testing.T, env map[string]string, options cozetoken.Options) fault.List {
	t.Helper()
	settings, _, err := cozetoken.Read(env, options)
	faults, ok := errors.AsType[fault.List](err)
	if !ok || len(faults) == 0 {
		t.Fatalf("Parse: %v, want faults", err)
	}
	if settings != nil {
		t.Error("settings in spite of faults")
	}
	for _, f := range faults {
		if f.Setting == "" || f.Problem.String() == "" || f.Remedy.String() == "" || strings.ContainsAny(f.Error(), "\n\r") {
			t.Errorf("incomplete or more than a line: %q", f)
		}
	}
	// Any 40 characters of the key's own base64 would be too many.
	line := strings.Split(privatePEM(), "\n")[5][:40]
	if strings.Contains(err.Error(), line) {
		t.Error("a fault quotes the private key")
	}
	return faults
}

// checkFaults compares faults with what is wanted: "NAME: a part of the line", in order.
func checkFaults(t *testing.T, faults fault.List, want ...string) {
	t.Helper()
	for i, f := range faults {
		if i >= len(want) {
			t.Errorf("unexpected: %v", f)
			continue
		}
		name, part, _ := strings.Cut(want[i], ": ")
		if f.Setting != name || !strings.Contains(f.Error(), part) {
			t.Errorf("fault %d:\n got %v\nwant %s", i, f, want[i])
		}
	}
	for i := len(faults); i < len(want); i++ {
		t.Errorf("missing: %s", want[i])
	}
}

// checkWarnings compares warnings likewise.
func checkWarnings(t *testing.T, warnings fault.List, want ...string) {
	t.Helper()
	checkFaults(t, warnings, want...)
}

// bare is a key without the lines around it, on one line.
func bare(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[1:len(lines)-1], "")
}

func base64Of(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func clone(env map[string]string) map[string]string { return maps.Clone(env) }
