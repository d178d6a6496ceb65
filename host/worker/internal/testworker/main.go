//go:build wasip1

// The testworker is a Worker that does, on request, whatever the bridge must
// carry, survive or bound. host/worker/test runs it in workerd.
package main

import (
	"os"
	"strings"

	"coze-token/host/worker"
)

func init() {
	worker.Serve(handler(), worker.Options{
		MaxBody:   1000,
		MaxMemory: 48 << 20,
		Warm:      warm,
		Headers:   strings.Fields(os.Getenv("HEADERS")),
	})
}

func main() {}
