package worker

import (
	"log/slog"
	"unsafe"
)

//go:wasmimport worker log
//go:noescape
func hostLog(level int32, p unsafe.Pointer, n uint32)

func writeLog(l slog.Level, line []byte) {
	if rehearsing {
		return
	}
	hostLog(int32(l), unsafe.Pointer(unsafe.SliceData(line)), uint32(len(line)))
}
