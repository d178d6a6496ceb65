package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// How a keySet asks, and for how long it makes do (security check 12).
const (
	// cooldown is the least time from one fetch to the next. Without it each token with a made-up kid would cost a fetch.
	cooldown = 30 * time.Second
	// firstPause is the same while there are no keys at all, and nobody can log in.
	firstPause = 5 * time.Second
	// grace is how long past their freshness keys are used while new ones are fetched behind the request's back. Later, as
	// after a quiet night, the request waits for new ones, because a key may have been revoked; but only as long as
	// patience, because Coze's Chat SDK gives up after 3 s.
	grace    = 10 * time.Minute
	patience = time.Second
	// maxStale is how long past their freshness keys are used where no new ones can be had: a provider that is down does not
	// lock out its users.
	maxStale = 7 * 24 * time.Hour
)

// A keySet remembers a provider's keys. Nothing is fetched but for a request, and by one at a time.
type keySet struct {
	issuer    string
	url       string // of the JWKS; empty: discovery
	loopback  bool   // the issuer is on this machine, so its keys may be too
	transport http.RoundTripper
	now       func() time.Time
	spawn     func(func())
	log       *slog.Logger

	mu      sync.Mutex
	keys    []*signingKey
	fresh   time.Time // until when the keys are
	next    time.Time // when a fetch may begin again
	failure error     // of the last fetch; nil: it succeeded
	flight  *flight   // the fetch under way
}

// A flight is one fetch under way. It is nobody's: it goes on when the request that began it has gone.
type flight struct {
	done chan struct{}
	lost time.Time // from then on nobody joins it: its goroutine must have been lost with its host's request
}

// find is the key that a token names. Without a kid that is the only key there is.
func (s *keySet) find(ctx context.Context, kid, alg string) (*signingKey, *Error) {
	s.mu.Lock()
	now := s.now()
	k := s.match(now, kid, alg)
	if k != nil && now.Before(s.fresh) {
		s.mu.Unlock()
		return k, nil
	}
	f := s.refresh(ctx, now)
	wait := fetchTimeout + time.Second
	if k != nil {
		wait = patience
		if now.Before(s.fresh.Add(grace)) {
			wait = 0
		}
	}
	s.mu.Unlock()
	if f != nil && wait > 0 {
		f.wait(ctx, wait)
		s.mu.Lock()
		k = s.match(s.now(), kid, alg)
		s.mu.Unlock()
	}
	if k != nil {
		return k, nil
	}
	return nil, s.unknown(ctx, f, kid)
}

// newer is a key in the place of one that did not verify a token which names none: where it is another than before.
func (s *keySet) newer(ctx context.Context, old *signingKey, alg string) (*signingKey, bool) {
	s.mu.Lock()
	f := s.refresh(ctx, s.now())
	s.mu.Unlock()
	if f != nil {
		f.wait(ctx, patience)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.match(s.now(), "", alg)
	return k, k != nil && k != old
}

// match looks the key up among those known. The lock is held.
func (s *keySet) match(now time.Time, kid, alg string) *signingKey {
	if now.After(s.fresh.Add(maxStale)) {
		return nil
	}
	if kid == "" && len(s.keys) != 1 {
		return nil
	}
	for _, k := range s.keys {
		if k.alg == alg && (kid == "" || k.kid == kid) {
			return k
		}
	}
	return nil
}

// unknown is why there is no key for a token.
func (s *keySet) unknown(ctx context.Context, f *flight, kid string) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return providerDown(ctx.Err())
	case f != nil && !f.landed():
		return providerDown(errors.New("the login's provider does not answer in time"))
	case s.failure != nil:
		return providerDown(s.failure)
	case s.keys == nil: // the flight is another's, and lost
		return providerDown(errors.New("the fetch of the login's keys is still under way"))
	case kid == "" && len(s.keys) > 1:
		return unauthenticated(UnknownSigningKey, "the token does not say which key signed it (kid)", "have the provider name it")
	}
	return unauthenticated(UnknownSigningKey, "the token is signed with a key that the login's provider does not have", "log in again, and send the new token")
}

// refresh is the fetch under way, or begins one. It is nil where it is too early for another. The lock is held.
func (s *keySet) refresh(ctx context.Context, now time.Time) *flight {
	if s.flight != nil {
		if now.Before(s.flight.lost) {
			return s.flight
		}
		s.flight = nil
		if s.keys == nil {
			s.next = now
		}
	}
	if now.Before(s.next) {
		return nil
	}
	f := &flight{done: make(chan struct{}), lost: now.Add(fetchTimeout + time.Second)}
	s.flight = f
	s.next = now.Add(cooldown)
	ctx = context.WithoutCancel(ctx)
	s.spawn(func() { s.fly(ctx, f) })
	return f
}

// fly makes the fetch. However it ends, those who wait are told.
func (s *keySet) fly(ctx context.Context, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	var keys []*signingKey
	var fresh time.Duration
	err := errors.New("the fetch of the login's keys was abandoned")
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the fetch of the login's keys panicked: %v", p)
		}
		s.land(f, keys, fresh, err)
	}()
	keys, fresh, err = s.fetch(ctx)
}

// land remembers what the flight brought back. Of two, of which the first was thought lost, the later to land counts.
func (s *keySet) land(f *flight, keys []*signingKey, fresh time.Duration, err error) {
	s.mu.Lock()
	now := s.now()
	s.failure = err
	if err == nil {
		s.keys, s.fresh = keys, now.Add(fresh)
	} else if s.keys == nil {
		s.next = now.Add(firstPause)
	}
	if s.flight == f {
		s.flight = nil
	}
	close(f.done)
	known := len(s.keys)
	s.mu.Unlock()
	if err != nil { // at most one line each cooldown
		s.log.Warn("the keys of a login could not be fetched", "issuer", s.issuer, "error", err.Error(), "keys_known", known)
	}
}

// wait waits for the flight's end, within the caller's time.
func (f *flight) wait(ctx context.Context, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-f.done:
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (f *flight) landed() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}
