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

// A Client is the [Source] that asks Coze: it signs an assertion, exchanges it and reads the answer, each time anew.
type Client struct {
	// Transport sends the requests. It is called directly, so no redirect is ever followed. Limits on connecting and
	// on waiting for an answer are its own; the caller's context bounds the whole.
	Transport http.RoundTripper
	// Now is the clock. Optional: time.Now.
	Now func() time.Time
	// UserAgent is sent to Coze. Optional: coze-token and its version.
	UserAgent string
	// MaxRetryAfter is the longest Retry-After of Coze's that is waited out. After a longer one the caller is told at once, and
	// can tell others. Optional: DefaultMaxRetryAfter.
	MaxRetryAfter time.Duration
}

// Token exchanges a new assertion for a token. After network errors, 429 and 5xx it tries again with another
// assertion, three times in all with one key, as far as ctx allows. Where Coze does not know a key, the next one is tried.
// The error is an [*Error].
func (c *Client) Token(ctx context.Context, grant TokenRequest) (Token, error) {
	if grant.App == nil || len(grant.App.Keys) == 0 {
		return Token{}, &Error{Kind: InvalidRequest, Err: errors.New("there is no app, or it has no key")}
	}
	var failure *Error
	sent := 0
	for _, key := range grant.App.Keys {
		var token Token
		token, failure = c.tryKey(ctx, grant, key, &sent)
		if failure == nil {
			return token, nil
		}
		failure.Attempts = sent
		if !failure.unknownKey() {
			break
		}
	}
	return Token{}, failure
}

// tryKey makes up to maxAttempts exchanges with one key, and counts the assertions that it sends.
func (c *Client) tryKey(ctx context.Context, grant TokenRequest, key Key, sent *int) (token Token, failure *Error) {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		token, failure = c.exchange(ctx, grant, key, sent)
		if failure == nil || attempt == maxAttempts || !failure.Temporary() {
			return token, failure
		}
		if failure.RetryAfter > cmp.Or(c.MaxRetryAfter, DefaultMaxRetryAfter) || !sleep(ctx, max(failure.RetryAfter, jitter(pause))) {
			return token, failure
		}
		pause *= 2
	}
}

// exchange makes one attempt.
func (c *Client) exchange(ctx context.Context, grant TokenRequest, key Key, sent *int) (Token, *Error) {
	// The request's context is also why it fails when the caller has gone or the time is up.
	ended := func(err error) *Error {
		if ctx.Err() != nil {
			return &Error{Kind: Timeout, Err: context.Cause(ctx)}
		}
		return &Error{Kind: Unavailable, Message: "Coze could not be reached", Err: err}
	}
	if ctx.Err() != nil {
		return Token{}, ended(nil)
	}
	assertion, err := sign(grant.App, key, grant.Session, c.now())
	if err != nil {
		return Token{}, &Error{Kind: InvalidRequest, Err: err}
	}
	request, err := c.request(ctx, grant, assertion)
	if err != nil {
		return Token{}, &Error{Kind: InvalidRequest, Err: err}
	}
	*sent++
	response, err := c.Transport.RoundTrip(request)
	if err != nil {
		return Token{}, ended(err)
	}
	defer response.Body.Close()
	token, failure := readAnswer(response, assertion, c.now())
	if failure != nil && failure.Err != nil && ctx.Err() != nil { // the answer broke off because the time was up
		return Token{}, ended(failure)
	}
	return token, failure
}

// exchangeBody is what the documentation asks for and nothing more: neither assertion nor client_id stand in it.
type exchangeBody struct {
	GrantType       string          `json:"grant_type"`
	DurationSeconds int64           `json:"duration_seconds"`
	Scope           json.RawMessage `json:"scope,omitempty"`
}

func (c *Client) request(ctx context.Context, grant TokenRequest, assertion string) (*http.Request, error) {
	url, err := grant.App.TokenURL()
	if err != nil {
		return nil, err
	}
	duration := grant.Duration
	if duration == 0 {
		duration = DefaultDuration
	}
	if duration < MinDuration || duration > MaxDuration || duration%time.Second != 0 {
		return nil, fmt.Errorf("a token's duration is whole seconds from %v to %v, not %v", MinDuration, MaxDuration, duration)
	}
	body, err := json.Marshal(exchangeBody{grantType, int64(duration / time.Second), grant.App.Scope})
	if err != nil {
		return nil, fmt.Errorf("the scope is not JSON: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	agent := c.UserAgent
	if agent == "" {
		agent = "coze-token/" + version.String()
	}
	request.Header.Set("Authorization", "Bearer "+assertion)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", agent)
	return request, nil
}

func (c *Client) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// sleep waits, unless the wait would outlast ctx: then it returns false at once.
func sleep(ctx context.Context, pause time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
		return false
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// jitter is a random time from half of pause to one and a half of it. It does not use math/rand, which on Workers starts
// from the same seed everywhere.
func jitter(pause time.Duration) time.Duration {
	var b [8]byte
	rand.Read(b[:])
	return pause/2 + time.Duration(binary.LittleEndian.Uint64(b[:])%uint64(pause))
}
