package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"coze-token/internal/version"
)

// Bounds of what is asked of providers.
const (
	fetchTimeout = 5 * time.Second // for discovery and keys together, and for Turnstile
	maxDocument  = 256 << 10       // bytes
)

// Bounds of how long keys are fresh, whatever the provider's Cache-Control says.
const (
	minFresh     = 5 * time.Minute
	defaultFresh = time.Hour
	maxFresh     = 24 * time.Hour
)

// fetch gets the provider's keys, and says for how long they are fresh.
func (s *keySet) fetch(ctx context.Context) (keys []*signingKey, fresh time.Duration, err error) {
	url := s.url
	if url == "" {
		if url, err = s.discover(ctx); err != nil {
			return nil, 0, err
		}
	}
	p, h, err := get(ctx, s.transport, url)
	if err != nil {
		return nil, 0, fmt.Errorf("fetching the login's keys: %w", err)
	}
	keys, err = parseJWKS(p)
	return keys, freshness(h), err
}

// discover finds the address of the keys (OpenID Connect Discovery 1.0, section 4).
func (s *keySet) discover(ctx context.Context) (string, error) {
	p, _, err := get(ctx, s.transport, strings.TrimSuffix(s.issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return "", fmt.Errorf("fetching the login's discovery document: %w", err)
	}
	return parseDiscovery(p, s.issuer, s.loopback)
}

// parseDiscovery reads a discovery document. It has to be the issuer's own (section 4.3), and its keys on https, unless the
// issuer is on this very machine.
func parseDiscovery(p []byte, issuer string, loopback bool) (string, error) {
	var document struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(p, &document); err != nil {
		return "", errors.New("the login's discovery document is not one")
	}
	if document.Issuer != issuer {
		return "", fmt.Errorf("the discovery document is of the issuer %.200q, and not of %q: they must agree to the letter, a slash at the end too", document.Issuer, issuer)
	}
	u, err := checkURL(document.JWKSURI)
	if err != nil {
		return "", fmt.Errorf("the jwks_uri of the login's discovery document %w", err)
	}
	if u.Scheme != "https" && !loopback {
		return "", errors.New("the jwks_uri of the login's discovery document is not https")
	}
	return document.JWKSURI, nil
}

// get fetches a document. The transport is called directly, so no redirect is followed.
func get(ctx context.Context, transport http.RoundTripper, url string) ([]byte, http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, errors.New("its address is not a URL")
	}
	request.Header.Set("Accept", "application/json")
	p, response, err := send(transport, request)
	switch {
	case err != nil:
		return nil, nil, err
	case response.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("%s answered with the status %d", request.URL.Host, response.StatusCode)
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
		return nil, nil, fmt.Errorf("the answer of %s broke off: %w", request.URL.Host, err)
	case len(p) > maxDocument:
		return nil, nil, fmt.Errorf("the answer of %s is larger than 256 KiB", request.URL.Host)
	}
	return p, response, nil
}

// freshness is the max-age of an answer (RFC 9111, section 5.2.2.1), within bounds.
func freshness(h http.Header) time.Duration {
	fresh := defaultFresh
	for _, directive := range strings.Split(strings.Join(h["Cache-Control"], ","), ",") {
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
