//go:build wasip1

// The testworker is a Worker that does, on request, whatever the bridge must
// carry, survive or bound. worker/test runs it in workerd.
package main

import (
	"os"
	"strings"

	"coze-token/worker"
)

func init() {
	worker.Serve(handler(), worker.Options{
		MaxBody:   1000,
		MaxMemory: 48 << 20,
		Warm:      warm,
		// Drawing is possible in it, and changes nothing for those who draw later.
		Rehearsal: worker.Rehearsal{Handler: handler(), Request: []string{"GET", "https://localhost/random"}, Times: 1},
		Headers:   strings.Fields(os.Getenv("HEADERS")),
	})
}

func main() {}
