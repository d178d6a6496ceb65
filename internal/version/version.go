// Package version says which coze-token this is.
package version

import (
	"runtime/debug"
	"strings"
	"sync"
)

const module = "coze-token"

// String is the version that the Go toolchain stamped into the build: a tag such as v1.2.0, a pseudo-version,
// or "devel" for a build from a modified or unversioned tree. It holds no spaces or brackets, so it can stand in
// a User-Agent header.
var String = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if info.Main.Path == module {
		return clean(info.Main.Version)
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			return clean(dep.Version)
		}
	}
	return "devel"
})

func clean(v string) string {
	if v == "" || v == "(devel)" {
		return "devel"
	}
	return strings.TrimSuffix(v, "+dirty")
}
