package cozetoken

import (
	"bytes"
	"crypto"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"coze-token/coze"
	"coze-token/internal/gate"
	"coze-token/internal/message"
	"coze-token/internal/quote"
	"coze-token/internal/setting"
)

// The settings of package coze: the OAuth app, its keys, and what its tokens may be used for.
var (
	clientID = setting.New(setting.Row{
		Name: "CLIENT_ID", App: setting.Own, Others: []setting.Other{{Name: "COZE_JWT_OAUTH_CLIENT_ID"}},
		Required: "set it to the OAuth app's id, as Coze's console shows it",
	}, parseClientID)
	privateKey = setting.New(setting.Row{
		Name: "PRIVATE_KEY", App: setting.Own, Secret: true, HoldsKey: true,
		Others: []setting.Other{
			{Name: "COZE_JWT_OAUTH_PRIVATE_KEY"}, {Name: "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH", File: true},
		},
		Required: "set it to the whole private_key.pem that Coze's console let you download",
	}, parseKey)
	keyID = setting.New(setting.Row{
		Name: "KID", App: setting.Own, Others: []setting.Other{{Name: "COZE_JWT_OAUTH_PUBLIC_KEY_ID"}},
		Required: "set it to the public key's fingerprint, as Coze's console lists it next to the key",
	}, parseKeyID)
	keyID2      = setting.New(setting.Row{Name: "KID_2", App: setting.Own}, parseKeyID)
	privateKey2 = setting.New(spareKeyRow("PRIVATE_KEY_2"), parseKey)
	keyID3      = setting.New(setting.Row{Name: "KID_3", App: setting.Own}, parseKeyID)
	privateKey3 = setting.New(spareKeyRow("PRIVATE_KEY_3"), parseKey)
	bots        = setting.New(setting.Row{Name: "BOTS", App: setting.Own}, parseBots)

	tokenDuration = setting.New(setting.Row{
		Name: "TOKEN_DURATION", App: setting.Shared, Default: "900",
		Min: int64(coze.MinDuration / time.Second), Max: int64(coze.MaxDuration / time.Second),
	}, setting.Seconds)
	// A lifetime of less than a minute would fail with a clock that is slightly wrong.
	assertionLifetime = setting.New(setting.Row{
		Name: "ASSERTION_LIFETIME", App: setting.Shared, Default: "3600", Min: 60, Max: 86400,
	}, setting.Seconds)

	accountID      = setting.New(setting.Row{Name: "ACCOUNT_ID", App: setting.Own}, setting.Word)
	enterpriseID   = setting.New(setting.Row{Name: "ENTERPRISE_ID", App: setting.Own}, setting.Word)
	scope          = setting.New(setting.Row{Name: "SCOPE", App: setting.Own}, parseScope)
	deviceID       = setting.New(setting.Row{Name: "DEVICE_ID", App: setting.Own}, gate.ParseQuotaID)
	customConsumer = setting.New(setting.Row{Name: "CUSTOM_CONSUMER", App: setting.Own}, gate.ParseQuotaID)
	connectorID    = setting.New(setting.Row{Name: "CONNECTOR_ID", App: setting.Own}, setting.Word)
)

func spareKeyRow(name string) setting.Row {
	return setting.Row{Name: name, App: setting.Own, Secret: true, HoldsKey: true}
}

// readOAuthApp returns the OAuth app, and the name of its region.
func readOAuthApp(r *setting.Reader) (app *coze.App, region string) {
	app = &coze.App{
		ClientID:          clientID.Get(r),
		AssertionLifetime: assertionLifetime.Get(r),
		AccountID:         accountID.Get(r),
		EnterpriseID:      enterpriseID.Get(r),
		Scope:             scope.Get(r),
		SessionContext: coze.SessionContext{
			DeviceID:       deviceID.Get(r).Fixed,
			CustomConsumer: customConsumer.Get(r).Fixed,
			ConnectorID:    connectorID.Get(r),
		},
	}
	app.Audience, app.Endpoint, region = readRegion(r)
	exclude(r, accountID, enterpriseID, "and a token is for one or the other")
	if r.IsSet(deviceID) && r.IsSet(customConsumer) {
		r.Warn(deviceID, "%s is set too, and Coze advises to choose one of the two",
			"remove one of the two, unless your quotas need both", r.Variable(customConsumer))
	}
	checkEndpoint(r, app.Endpoint)
	exclude(r, bots, scope, "and the bots would be written into it")
	if only := bots.Get(r); only != nil {
		app.Scope = only
	}
	keys := []struct {
		id  *setting.Var[string]
		key *setting.Var[crypto.Signer]
	}{{keyID, privateKey}, {keyID2, privateKey2}, {keyID3, privateKey3}}
	for i, k := range keys {
		id, key := k.id.Get(r), k.key.Get(r)
		if paired := i == 0 || r.Together(k.id, k.key, "set both, or neither"); paired && key != nil {
			app.Keys = append(app.Keys, coze.Key{ID: id, Signer: key})
		}
	}
	return app, region
}

// exclude reports two settings that exclude each other.
func exclude(r *setting.Reader, a, b setting.Setting, because message.Format) {
	if r.IsSet(a) && r.IsSet(b) {
		r.Fault(a, "%s is set too, %s", "remove one of the two", r.Variable(b), because)
	}
}

// checkEndpoint reports an endpoint into which the id of an organisation or enterprise cannot be
// put.
func checkEndpoint(r *setting.Reader, endpoint string) {
	for _, id := range []setting.Setting{accountID, enterpriseID} {
		switch {
		case !r.IsSet(id) || endpoint == "":
			continue
		case strings.Contains(endpoint, "/account/") || strings.Contains(endpoint, "/enterprise_id/"):
			r.Fault(tokenEndpoint, "holds an account or enterprise id already, and %s is set too",
				"use the ordinary endpoint, which ends in "+coze.TokenPath, r.Call(id))
			return
		case !strings.HasSuffix(endpoint, "/token"):
			r.Fault(tokenEndpoint, "does not end in /token, so the id in %s cannot be put into it",
				"use an endpoint that ends in "+coze.TokenPath, r.Call(id))
			return
		}
	}
}

func parseClientID(v *setting.Value) string {
	id := setting.Word(v)
	if v.OK() && strings.Trim(id, "0123456789") != "" {
		v.Warn("is %s; the ids of OAuth apps seen so far are all digits",
			"compare it with the app's id in Coze's console", quote.Text(id))
	}
	return id
}

// parseKeyID only warns of an unusual kid: Coze does not say how it is computed, so another form
// may come.
func parseKeyID(v *setting.Value) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	id := setting.Word(v)
	if v.OK() && (len(id) != 43 || strings.Trim(id, letters) != "") {
		v.Warn("has %d characters; the fingerprints Coze shows have 43 letters, digits, - and _",
			"copy it again from Coze's console, a leading - or _ included", len(id))
	}
	return id
}

func parseKey(v *setting.Value) crypto.Signer {
	if looksLikePath(v.Text()) {
		v.Fault("holds the name of a file, not a key",
			"put that name into %s_FILE, or the file's content here", v.Row.Name)
		return nil
	}
	key, err := newSigner(v.Text())
	v.Report(err)
	return key
}

// looksLikePath tells /run/secrets/key and private_key.pem from a key. The base64 of a key has no
// dot and is long.
func looksLikePath(text string) bool {
	if len(text) > 300 || strings.ContainsAny(text, "\n\r") || strings.Contains(text, "-----") {
		return false
	}
	lower := strings.ToLower(text)
	return strings.ContainsAny(text[:1], "/.~") || strings.Contains(text, `:\`) ||
		strings.HasSuffix(lower, ".pem") || strings.HasSuffix(lower, ".key")
}

// maxScope bounds a scope, in bytes.
const maxScope = 8 << 10

func parseScope(v *setting.Value) json.RawMessage {
	const remedy = `use a JSON object, such as {"account_permission":{"permission_list":["Connector.botChat"]}}`
	text := []byte(v.Text())
	var object map[string]json.RawMessage
	err := json.Unmarshal(text, &object)
	switch {
	case len(text) > maxScope:
		v.Fault("is %d bytes long, over the limit of %d", remedy, len(text), maxScope)
	case !utf8.Valid(text):
		v.Fault("is not UTF-8", remedy)
	case err != nil:
		v.Fault("%s", remedy, setting.NotJSON(err, text, "a JSON object"))
	case len(object) == 0: // null and {}
		v.Fault("is an empty scope", remedy+", or remove it")
	}
	var compact bytes.Buffer
	_ = json.Compact(&compact, text) // what is not JSON is a fault already
	return compact.Bytes()
}

// parseBots makes the scope that Coze documents for the tokens of a channel app.
func parseBots(v *setting.Value) json.RawMessage {
	var ids []string
	for id := range strings.SplitSeq(v.Text(), ",") {
		ids = append(ids, setting.Word(v.Item(strings.TrimSpace(id))))
		if !v.OK() {
			return nil
		}
	}
	return coze.BotScope(ids...)
}
