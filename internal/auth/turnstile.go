package auth

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// siteverify is where Cloudflare says whether a Turnstile token is good.
const siteverify = "https://challenges.cloudflare.com/turnstile/v0/siteverify"

// maxTurnstile is the longest token that Turnstile makes, in bytes.
const maxTurnstile = 2048

// TurnstileOptions say how Turnstile is asked.
type TurnstileOptions struct {
	// Secret is the widget's secret key.
	Secret string
	// Transport asks Cloudflare. It is called directly.
	Transport http.RoundTripper
	// URL is where. Optional: Cloudflare's own.
	URL string
}

// Turnstile is Cloudflare's proof that a new visitor is a person. Which sites may use the widget is set at Cloudflare. It is
// asked once for each new identity, and again by nobody who has one.
type Turnstile struct {
	redacted
	secret    string
	transport http.RoundTripper
	url       string
}

// NewTurnstile makes a Turnstile. The error, if there is one, is [Faults].
func NewTurnstile(o TurnstileOptions) (*Turnstile, error) {
	var faults Faults
	o.URL = cmp.Or(o.URL, siteverify)
	switch _, err := checkURL(o.URL); {
	case o.Secret == "":
		faults.add("there is no secret key", "copy the widget's secret key from Cloudflare's dashboard")
	case len(o.Secret) > maxTurnstile || !isToken(o.Secret):
		faults.add("the secret key has characters that no key has", "copy the widget's secret key alone from Cloudflare's dashboard")
	case err != nil:
		faults.add("the address "+err.Error(), "leave it out: it is Cloudflare's own then")
	case o.Transport == nil:
		faults.add("there is no transport to ask Cloudflare with", "set TurnstileOptions.Transport")
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return &Turnstile{secret: o.Secret, transport: o.Transport, url: o.URL}, nil
}

// verify is nil where Cloudflare says that the request's token is good. Where it says nothing, nobody gets in.
func (t *Turnstile) verify(ctx context.Context, h http.Header) *Error {
	const again = "run the Turnstile widget again, and send its token in X-Turnstile-Token"
	token, present, e := only(h, TurnstileHeader)
	switch {
	case e != nil:
		return e
	case !present || token == "":
		return unauthenticated(TurnstileMissing, "a new visitor has to pass Cloudflare Turnstile first", "run the Turnstile widget, and send its token in X-Turnstile-Token")
	case len(token) > maxTurnstile || !isToken(token):
		return unauthenticated(TurnstileFailed, "X-Turnstile-Token does not hold a token of Turnstile", again)
	}
	codes, err := t.ask(ctx, token)
	down := "Turnstile cannot be asked at the moment, so no new visitor is let in"
	switch {
	case err != nil:
		return unavailable(TurnstileDown, down, "try again", err)
	case codes == nil:
		return nil
	case slices.Contains(codes, "invalid-input-secret"), slices.Contains(codes, "missing-input-secret"):
		return unavailable(TurnstileSecretBad, down, "tell whoever runs the service that Cloudflare refuses its TURNSTILE_SECRET", nil)
	case slices.Contains(codes, "internal-error"), slices.Contains(codes, "bad-request"):
		return unavailable(TurnstileDown, down, "try again", errors.New("turnstile: "+codes[0]))
	default:
		return unauthenticated(TurnstileFailed, "Turnstile does not vouch for this visitor", again)
	}
}

// ask is Cloudflare's word on a token: no codes, and no error, where it is good. The secret is in the body and nowhere
// else.
func (t *Turnstile) ask(ctx context.Context, token string) (codes []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	body, err := json.Marshal(map[string]string{"secret": t.secret, "response": token})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("turnstile's address is not a URL")
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
	switch {
	case err != nil, response.StatusCode >= 500, response.StatusCode < 200, response.StatusCode == http.StatusTooManyRequests:
		return nil, fmt.Errorf("turnstile answered with the status %d", response.StatusCode)
	case answer.Success && response.StatusCode == http.StatusOK:
		return nil, nil
	case len(answer.ErrorCodes) == 0:
		return nil, fmt.Errorf("turnstile gave no reason, with the status %d", response.StatusCode)
	}
	return answer.ErrorCodes, nil
}
