// Package linkcheck finds code in a Worker's module that has no use there and makes the module half
// as large again: net/http's Client and Transport, HTTP/2 and crypto/tls. It is for tests.
//
// go list -deps cannot find them, because net/http itself imports them. The linker drops what no
// code reaches, so Check looks into the built module.
package linkcheck

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	module, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !bytes.Contains(module, []byte("runtime.mallocgc")) || !bytes.Contains(module, []byte("net_http.")) {
		return fmt.Errorf("%s has no names of functions, so nothing can be found", pkg)
	}
	var found []string
	for _, name := range forbidden {
		if bytes.Contains(module, []byte(name)) {
			found = append(found, name)
		}
	}
	if found != nil {
		return fmt.Errorf("%s links %s", pkg, strings.Join(found, ", "))
	}
	return nil
}
