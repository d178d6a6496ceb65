package coze

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

type assertionHeader struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
	KeyID     string `json:"kid"`
}

type assertionClaims struct {
	Issuer      string `json:"iss"`
	Audience    string `json:"aud"`
	IssuedAt    int64  `json:"iat"`
	Expires     int64  `json:"exp"`
	ID          string `json:"jti"`
	SessionName string `json:"session_name,omitempty"`
	Context     struct {
		Connector struct {
			ID string `json:"connector_id"`
		} `json:"connector_info,omitzero"`
		Device struct {
			ID       string `json:"device_id,omitempty"`
			Consumer string `json:"custom_consumer,omitempty"`
		} `json:"device_info,omitzero"`
	} `json:"session_context,omitzero"`
}

// sign makes a new assertion for one attempt at an exchange: Coze takes each JWT once.
//
// No JWT library is used. Coze fixes the header and the claims, [crypto.SignMessage] lets a host
// keep the key where Go cannot read it, and a library would bring a choice of algorithms that must
// not exist (RFC 8725 section 3.1).
func sign(request TokenRequest, key Key, now time.Time) (string, error) {
	app, c := request.App, request.App.SessionContext
	c.DeviceID = cmp.Or(request.DeviceID, c.DeviceID)
	c.CustomConsumer = cmp.Or(request.CustomConsumer, c.CustomConsumer)
	lifetime := app.lifetime()
	if lifetime < time.Second {
		return "", fmt.Errorf("an assertion lives a second at least, not %v", lifetime)
	}
	if err := checkClaims(request, key, c); err != nil {
		return "", err
	}
	if n, _ := numbers(key.public()); n == nil {
		return "", fmt.Errorf("key %s has no RSA key: "+
			"give it the private key that ParseKey returned, or another signer that has one", key.ID)
	}
	id := make([]byte, 32) // Coze advises more than 32 bytes; encoded, these are 43
	rand.Read(id)
	claims := assertionClaims{
		Issuer:      app.ClientID,
		Audience:    app.Audience,
		IssuedAt:    now.Unix(),
		Expires:     now.Add(lifetime).Unix(),
		ID:          base64.RawURLEncoding.EncodeToString(id),
		SessionName: request.Session,
	}
	claims.Context.Device.ID, claims.Context.Device.Consumer = c.DeviceID, c.CustomConsumer
	claims.Context.Connector.ID = c.ConnectorID
	message, err := encode(nil, assertionHeader{"RS256", "JWT", key.ID})
	if err == nil {
		message, err = encode(append(message, '.'), claims)
	}
	if err != nil {
		return "", err
	}
	signature, err := crypto.SignMessage(key.Signer, rand.Reader, message, crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("signing with key %s: %w", key.ID, err)
	}
	return string(base64.RawURLEncoding.AppendEncode(append(message, '.'), signature)), nil
}

// encode appends a part of a JWT.
func encode(to []byte, part any) ([]byte, error) {
	text, err := json.Marshal(part)
	return base64.RawURLEncoding.AppendEncode(to, text), err
}

// checkClaims refuses what JSON would change. encoding/json replaces each byte that is not UTF-8 by
// U+FFFD: two users would become one.
func checkClaims(request TokenRequest, key Key, c SessionContext) error {
	if request.Session != "" {
		if err := CheckSession(request.Session); err != nil {
			return fmt.Errorf("the session cannot be sent: %w; "+
				"name it with 1 to %d bytes of UTF-8 without control characters", err, MaxSession)
		}
	}
	app := request.App
	for _, text := range []string{key.ID, app.ClientID, app.Audience, c.DeviceID, c.CustomConsumer, c.ConnectorID} {
		if !utf8.ValidString(text) {
			return errors.New("an id of the app is not UTF-8; copy it again from Coze's console")
		}
	}
	return nil
}
