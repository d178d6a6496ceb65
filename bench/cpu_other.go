//go:build !unix

package main

import "time"

// cpuTime is not known on this system: the columns about CPU time show nothing.
func cpuTime() time.Duration { return 0 }
