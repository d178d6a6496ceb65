// Package client holds the callers' side for pages without a bundler: the npm package in this
// folder, as one ES module, which the service serves at /client.js. client/build.mjs makes it.
package client

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"sync"
)

// Module is the text of the module.
//
//go:embed dist/index.mjs
var Module string

// ETag is the entity tag of [Module]: the same for every build that has the same module.
var ETag = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(Module))
	return `"` + hex.EncodeToString(sum[:8]) + `"`
})
