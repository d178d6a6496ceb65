// Package linkgate tells what a WebAssembly module links that can do nothing
// on Workers and makes it half as large again: net/http's transport, HTTP/2 and crypto/tls.
// go list -deps cannot tell, as net/http imports them for everybody; the linker
// drops what nothing reaches, so the built module is what is asked.
package linkgate

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// forbidden is what begins the names of functions that must not be linked, as
// the name section of a WebAssembly module spells them.
var forbidden = []string{
	"net_http.__Client_.do",
	"net_http.__Transport_.roundTrip",
	"net_http.__Transport_.dialConn",
	"net_http.__http2",
	"crypto_tls.__Conn_.",
	"crypto_tls.__Config_.",
	"crypto_tls.Dial",
}

// Check builds the main package of an import path for Workers and returns an
// error that names the forbidden functions which are linked, if any are.
func Check(pkg string) error {
	dir, err := os.MkdirTemp("", "linkgate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	module := filepath.Join(dir, "module.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", module, pkg)
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	p, err := os.ReadFile(module)
	if err != nil {
		return err
	}
	// A name section that is not there, or spells names in another way, must not
	// pass for a clean module.
	if !bytes.Contains(p, []byte("runtime.mallocgc")) || !bytes.Contains(p, []byte("net_http.")) {
		return fmt.Errorf("%s has no names to look for", pkg)
	}
	var found []string
	for _, name := range forbidden {
		if bytes.Contains(p, []byte(name)) {
			found = append(found, name)
		}
	}
	if len(found) > 0 {
		return fmt.Errorf("%s links %s", cmp.Or(pkg, "."), strings.Join(found, ", "))
	}
	return nil
}
