package main

import (
	"fmt"
	"runtime"

	"coze-token/internal/version"
)

func versionCommand() command {
	return command{
		name: "version", summary: "print the version",
		help: "\nUsage: coze-token version\n\nPrints the version, the Go version and the platform.\n",
		run: func(p *process) int {
			fmt.Fprintf(p.stdout, "coze-token %s %s %s/%s\n", version.String(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return exitOK
		},
	}
}
