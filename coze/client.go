package coze

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"coze-token/internal/version"
)

const (
	grantType   = "urn:ietf:params:oauth:grant-type:jwt-bearer" // RFC 7523 section 2.1
	maxAttempts = 3
	firstPause  = 200 * time.Millisecond
	// DefaultMaxRetryAfter is [Client.MaxRetryAfter] unless it is set.
	DefaultMaxRetryAfter = 10 * time.Second
)

// A Client is the [Source] that asks Coze. It remembers no token. It is safe for concurrent use.
type Client struct {
	// Transport sends the requests. Required. It is called directly, so no redirect is followed.
	// Limits on connecting and on waiting for an answer are its own.
	Transport http.RoundTripper
	// Clock learns the time from Coze's answers. Optional: the machine's clock is believed.
	Clock *Clock
	// MaxRetryAfter is the longest Retry-After that is waited out. If Coze asks for more, the caller
	// gets the error at once. Optional: DefaultMaxRetryAfter.
	MaxRetryAfter time.Duration
}

// Token signs an assertion and exchanges it for a token. After network errors, 429 and 5xx it tries
// again with another assertion, up to three times for one key, as far as ctx allows. If Coze does
// not know a key, the app's next key is tried. The error is an [*Error].
func (c *Client) Token(ctx context.Context, request TokenRequest) (Token, error) {
	if request.App == nil || len(request.App.Keys) == 0 {
		return Token{}, &Error{Kind: InvalidRequest, Err: errors.New("there is no app, or it has no key")}
	}
	sent := 0
	before, began := c.Clock.Now(), time.Now()
	token, failure := c.tryKeys(ctx, request, &sent)
	if failure != nil && failure.Kind == Rejected {
		// An assertion from the future is refused. The same answer may have corrected the clock.
		moved := c.Clock.Now().Round(0).Sub(before.Round(0)) - time.Since(began)
		if moved.Abs() > tolerated {
			token, failure = c.tryKeys(ctx, request, &sent)
		}
	}
	if failure != nil {
		failure.Attempts = sent
		return Token{}, failure
	}
	return token, nil
}

// tryKeys tries the app's keys until Coze knows one, and counts the assertions that it sends.
func (c *Client) tryKeys(ctx context.Context, request TokenRequest, sent *int) (token Token, failure *Error) {
	for _, key := range request.App.Keys {
		pause := firstPause
		for attempt := 1; ; attempt++ {
			token, failure = c.exchange(ctx, request, key, sent)
			if failure == nil || attempt == maxAttempts || !failure.Temporary() ||
				failure.RetryAfter > cmp.Or(c.MaxRetryAfter, DefaultMaxRetryAfter) ||
				!sleep(ctx, max(failure.RetryAfter, jitter(pause))) {
				break
			}
			pause *= 2
		}
		if failure == nil || !failure.unknownKey() {
			break
		}
	}
	return token, failure
}

// exchange makes one attempt.
func (c *Client) exchange(ctx context.Context, request TokenRequest, key Key, sent *int) (Token, *Error) {
	failed := func(err error) (Token, *Error) {
		if ctx.Err() != nil { // then that is the cause
			return Token{}, &Error{Kind: Timeout, Err: context.Cause(ctx)}
		}
		return Token{}, &Error{Kind: Unavailable, Message: "Coze could not be reached", Err: err}
	}
	if ctx.Err() != nil {
		return failed(nil)
	}
	assertion, err := sign(request, key, c.Clock.Now())
	if err != nil {
		return Token{}, &Error{Kind: InvalidRequest, Err: err}
	}
	r, err := newRequest(ctx, request, assertion)
	if err != nil {
		return Token{}, &Error{Kind: InvalidRequest, Err: err}
	}
	*sent++
	began := c.Clock.base()
	response, err := c.Transport.RoundTrip(r)
	if err != nil {
		return failed(err)
	}
	defer response.Body.Close()
	c.Clock.read(response.Header, began)
	token, failure := readAnswer(response, assertion, c.Clock.Now())
	if failure != nil && failure.Err != nil && ctx.Err() != nil {
		return failed(nil)
	}
	return token, failure
}

// newRequest has what Coze's documentation asks for and no more.
func newRequest(ctx context.Context, request TokenRequest, assertion string) (*http.Request, error) {
	url, err := request.App.TokenURL()
	if err != nil {
		return nil, err
	}
	duration := cmp.Or(request.Duration, DefaultDuration)
	if duration < MinDuration || duration > MaxDuration || duration%time.Second != 0 {
		return nil, fmt.Errorf("a token's duration is whole seconds from %v to %v, not %v",
			MinDuration, MaxDuration, duration)
	}
	body, err := json.Marshal(struct {
		GrantType       string          `json:"grant_type"`
		DurationSeconds int64           `json:"duration_seconds"`
		Scope           json.RawMessage `json:"scope,omitempty"`
	}{grantType, int64(duration / time.Second), request.App.Scope})
	if err != nil {
		return nil, fmt.Errorf("the scope is not JSON: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+assertion)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "coze-token/"+version.String())
	return r, nil
}

// sleep waits and returns true. It returns false at once if the wait would last longer than ctx.
func sleep(ctx context.Context, pause time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
		return false
	}
	select {
	case <-time.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}

// jitter is a random time from half of pause to one and a half of it. It does not use math/rand,
// which starts from the same seed everywhere on Workers.
func jitter(pause time.Duration) time.Duration {
	var b [8]byte
	rand.Read(b[:])
	return pause/2 + time.Duration(binary.LittleEndian.Uint64(b[:])%uint64(pause))
}
