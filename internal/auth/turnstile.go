package auth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"coze-token/internal/fault"
	"coze-token/internal/setting"
)

// siteverify is where Cloudflare says whether a Turnstile token is good.
const siteverify = "https://challenges.cloudflare.com/turnstile/v0/siteverify"

// maxTurnstile is the longest token that Turnstile makes, in bytes.
const maxTurnstile = 2048

var turnstileSecret = setting.New(secretRow("TURNSTILE_SECRET"), parseTurnstile)

func parseTurnstile(v *setting.Value) setting.Secret {
	v.Report(CheckTurnstile(v.Text()))
	return setting.NewSecret(v.Text())
}

// CheckTurnstile says what is wrong with the secret key of a Turnstile widget.
func CheckTurnstile(secret string) error {
	if len(secret) > maxTurnstile || !isToken(secret) {
		return fault.New("the secret key has characters that no key has",
			"copy the widget's secret key alone from Cloudflare's dashboard")
	}
	return nil
}

// A turnstile asks Cloudflare for the proof that a new visitor is a person. It is asked once for
// each new identity. Which sites may use the widget is set at Cloudflare.
type turnstile struct {
	redacted
	secret    string
	transport http.RoundTripper

	mu      sync.Mutex
	refused map[[sha256.Size]byte]time.Time // tokens by their hashes, and until when they are refused unasked
	asking  *rate.Limiter
}

const (
	// refusalKept is how long a refused token is refused without asking again, and maxRefused how
	// many such tokens are remembered.
	refusalKept = 10 * time.Second
	maxRefused  = 1024
	// askedPerSecond bounds the questions in all.
	askedPerSecond = 50
)

func newTurnstile(secret string, transport http.RoundTripper) *turnstile {
	return &turnstile{
		secret: secret, transport: transport, refused: map[[sha256.Size]byte]time.Time{},
		asking: rate.NewLimiter(askedPerSecond, 2*askedPerSecond),
	}
}

// isRefused reports whether the token was refused a moment ago.
func (t *turnstile) isRefused(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Now().Before(t.refused[sha256.Sum256([]byte(token))])
}

func (t *turnstile) refuse(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.refused) >= maxRefused {
		clear(t.refused)
	}
	t.refused[sha256.Sum256([]byte(token))] = time.Now().Add(refusalKept)
}

// verify is nil if Cloudflare says that the request's token is good. If Cloudflare says nothing,
// nobody is let in.
func (t *turnstile) verify(ctx context.Context, h http.Header) *Error {
	const again = "run the Turnstile widget again, and send its token in X-Turnstile-Token"
	token, present, e := single(h, TurnstileHeader)
	switch {
	case e != nil:
		return e
	case !present || token == "":
		return unauthenticated(TurnstileMissing, "a new visitor has to pass Cloudflare Turnstile first",
			"run the Turnstile widget, and send its token in X-Turnstile-Token")
	case len(token) > maxTurnstile || !isToken(token):
		return unauthenticated(TurnstileFailed, "X-Turnstile-Token does not hold a token of Turnstile", again)
	}
	const no = "Turnstile does not vouch for this visitor"
	if t.isRefused(token) {
		return unauthenticated(TurnstileFailed, no, again)
	}
	if !t.asking.Allow() {
		return unavailable(TurnstileDown, nil, "too many new visitors come at once", "try again")
	}
	codes, err := t.ask(ctx, token)
	has := func(code string) bool { return slices.Contains(codes, code) }
	const down = "Turnstile cannot be asked at the moment, so no new visitor is let in"
	switch {
	case err != nil:
		return unavailable(TurnstileDown, err, down, "try again")
	case codes == nil:
		return nil
	case has("invalid-input-secret"), has("missing-input-secret"):
		return unavailable(TurnstileSecretBad, nil, down,
			"tell whoever runs the service that Cloudflare refuses its TURNSTILE_SECRET")
	case has("internal-error"), has("bad-request"):
		return unavailable(TurnstileDown, errors.New("turnstile: "+codes[0]), down, "try again")
	default:
		t.refuse(token)
		return unauthenticated(TurnstileFailed, no, again)
	}
}

// ask returns Cloudflare's error codes for a token. There is neither a code nor an error if the
// token is good. The secret stands in the body and nowhere else.
func (t *turnstile) ask(ctx context.Context, token string) (codes []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	body, err := json.Marshal(map[string]string{"secret": t.secret, "response": token})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, siteverify, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	p, response, err := send(t.transport, request)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Success    bool     `json:"success"`
		ErrorCodes []string `json:"error-codes"`
	}
	err = json.Unmarshal(p, &answer)
	status := response.StatusCode
	switch {
	case err != nil, status >= 500, status < 200, status == http.StatusTooManyRequests:
		return nil, fmt.Errorf("turnstile answered with the status %d", status)
	case answer.Success && status == http.StatusOK:
		return nil, nil
	case len(answer.ErrorCodes) == 0:
		return nil, fmt.Errorf("turnstile gave no reason, with the status %d", status)
	}
	return answer.ErrorCodes, nil
}
