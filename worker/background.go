package worker

import "context"

// Background runs f in a goroutine and keeps its timers and effects going
// after the request that began it has been answered: up to the 30 seconds that the
// platform gives (ctx.waitUntil). A goroutine started with a plain go statement needs
// this only for its timers; its effects go on by themselves.
//
// f gets ctx without its cancellation and deadline, so that a client which goes away
// does not end the work. f should set a deadline of its own.
func Background(ctx context.Context, f func(context.Context)) {
	theBridge().background(ctx, f)
}

func (b *bridge) background(ctx context.Context, f func(context.Context)) {
	b.busy.Add(1)
	go func() {
		defer b.moves.Add(1)
		defer b.busy.Add(-1)
		f(context.WithoutCancel(ctx))
	}()
}
