package coze

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// A Region is one of Coze's two installations. Apps, keys and tokens belong to one of them and mean
// nothing to the other.
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

// DefaultAssertionLifetime is what Coze's JavaScript and Python SDKs use. Coze states no maximum.
const DefaultAssertionLifetime = time.Hour

// An App is one OAuth app of type "JWT", as registered in Coze's console. It must not be changed
// once it is in use.
type App struct {
	// ClientID is the app's id, the assertion's iss. Coze's samples are all digits.
	ClientID string
	// Keys are the app's key pairs, at least one. If Coze does not know a key, the next one is
	// tried, so a key can be replaced without a pause.
	Keys []Key
	// Audience is the bare host of Coze's API, the assertion's aud: no scheme, no port. It stays the
	// same behind a proxy or a private link.
	Audience string
	// Endpoint is the URL of the token endpoint for ordinary apps.
	Endpoint string
	// AccountID makes tokens for another organisation's account: its organisation id, or the uid of
	// the workspace's owner. Optional; excludes EnterpriseID.
	AccountID string
	// EnterpriseID makes tokens for an enterprise, with an app that has that privilege. Optional;
	// excludes AccountID.
	EnterpriseID string
	// Scope limits what the tokens may do, as a JSON object that is sent unchanged. Coze knows it
	// for channel (渠道) apps; ordinary ones are reported to get a 400. Optional. See [BotScope].
	Scope json.RawMessage
	// SessionContext names the device, consumer or channel that a token is for. Optional.
	SessionContext SessionContext
	// AssertionLifetime is how long an assertion may be used, a second at least. Optional:
	// DefaultAssertionLifetime.
	AssertionLifetime time.Duration
}

// A SessionContext is the assertion's session_context claim. The zero value sends none.
type SessionContext struct {
	// DeviceID and CustomConsumer attribute quota and billing to a device or a business entity
	// (enterprise edition). Coze asks for one of the two, not both.
	DeviceID       string
	CustomConsumer string
	// ConnectorID limits the token to a channel: "2001" is the Web SDK.
	ConnectorID string
}

// TokenURL is where the app's assertions are exchanged: the endpoint, or the one that Coze derives
// from it for an account or enterprise.
func (a *App) TokenURL() (string, error) {
	if a.AccountID == "" && a.EnterpriseID == "" {
		return a.Endpoint, nil
	}
	base, ok := strings.CutSuffix(a.Endpoint, "/token")
	switch {
	case a.AccountID != "" && a.EnterpriseID != "":
		return "", errors.New("an app has an account id or an enterprise id, not both")
	case strings.Trim(a.AccountID+a.EnterpriseID, ".") == "": // dots would walk up the path
		return "", errors.New("an account or enterprise id is not made of dots")
	case !ok:
		return "", fmt.Errorf("the endpoint must end in /token for an account or enterprise id to be put into it: %s",
			a.Endpoint)
	case a.AccountID != "":
		return base + "/account/" + url.PathEscape(a.AccountID) + "/token", nil
	}
	return base + "/enterprise_id/" + url.PathEscape(a.EnterpriseID) + "/token", nil
}

func (a *App) lifetime() time.Duration { return cmp.Or(a.AssertionLifetime, DefaultAssertionLifetime) }

// BotScope is the scope of tokens that may talk to these bots and do nothing else, in the shape
// that Coze's JavaScript SDK knows. It takes effect for channel (渠道) apps only.
func BotScope(bots ...string) json.RawMessage {
	type object = map[string]any
	scope, _ := json.Marshal(object{ // it is all text, so there is no error
		"account_permission": object{"permission_list": []string{"Connector.botChat"}},
		"attribute_constraint": object{
			"connector_bot_chat_attribute": object{"bot_id_list": bots},
		},
	})
	return scope
}

// A TokenRequest is what a token is asked for.
type TokenRequest struct {
	App *App
	// Session is the end user, the assertion's session_name. It must pass [CheckSession]. If it is
	// empty, none is named: the token sees the conversations of all such tokens of the app.
	Session string
	// DeviceID and CustomConsumer stand in the assertion's session_context in place of the app's own.
	// They are text as Session is. If one is empty, the app's own is sent.
	DeviceID       string
	CustomConsumer string
	// Duration is how long the token should live, in whole seconds from MinDuration to MaxDuration.
	// Zero means DefaultDuration.
	Duration time.Duration
}

// A Token is an access token as Coze issued it. This flow has no refresh tokens: ask again.
type Token struct {
	AccessToken string
	// Expiry is the moment Coze gave, to the second.
	Expiry time.Time
	// Type is "Bearer", whether or not Coze said so.
	Type string
}

// A Source gets tokens. It must be safe for concurrent use and return when ctx ends. Its errors are
// or wrap an [*Error].
type Source interface {
	Token(ctx context.Context, request TokenRequest) (Token, error)
}
