package coze

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// The assertion is the one JWT this project makes. Its header and claims are fixed by Coze, and signing goes through
// [crypto.SignMessage] so that a host may keep the key where Go cannot read it; a JWT library has neither in common
// with it, and would bring a choice of algorithms that must not exist (RFC 8725 section 3.1).

type assertionHeader struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
	KeyID     string `json:"kid"`
}

type assertionClaims struct {
	Issuer         string          `json:"iss"`
	Audience       string          `json:"aud"`
	IssuedAt       int64           `json:"iat"`
	Expires        int64           `json:"exp"`
	ID             string          `json:"jti"`
	SessionName    string          `json:"session_name,omitempty"`
	SessionContext *sessionContext `json:"session_context,omitempty"`
}

type sessionContext struct {
	DeviceInfo    *deviceInfo    `json:"device_info,omitempty"`
	ConnectorInfo *connectorInfo `json:"connector_info,omitempty"`
}

type deviceInfo struct {
	DeviceID       string `json:"device_id,omitempty"`
	CustomConsumer string `json:"custom_consumer,omitempty"`
}

type connectorInfo struct {
	ConnectorID string `json:"connector_id"`
}

func (c SessionContext) claim() *sessionContext {
	var claim sessionContext
	if c.DeviceID != "" || c.CustomConsumer != "" {
		claim.DeviceInfo = &deviceInfo{c.DeviceID, c.CustomConsumer}
	}
	if c.ConnectorID != "" {
		claim.ConnectorInfo = &connectorInfo{c.ConnectorID}
	}
	if claim == (sessionContext{}) {
		return nil
	}
	return &claim
}

// sign makes a new assertion for one attempt at an exchange: Coze takes each JWT once.
func sign(app *App, key Key, session string, now time.Time) (string, error) {
	lifetime := app.AssertionLifetime
	if lifetime == 0 {
		lifetime = DefaultAssertionLifetime
	}
	if lifetime < time.Second {
		return "", fmt.Errorf("an assertion lives a second at least, not %v", lifetime)
	}
	if err := checkClaims(app, key, session); err != nil {
		return "", err
	}
	if _, ok := key.public().(*rsa.PublicKey); !ok {
		return "", fmt.Errorf("key %s has no RSA key: give it the private key that ParseKey returned, or another signer that has one", key.ID)
	}
	id := make([]byte, 32) // "more than 32 bytes advised"; 43 characters once encoded
	rand.Read(id)
	header, err := json.Marshal(assertionHeader{"RS256", "JWT", key.ID})
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(assertionClaims{
		Issuer:         app.ClientID,
		Audience:       app.Audience,
		IssuedAt:       now.Unix(),
		Expires:        now.Add(lifetime).Unix(),
		ID:             base64.RawURLEncoding.EncodeToString(id),
		SessionName:    session,
		SessionContext: app.SessionContext.claim(),
	})
	if err != nil {
		return "", err
	}
	b := base64.RawURLEncoding.AppendEncode(nil, header)
	b = append(b, '.')
	b = base64.RawURLEncoding.AppendEncode(b, claims)
	signature, err := crypto.SignMessage(key.Signer, rand.Reader, b, crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("signing with key %s: %w", key.ID, err)
	}
	b = append(b, '.')
	return string(base64.RawURLEncoding.AppendEncode(b, signature)), nil
}

// checkClaims refuses what JSON would change: it has no bytes that are not UTF-8, and encoding/json makes U+FFFD of each.
// Two users would become one.
func checkClaims(app *App, key Key, session string) error {
	if session != "" {
		if err := CheckSession(session); err != nil {
			return fmt.Errorf("the session cannot be sent: %w; name it with 1 to %d bytes of UTF-8 without control characters", err, MaxSession)
		}
	}
	context := app.SessionContext
	for _, text := range []string{key.ID, app.ClientID, app.Audience, context.DeviceID, context.CustomConsumer, context.ConnectorID} {
		if !utf8.ValidString(text) {
			return errors.New("an id of the app is not UTF-8; copy it again from Coze's console")
		}
	}
	return nil
}
