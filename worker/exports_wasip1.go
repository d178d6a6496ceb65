package worker

import (
	"log/slog"
	"unsafe"
)

// abiVersion is the version of the bridge, which both sides must have. ABI.md describes it.
const abiVersion = 3

// The mailbox holds numbers for JavaScript, which gets its address from worker_open. Go's collector
// does not move it.
var mailbox struct {
	version uint32
	out     uint32 // address of the outbox
	in      uint32 // address of the inbox
	inCap   uint32 // size of the inbox in bytes
	busy    uint32 // background jobs under way
	memory  uint32 // the bound above which the instance is replaced, in bytes
}

// inbox is the buffer to which JavaScript writes frames.
var inbox []byte

// keepInbox is the inbox's usual size: more than any request's head (the platform allows 128 KB of
// headers). It is made larger for one large frame.
const keepInbox = 160 << 10

//go:wasmexport worker_open
func workerOpen() uint32 {
	b := theBridge()
	mailbox.version, mailbox.memory = abiVersion, maxMemory
	workerReserve(keepInbox)
	if b.warmUp != nil {
		hostWarmUp(1)
		b.warmUp.run()
		hostWarmUp(0)
	}
	b.out.reset()
	b.out.buf = appendFrame(b.out.buf, uint32(len(b.names)), b.names, nil)
	publish(b)
	return address(&mailbox)
}

//go:wasmexport worker_reserve
func workerReserve(n uint32) {
	if n > uint32(len(inbox)) {
		inbox = make([]byte, n)
	}
	mailbox.in = address(unsafe.SliceData(inbox))
	mailbox.inCap = uint32(len(inbox))
}

//go:wasmexport worker_start
func workerStart(id, n uint32) uint32 { return run(func(b *bridge) { b.start(id, inbox[:n]) }) }

//go:wasmexport worker_resolve
func workerResolve(id, ok, n uint32) uint32 {
	return run(func(b *bridge) { b.resolve(id, ok != 0, inbox[:n]) })
}

//go:wasmexport worker_cancel
func workerCancel(id uint32) uint32 { return run(func(b *bridge) { b.cancel(id) }) }

//go:wasmexport worker_tick
func workerTick() uint32 { return run(func(*bridge) {}) }

// run does something to the bridge, lets Go run until it is quiet and returns the outbox's length.
func run(f func(*bridge)) uint32 {
	b := theBridge()
	b.out.reset()
	f(b)
	if len(inbox) > keepInbox {
		inbox = nil
		workerReserve(keepInbox)
	}
	b.settle()
	return publish(b)
}

// publish gives JavaScript the outbox's address and returns its length.
func publish(b *bridge) uint32 {
	mailbox.out = address(unsafe.SliceData(b.out.buf))
	mailbox.busy = uint32(b.busy.Load())
	return uint32(len(b.out.buf))
}

func address[T any](p *T) uint32 { return uint32(uintptr(unsafe.Pointer(p))) }

// hostWarmUp tells JavaScript that the warm-up begins (1) or has ended (0): random bytes are zero.
//
//go:wasmimport worker warm_up
func hostWarmUp(on uint32)

//go:wasmimport worker log
//go:noescape
func hostLog(level int32, p unsafe.Pointer, n uint32)

func init() {
	writeLog = func(level slog.Level, line []byte) {
		if !warmingUp {
			hostLog(int32(level), unsafe.Pointer(unsafe.SliceData(line)), uint32(len(line)))
		}
	}
}
