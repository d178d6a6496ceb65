package coze

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// A Region is one of Coze's two installations. Apps, keys and tokens belong to one of them and mean nothing to the other.
type Region struct {
	Name     string // as it is written in settings: "cn" or "com"
	Audience string // the assertion's aud: the bare API host
	Endpoint string // the URL of the token endpoint
}

// The regions, as documented by Coze.
var (
	China  = Region{"cn", "api.coze.cn", "https://api.coze.cn" + TokenPath}
	Global = Region{"com", "api.coze.com", "https://api.coze.com" + TokenPath}
)

// TokenPath is the path of the token endpoint for ordinary apps, the same in both regions.
const TokenPath = "/api/permission/oauth2/token"

// Bounds of a token's duration. Coze documents the default and the maximum, and no minimum.
const (
	DefaultDuration = 900 * time.Second
	MinDuration     = time.Second
	MaxDuration     = 86399 * time.Second
)

// DefaultAssertionLifetime is what Coze's own JavaScript and Python SDKs use. Coze states no maximum.
const DefaultAssertionLifetime = time.Hour

// An App is one OAuth app of type "JWT", as registered in Coze's console. It must not be changed once it is in use.
type App struct {
	// ClientID is the app's id, the assertion's iss. Digits in every sample, but always a string.
	ClientID string
	// Keys are the app's key pairs, in the order of preference. The next one is tried when Coze does not know the
	// one before, so a key can be replaced without an interval in which no token is to be had. At least one.
	Keys []Key
	// Audience is the bare host of Coze's API, the assertion's aud: no scheme, no port. It stays the same when a
	// proxy or a private link stands in front of the API.
	Audience string
	// Endpoint is the URL of the token endpoint for ordinary apps.
	Endpoint string
	// AccountID makes tokens for another organisation's account: its organisation id, or the uid of the workspace's
	// owner. Optional; excludes EnterpriseID.
	AccountID string
	// EnterpriseID makes tokens for an enterprise, with an app that was given that privilege. Optional; excludes AccountID.
	EnterpriseID string
	// Scope narrows what the tokens may do, as a JSON object that is sent as it is. Coze heeds it for channel (渠道)
	// apps only, and others have reported a 400 from ordinary ones. Optional.
	Scope json.RawMessage
	// SessionContext names the device, consumer or channel that a token is for. Optional.
	SessionContext SessionContext
	// AssertionLifetime is how long an assertion may be used, a second at least. Optional: DefaultAssertionLifetime.
	AssertionLifetime time.Duration
}

// A SessionContext is the assertion's session_context claim. The zero value sends none.
type SessionContext struct {
	// DeviceID and CustomConsumer attribute quota and billing to a device or a business entity (enterprise edition).
	// Coze asks for one of the two, not both.
	DeviceID       string
	CustomConsumer string
	// ConnectorID limits the token to a channel: "2001" is the Web SDK.
	ConnectorID string
}

// TokenURL is where the app's assertions are exchanged: the endpoint itself, or the one for its account or
// enterprise, which Coze derives by putting a segment before the final "token".
func (a *App) TokenURL() (string, error) {
	if a.AccountID == "" && a.EnterpriseID == "" {
		return a.Endpoint, nil
	}
	base, ok := strings.CutSuffix(a.Endpoint, "/token")
	switch {
	case a.AccountID != "" && a.EnterpriseID != "":
		return "", errors.New("an app has an account id or an enterprise id, not both")
	case strings.Trim(a.AccountID+a.EnterpriseID, ".") == "": // these would survive escaping and walk up the path
		return "", errors.New("an account or enterprise id is not made of dots")
	case !ok:
		return "", fmt.Errorf("the endpoint must end in /token for an account or enterprise id to be put into it: %s", a.Endpoint)
	case a.AccountID != "":
		return base + "/account/" + url.PathEscape(a.AccountID) + "/token", nil
	default:
		return base + "/enterprise_id/" + url.PathEscape(a.EnterpriseID) + "/token", nil
	}
}

// A TokenRequest is what a token is asked for.
type TokenRequest struct {
	App *App
	// Session is the end user, the assertion's session_name, which has to pass [CheckSession]. Empty means that no session
	// is named: the token then sees the conversations of every such token of the app.
	Session string
	// Duration is how long the token should live, in whole seconds from MinDuration to MaxDuration. Zero means DefaultDuration.
	Duration time.Duration
}

// A Token is an access token as Coze issued it. There is no refresh token in this flow: ask again.
type Token struct {
	AccessToken string
	// Expiry is the moment Coze gave, to the second.
	Expiry time.Time
	// Type is "Bearer", whether or not Coze said so.
	Type string
}

// A Source turns grants into tokens. It must be safe for concurrent use. Its errors are, or wrap, an [*Error].
type Source interface {
	Token(ctx context.Context, grant TokenRequest) (Token, error)
}
