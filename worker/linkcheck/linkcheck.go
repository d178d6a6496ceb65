// Package linkcheck finds code in a Worker's module that has no use there and makes the module half
// as large again: net/http's Client and Transport, HTTP/2 and crypto/tls. It is for tests.
//
// go list -deps cannot find them, because net/http itself imports them. The linker drops what no
// code reaches, so Check looks into the built module.
package linkcheck

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// forbidden are beginnings of functions' names, as a WebAssembly module spells them.
var forbidden = []string{
	"net_http.__Client_.do", "net_http.__Transport_.roundTrip", "net_http.__Transport_.dialConn",
	"net_http.__http2", "crypto_tls.__Conn_.", "crypto_tls.__Config_.", "crypto_tls.Dial",
}

// Check builds the main package of an import path for Workers. If forbidden functions are linked,
// it returns an error that names them.
func Check(pkg string) error {
	dir, err := os.MkdirTemp("", "linkcheck")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "module.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", file, pkg)
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	if err := Module(file); err != nil {
		return fmt.Errorf("%s: %w", pkg, err)
	}
	return nil
}

// Module is Check for a module that is built already, with the names of its functions (without the
// linker's flag -s), and for further names. A name is the beginning of a function's,
// as a WebAssembly module spells it: "encoding_asn1." for all of a package.
func Module(file string, names ...string) error {
	module, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !bytes.Contains(module, []byte("runtime.mallocgc")) || !bytes.Contains(module, []byte("net_http.")) {
		return errors.New("it has no names of functions, so nothing can be found")
	}
	var found []string
	for _, name := range slices.Concat(forbidden, names) {
		if bytes.Contains(module, []byte(name)) {
			found = append(found, name)
		}
	}
	if found != nil {
		return fmt.Errorf("it links %s", strings.Join(found, ", "))
	}
	return nil
}
