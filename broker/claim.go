package broker

import (
	"context"
	"crypto/rand"
	"time"
)

const (
	// claimFor is how long the others wait for one that came first and died.
	claimFor = 2 * time.Second
	// renewEvery is how often one that lives prolongs its claim. It may fail twice before the claim is lost.
	renewEvery = 600 * time.Millisecond
)

// A claim keeps other brokers from exchanging what a flight exchanges.
type claim struct {
	sharing     *sharing
	name, owner string
	taken       bool // the store may have given it
	stop        context.CancelFunc
	stopped     chan struct{}
}

func (sh *sharing) newClaim(name string) *claim {
	return &claim{sharing: sh, name: name + ".claim", owner: rand.Text()}
}

func (c *claim) held() bool { return c != nil && c.taken }

// take takes the claim, or makes it last longer.
func (c *claim) take(ctx context.Context) (mine bool, err error) {
	mine, err = ask(ctx, func() (bool, error) { return c.sharing.claimer.Claim(ctx, c.name, c.owner, claimFor) })
	if err != nil {
		c.sharing.fault("claim", err)
	}
	c.taken = mine || err != nil // an answer that does not come may be a yes
	return mine, err
}

// renew makes the claim last as long as the flight, however long Coze takes.
func (c *claim) renew(flying context.Context) {
	flying, c.stop = context.WithCancel(flying)
	c.stopped = make(chan struct{})
	go func() {
		defer close(c.stopped)
		for {
			select {
			case <-time.After(renewEvery):
			case <-flying.Done():
				return
			}
			// Not broken off with the flight: a renewal that overtakes the release would take the claim again, for nobody.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(flying), c.sharing.timeout)
			mine, err := c.take(ctx)
			cancel()
			if err == nil && !mine {
				return // it was lost, and another exchanges as well
			}
		}
	}()
}

// end ends the renewals.
func (c *claim) end() {
	if c.stop != nil {
		c.stop()
		<-c.stopped
	}
}

// release gives the claim up, so that who waits for it need not wait until its time is over.
func (c *claim) release(ctx context.Context) {
	if !c.taken {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.sharing.timeout)
	defer cancel()
	_, err := ask(ctx, func() (struct{}, error) { return struct{}{}, c.sharing.claimer.Release(ctx, c.name, c.owner) })
	if err != nil {
		c.sharing.fault("release", err)
	}
}
