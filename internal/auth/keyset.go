package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"coze-token/internal/call"
	"coze-token/internal/message"
	"coze-token/internal/version"
)

// How keys are fetched and how long they are used (security check 12).
const (
	fetchTimeout = 5 * time.Second // for discovery and keys together, and for Turnstile
	maxDocument  = 256 << 10       // bytes

	// cooldown is the time in which two fetches begin at most, and secondFetch the least time between
	// them. Without it, each token with a made-up kid would cost a fetch. With one fetch only, such
	// tokens could keep the users of a new key waiting for all of it.
	cooldown    = 30 * time.Second
	secondFetch = 5 * time.Second
	// firstCooldown is the same while there are no keys, and nobody can log in.
	firstCooldown = 5 * time.Second
	// recent is how long after a fetch no key is taken for one that is newer than it.
	recent = time.Second
	// maxAbsent is how many keys are remembered that the provider does not have.
	maxAbsent = 64
	// grace is how long keys are used past their freshness while new ones are fetched in the
	// background. After that, as after a quiet night, the request waits for new ones, because a key
	// may have been revoked. It waits for patience only: Coze's Chat SDK gives up after 3 s.
	grace    = 10 * time.Minute
	patience = time.Second
	// maxStale is how long keys are used past their freshness if no new ones can be had: a provider
	// that is down does not lock out its users.
	maxStale = 7 * 24 * time.Hour

	// Bounds of freshness, whatever the provider's Cache-Control says.
	minFresh     = 5 * time.Minute
	defaultFresh = time.Hour
	maxFresh     = 24 * time.Hour
)

// KeySets are the keys of the logins' providers. All apps that take the same provider share what is
// known of it and how often it is asked. It is safe for concurrent use, but for Reload.
type KeySets struct {
	// Transport fetches the keys. Required. It is called directly.
	Transport http.RoundTripper
	// Go starts a goroutine that lives as long as one fetch, of 5 s at most. Optional: the go
	// statement.
	Go func(func())
	// Now is the clock. Optional: time.Now.
	Now func() time.Time
	// Log is told when keys cannot be fetched. Optional: nothing is logged.
	Log *slog.Logger

	mu   sync.Mutex
	sets map[provider]*keySet
	used map[provider]*keySet // since the last Reload began
}

type provider struct{ issuer, jwksURL string }

// Reload calls build, which makes the authenticators of new settings. Afterwards the keys of
// providers that none of them takes are forgotten.
func (k *KeySets) Reload(build func()) {
	k.mu.Lock()
	k.used = nil
	k.mu.Unlock()
	build()
	k.mu.Lock()
	k.sets = k.used
	k.mu.Unlock()
}

// of returns the keys of a login's provider.
func (k *KeySets) of(o LoginOptions) *keySet {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := provider{o.Issuer, o.JWKSURL}
	set := k.used[p]
	if set == nil {
		set = k.sets[p]
	}
	if set == nil {
		set = k.newSet(p)
	}
	if k.used == nil {
		k.used = map[provider]*keySet{}
	}
	k.used[p] = set
	return set
}

func (k *KeySets) newSet(p provider) *keySet {
	s := &keySet{provider: p, transport: k.Transport, now: k.Now, spawn: k.Go, log: k.Log}
	if s.now == nil {
		s.now = time.Now
	}
	if s.spawn == nil {
		s.spawn = func(f func()) { go f() }
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Check fetches the keys of a login's provider, for a person who wants to know whether that works.
// It returns how many of them can be used, and why the others cannot.
func (k *KeySets) Check(ctx context.Context, o LoginOptions) (keys int, dropped []message.Text, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	found, err := k.newSet(provider{o.Issuer, o.JWKSURL}).fetch(ctx)
	return len(found.keys), found.dropped, err
}

// A keySet remembers a provider's keys. A fetch is made for a request only, and by one call at a
// time.
type keySet struct {
	provider
	transport http.RoundTripper
	now       func() time.Time
	spawn     func(func())
	log       *slog.Logger

	mu       sync.Mutex
	keys     []*signingKey
	fresh    time.Time       // until when the keys are
	began    time.Time       // when the last fetch did
	fetched  time.Time       // when the last one brought keys
	next     time.Time       // when a fetch may begin again
	absent   map[wanted]bool // what the last fetch did not bring
	failure  error           // of the last fetch; nil: it succeeded
	fetching *call.Call[fetched]
}

// wanted is the key that a token asks for.
type wanted struct{ kid, alg string }

// fetched is what a fetch brings.
type fetched struct {
	keys    []*signingKey
	dropped []message.Text // why others are of no use
	fresh   time.Duration
}

// maxCandidates is how many keys are tried for a token that does not say which one signed it.
const maxCandidates = 3

// find returns the keys that may have signed a token: those that it names, or, if it or the
// provider names none, those that fit its algorithm.
func (s *keySet) find(ctx context.Context, kid, alg string) ([]*signingKey, *Error) {
	s.mu.Lock()
	now := s.now()
	keys := s.match(now, kid, alg)
	if keys != nil && now.Before(s.fresh) {
		s.mu.Unlock()
		return keys, nil
	}
	c := s.refresh(ctx, now)
	wait := fetchTimeout + time.Second
	if keys != nil {
		wait = patience
		if now.Before(s.fresh.Add(grace)) {
			wait = 0
		}
	}
	s.mu.Unlock()
	if keys != nil && (c == nil || wait == 0) {
		return keys, nil
	}
	ended := c == nil || waitFor(ctx, c, wait)
	s.mu.Lock()
	defer s.mu.Unlock()
	if keys = s.match(s.now(), kid, alg); keys != nil {
		return keys, nil
	}
	return nil, s.unknown(ctx, c != nil, ended, wanted{kid, alg})
}

// newer returns keys in the place of those that did not verify a token which names none.
func (s *keySet) newer(ctx context.Context, old []*signingKey, kid, alg string) []*signingKey {
	s.mu.Lock()
	c := s.refresh(ctx, s.now())
	s.mu.Unlock()
	if c != nil {
		waitFor(ctx, c, patience)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.match(s.now(), kid, alg)), func(k *signingKey) bool {
		return slices.Contains(old, k)
	})
}

// match looks the keys up among those known. More than maxCandidates are none. The lock is held.
func (s *keySet) match(now time.Time, kid, alg string) (keys []*signingKey) {
	if now.After(s.fresh.Add(maxStale)) {
		return nil
	}
	for _, named := range []bool{true, false} {
		for _, k := range s.keys {
			fits := kid == "" || named && k.kid == kid || !named && k.kid == ""
			if fits && slices.Contains(k.algs, alg) {
				keys = append(keys, k)
			}
		}
		if keys != nil {
			break
		}
	}
	if len(keys) > maxCandidates {
		return nil
	}
	return keys
}

// unknown is why there is no key for a token. asked reports whether there was a fetch for it, and
// ended whether that has ended. The lock is held.
func (s *keySet) unknown(ctx context.Context, asked, ended bool, w wanted) *Error {
	switch {
	case ctx.Err() != nil:
		return providerDown(ctx.Err())
	case !ended:
		return providerDown(errors.New("the login's provider does not answer in time"))
	case s.failure != nil:
		return providerDown(s.failure)
	case s.keys == nil: // the fetch was another request's, and was lost
		return providerDown(errors.New("the fetch of the login's keys is still under way"))
	case !asked && !s.absent[w] && s.now().Sub(s.fetched) > recent:
		// The key may be new. A 401 would send a user to log in again who has just done so.
		e := providerDown(errors.New("the token's key is unknown, and it is too early to ask the provider again"))
		e.RetryAfter = max(s.next.Sub(s.now()), time.Second)
		return e
	}
	if s.absent == nil {
		s.absent = map[wanted]bool{}
	}
	if len(s.absent) < maxAbsent {
		s.absent[w] = true
	}
	if w.kid == "" && slices.ContainsFunc(s.keys, func(k *signingKey) bool { return slices.Contains(k.algs, w.alg) }) {
		return unauthenticated(UnknownSigningKey, "the token does not say which key signed it (kid)",
			"have the provider name it")
	}
	return unauthenticated(UnknownSigningKey, "the token is signed with a key that the login's provider does not have",
		"log in again, and send the new token")
}

// providerDown is the answer where keys are missing. Whether the token is good is unknown, so it is
// not a 401: a page would throw the token away.
func providerDown(cause error) *Error {
	return unavailable(ProviderDown, cause, "the login's keys cannot be had at the moment",
		"try again; if it goes on, the service's log says why")
}

// refresh is the fetch under way, or starts one. It is nil if it is too early for another. The lock
// is held.
func (s *keySet) refresh(ctx context.Context, now time.Time) *call.Call[fetched] {
	if s.fetching.Joinable() {
		return s.fetching
	}
	if s.fetching != nil && s.keys == nil { // it was lost with its host's request
		s.next = now
	}
	s.fetching = nil
	if now.Before(s.next) {
		return nil
	}
	s.next = now.Add(secondFetch)
	if again := s.began.Add(cooldown); s.next.Before(again) {
		s.next = again
	}
	s.began = now
	s.fetching = call.Start(ctx, s.spawn, fetchTimeout, s.fetch, s.settle)
	return s.fetching
}

// settle remembers what a fetch brought. Of two, of which the first was thought lost, the later one
// counts.
func (s *keySet) settle(c *call.Call[fetched], got fetched, err error) (fetched, error) {
	if p, ok := errors.AsType[*call.PanicError](err); ok {
		err = fmt.Errorf("the fetch of the login's keys panicked: %v", p.Value)
	}
	s.mu.Lock()
	now := s.now()
	s.failure = err
	if err == nil {
		s.fetched = now
		s.absent = map[wanted]bool{}
		for _, old := range s.keys[:min(len(s.keys), maxAbsent/4)] { // what is gone is known to be
			for _, alg := range old.algs {
				s.absent[wanted{old.kid, alg}] = true
			}
		}
		s.keys, s.fresh = got.keys, now.Add(got.fresh)
	} else if s.keys == nil {
		s.next = now.Add(firstCooldown)
	}
	if s.fetching == c {
		s.fetching = nil
	}
	known := len(s.keys)
	s.mu.Unlock()
	if err != nil { // at most one line in each cooldown
		s.log.Warn("the keys of a login could not be fetched",
			"issuer", s.issuer, "error", err.Error(), "keys_known", known)
	}
	return got, err
}

// waitFor reports whether the call ended within the time and the caller's own.
func waitFor(ctx context.Context, c *call.Call[fetched], most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-c.Done():
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	return false
}

// fetch gets the provider's keys.
func (s *keySet) fetch(ctx context.Context) (got fetched, err error) {
	url := s.jwksURL
	if url == "" {
		if url, err = s.discover(ctx); err != nil {
			return got, err
		}
	}
	p, h, err := get(ctx, s.transport, url)
	if err != nil {
		return got, message.New("fetching the login's keys: %s", err)
	}
	got.keys, got.dropped, err = parseJWKS(p)
	got.fresh = freshness(h)
	return got, err
}

// discover finds the address of the keys (OpenID Connect Discovery 1.0 section 4).
func (s *keySet) discover(ctx context.Context) (string, error) {
	p, _, err := get(ctx, s.transport, strings.TrimSuffix(s.issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return "", message.New("fetching the login's discovery document: %s", err)
	}
	return parseDiscovery(p, s.issuer)
}

// parseDiscovery reads a discovery document. It has to be the issuer's own (section 4.3). Its keys
// have to be on https, unless the issuer is on this very machine.
func parseDiscovery(p []byte, issuer string) (string, error) {
	var document struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(p, &document); err != nil {
		return "", message.New("the login's discovery document is not one")
	}
	if document.Issuer != issuer {
		return "", message.New("the discovery document is of the issuer %.200q, and not of %q: "+
			"they must agree to the letter, a slash at the end too", document.Issuer, issuer)
	}
	u, err := checkURL(document.JWKSURI)
	if err != nil {
		return "", message.New("the jwks_uri of the login's discovery document %s", err)
	}
	if u.Scheme != "https" && !strings.HasPrefix(strings.ToLower(issuer), "http:") {
		return "", message.New("the jwks_uri of the login's discovery document is not https")
	}
	return document.JWKSURI, nil
}

// get fetches a document. The transport is called directly, so no redirect is followed.
func get(ctx context.Context, transport http.RoundTripper, url string) ([]byte, http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, message.New("its address is not a URL")
	}
	request.Header.Set("Accept", "application/json")
	p, response, err := send(transport, request)
	switch {
	case err != nil:
		return nil, nil, err
	case response.StatusCode != http.StatusOK:
		return nil, nil, message.New("%s answered with the status %d", request.URL.Host, response.StatusCode)
	}
	return p, response.Header, nil
}

// send sends a request, and reads the answer up to maxDocument.
func send(transport http.RoundTripper, request *http.Request) ([]byte, *http.Response, error) {
	request.Header.Set("User-Agent", "coze-token/"+version.String())
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	p, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	switch {
	case err != nil:
		return nil, nil, message.New("the answer of %s broke off: %s", request.URL.Host, err)
	case len(p) > maxDocument:
		return nil, nil, message.New("the answer of %s is larger than 256 KiB", request.URL.Host)
	}
	return p, response, nil
}

// freshness is the max-age of an answer (RFC 9111 section 5.2.2.1), within bounds.
func freshness(h http.Header) time.Duration {
	fresh := defaultFresh
	for directive := range strings.SplitSeq(strings.Join(h["Cache-Control"], ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return minFresh
		case "max-age":
			seconds, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 64)
			if err == nil && seconds >= 0 {
				fresh = time.Duration(min(seconds, int64(maxFresh/time.Second))) * time.Second
			}
		}
	}
	return min(max(fresh, minFresh), maxFresh)
}
