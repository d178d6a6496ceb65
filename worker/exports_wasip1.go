package worker

import (
	"unsafe"
)

// abiVersion is what both sides must have; ABI.md is its description.
const abiVersion = 1

// The mailbox is the words through which numbers cross: JavaScript knows its
// address from worker_open. Go's collector does not move it.
var mailbox struct {
	version uint32
	out     uint32 // address of the outbox
	in      uint32 // address of the buffer that JavaScript writes frames to
	inCap   uint32 // its size in bytes
	busy    uint32 // background jobs under way
	memory  uint32 // the bound above which the instance is replaced, in bytes
	named   uint32 // 1 if worker_open's outbox is a frame that names the wanted headers
}

// inbox is the buffer that JavaScript writes frames to.
var inbox []byte

// keepInbox is what is kept of it after a larger frame has been taken: more
// than any request's head (the platform allows 128 KB of headers).
const keepInbox = 160 << 10

//go:wasmexport worker_open
func workerOpen() uint32 {
	b := theBridge()
	mailbox.version = abiVersion
	mailbox.memory = uint32(min(b.options.MaxMemory, 1<<31))
	workerReserve(keepInbox)
	hostRehearse(1)
	b.rehearse(b.options.Rehearsal)
	hostRehearse(0)
	if b.options.Warm != nil {
		b.spawn(b.options.Warm)
		b.settle()
	}
	b.out.reset()
	if len(b.names) > 0 {
		b.out.buf = appendFrame(b.out.buf, uint32(len(b.names)), b.names, nil)
		mailbox.named = 1
	}
	publish(b)
	return uint32(uintptr(unsafe.Pointer(&mailbox)))
}

//go:wasmexport worker_reserve
func workerReserve(n uint32) {
	if n > uint32(len(inbox)) {
		inbox = make([]byte, n)
	}
	mailbox.in = uint32(uintptr(unsafe.Pointer(unsafe.SliceData(inbox))))
	mailbox.inCap = uint32(len(inbox))
}

//go:wasmexport worker_start
func workerStart(id, n uint32) uint32 {
	b := theBridge()
	b.out.reset()
	b.start(id, inbox[:n])
	shrink()
	b.settle()
	return publish(b)
}

//go:wasmexport worker_resolve
func workerResolve(id, ok, n uint32) uint32 {
	b := theBridge()
	b.out.reset()
	b.resolve(id, ok != 0, inbox[:n])
	shrink()
	b.settle()
	return publish(b)
}

//go:wasmexport worker_cancel
func workerCancel(id uint32) uint32 {
	b := theBridge()
	b.out.reset()
	b.cancel(id)
	b.settle()
	return publish(b)
}

//go:wasmexport worker_tick
func workerTick() uint32 {
	b := theBridge()
	b.out.reset()
	b.settle()
	return publish(b)
}

// publish tells JavaScript where the outbox is and returns its length.
func publish(b *bridge) uint32 {
	mailbox.out = uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b.out.buf))))
	mailbox.busy = uint32(b.busy.Load())
	return uint32(len(b.out.buf))
}

// shrink lets go of a buffer that one large frame has made.
func shrink() {
	if len(inbox) > keepInbox {
		inbox = nil
		workerReserve(keepInbox)
	}
}

// hostRehearse tells JavaScript that a rehearsal begins or is over: whoever draws random bytes in it gets zeros.
//
//go:wasmimport worker rehearse
func hostRehearse(on uint32)
