// Package version says which coze-token this is.
package version

import (
	"runtime/debug"
	"sync"
)

const module = "coze-token"

// String is the version that the Go toolchain stamped into the build: a tag such as v1.2.0 or a
// pseudo-version, with "+dirty" if the tree was modified; or "devel" if the tree has no versions.
// It has no spaces or brackets, so it can stand in a User-Agent header (RFC 9110, section 10.1.5).
var String = sync.OnceValue(func() string {
	info, _ := debug.ReadBuildInfo()
	return of(info)
})

// of finds the module in a build: the program's own, or one that the program imports.
func of(info *debug.BuildInfo) string {
	if info == nil {
		return "devel"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == module && m.Version != "" && m.Version != "(devel)" {
			return m.Version
		}
	}
	return "devel"
}
