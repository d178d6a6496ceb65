//go:build unix

package native

import "syscall"

// MaxFiles returns how many files and connections this process may have open, or 0 if that is not
// known. Go has raised the soft limit to the hard one already.
func MaxFiles() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return uint64(limit.Cur)
}
