package config

import (
	"bytes"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"coze-token/coze"
	"coze-token/internal/quote"
)

func readClientID(d *draft, v value) {
	id := d.word(v)
	d.app.ClientID = id
	if id != "" && strings.ContainsFunc(id, func(r rune) bool { return r < '0' || r > '9' }) {
		d.warn(v.name, "is "+quote.Text(id)+"; the ids of OAuth apps seen so far are all digits", "compare it with the app's id in Coze's console")
	}
}

// readKeyID only warns of an unusual kid: Coze does not say how it is computed, so another form may come.
func readKeyID(d *draft, v value) { d.keyID = d.keyIDOf(v) }

func (d *draft) keyIDOf(v value) string {
	id := d.word(v)
	if id == "" {
		return id
	}
	strange := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
	}
	if len(id) != 43 || strings.ContainsFunc(id, strange) {
		d.warn(v.name, fmt.Sprintf("has %d characters; the fingerprints Coze shows have 43 letters, digits, - and _", len(id)),
			"copy it again from Coze's console, a leading - or _ included")
	}
	return id
}

func readPrivateKey(d *draft, v value) { d.key = d.keyOf("PRIVATE_KEY", v) }

// keyOf reads the private key of a setting. It returns nil after a fault.
func (d *draft) keyOf(setting string, v value) *rsa.PrivateKey {
	text := v.text.Reveal()
	if looksLikePath(text) {
		d.fault(v.name, "holds the name of a file, not a key", "put that name into "+setting+"_FILE, or the file's content here")
		return nil
	}
	key, err := coze.ParseKey(text)
	if err == nil {
		return key
	}
	problem, ok := errors.AsType[*coze.KeyError](err)
	if !ok {
		problem = &coze.KeyError{Problem: "this is not a usable private key", Remedy: "use the private_key.pem that Coze's console let you download"}
	}
	d.fault(v.name, problem.Problem, problem.Remedy)
	return nil
}

// looksLikePath tells /run/secrets/key and private_key.pem from a key, whose base64 never has a dot and is long.
func looksLikePath(text string) bool {
	if len(text) > 300 || strings.ContainsAny(text, "\n\r") || strings.Contains(text, "-----") {
		return false
	}
	return strings.HasPrefix(text, "/") || strings.HasPrefix(text, ".") || strings.HasPrefix(text, "~") ||
		strings.Contains(text, `:\`) || strings.HasSuffix(strings.ToLower(text), ".pem") || strings.HasSuffix(strings.ToLower(text), ".key")
}

func readDuration(d *draft, v value) {
	d.settings.Duration = d.seconds(v, coze.MinDuration, coze.MaxDuration)
}

func readAssertionLifetime(d *draft, v value) {
	d.app.AssertionLifetime = d.seconds(v, minAssertionLifetime, maxAssertionLifetime)
}

func readTimeout(d *draft, v value) { d.settings.Timeout = d.seconds(v, time.Second, maxTimeout) }

func readDefaultSession(d *draft, v value) {
	d.settings.DefaultSession = d.text(v)
	if d.settings.DefaultSession != "" {
		d.warn(v.name, "all callers without X-User-ID share one conversation space", "send X-User-ID for each end user, and remove this once all do")
	}
}

func readScope(d *draft, v value) {
	text := v.text.Reveal()
	const remedy = `use a JSON object, such as {"account_permission":{"permission_list":["Connector.botChat"]}}`
	var object map[string]json.RawMessage
	err := json.Unmarshal([]byte(text), &object)
	switch {
	case len(text) > maxScope:
		d.fault(v.name, fmt.Sprintf("is %d bytes long, over the limit of %d", len(text), maxScope), remedy)
	case !utf8.ValidString(text):
		d.fault(v.name, "is not UTF-8", remedy)
	case err != nil:
		d.fault(v.name, notJSON(err, []byte(text), "a JSON object"), remedy)
	case len(object) == 0: // null and {}
		d.fault(v.name, "is an empty scope", remedy+", or remove it")
	default:
		var compact bytes.Buffer
		_ = json.Compact(&compact, []byte(text)) // valid, as seen above
		d.app.Scope = compact.Bytes()
	}
}

// settleApp checks what is between the app's settings, and completes the app.
func (d *draft) settleApp() {
	if d.isSet("ACCOUNT_ID") && d.isSet("ENTERPRISE_ID") {
		d.fault("ACCOUNT_ID", "ENTERPRISE_ID is set too, and a token is for one or the other", "remove one of the two")
	}
	if d.isSet("DEVICE_ID") && d.isSet("CUSTOM_CONSUMER") {
		d.fault("DEVICE_ID", "CUSTOM_CONSUMER is set too, and Coze takes one of them", "remove one of the two")
	}
	for _, name := range []string{"ACCOUNT_ID", "ENTERPRISE_ID"} {
		if !d.isSet(name) || d.app.Endpoint == "" {
			continue
		}
		switch {
		case strings.Contains(d.app.Endpoint, "/account/") || strings.Contains(d.app.Endpoint, "/enterprise_id/"):
			d.fault(d.from["TOKEN_ENDPOINT"], "holds an account or enterprise id already, and "+d.call(name)+" is set too",
				"use the ordinary endpoint, which ends in "+coze.TokenPath)
		case !strings.HasSuffix(d.app.Endpoint, "/token"):
			d.fault(d.from["TOKEN_ENDPOINT"], "does not end in /token, so the id in "+d.call(name)+" cannot be put into it",
				"use an endpoint that ends in "+coze.TokenPath)
		default:
			continue
		}
		break
	}
	if d.isSet("BOTS") && d.isSet("SCOPE") {
		d.fault("BOTS", "SCOPE is set too, and the bots would be written into it", "remove one of the two")
	}
	if d.key != nil {
		d.app.Keys = []coze.Key{{ID: d.keyID, Signer: d.key}}
	}
	for i, spare := range d.spare {
		id, key := "KID_"+string(rune('2'+i)), "PRIVATE_KEY_"+string(rune('2'+i))
		if d.together(id, key, "set both, or neither") && spare.key != nil {
			d.app.Keys = append(d.app.Keys, coze.Key{ID: spare.id, Signer: spare.key})
		}
	}
	d.settings.App = &d.app
}
