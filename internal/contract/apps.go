package contract

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"coze-token/coze"
	"coze-token/sandbox"
)

const shopKid, shopKid2 = "shop-key-1-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "shop-key-2-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// registerShop is an app of its own at Coze, with two keys, and its members of APPS.
func (h *fixture) registerShop(t *testing.T) map[string]any {
	t.Helper()
	first, second := forgersKey(), rsaKey()
	r, err := h.Register(sandbox.Registration{Keys: []coze.Key{{ID: shopKid, Signer: first},
		{ID: shopKid2, Signer: second}}})
	if err != nil {
		t.Fatal(err)
	}
	text := func(key any) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))}))
	}
	return map[string]any{
		"client_id": r.ClientID, "kid": shopKid, "private_key": text(first), "kid_2": shopKid2, "private_key_2": text(second),
		"token_duration": 600, "api_keys": "apart=" + h.apart + ", shopper=" + h.shopper + " apps=shop",
	}
}

// testApps shows that apps are apart, and that a key is replaced without an interruption.
func (h *fixture) testApps(t *testing.T) {
	ask := func(path, key string) answer { return h.do(t, "POST", path, nil, bearer(key)...) }
	shop := h.issued(t, ask("/shop", h.apart).token(t).AccessToken)
	other := h.issued(t, ask("/keys", h.backend).token(t).AccessToken)
	if shop.ClientID == other.ClientID || shop.KeyID != shopKid || shop.Duration != 600*time.Second ||
		other.Duration != 900*time.Second {
		t.Errorf("the shop's token is %+v, the other's %+v", shop, other)
	}
	h.holds(t, "a key limited to the shop", "shop", ask("/shop", h.shopper),
		outcome{status: 200, mode: "key", caller: "shopper"})
	h.holds(t, "another app's key", "shop", ask("/shop", h.backend),
		outcome{status: 401, code: "unauthenticated", reason: "unknown_api_key"})
	h.holds(t, "a life longer than the app's", "shop", h.do(t, "POST", "/shop?min_ttl=601", nil, bearer(h.apart)...),
		outcome{status: 400, code: "invalid_min_ttl", mode: "key", caller: "apart"})

	for _, path := range []string{"/nobody", "/Shop", "/shop/", "/shop/x", "//shop", "/%73hop", "/%73hop%2F"} {
		ask(path, h.apart).failure(t, http.StatusNotFound, "not_found")
	}
	a := h.do(t, "GET", "/shop", nil)
	a.failure(t, http.StatusMethodNotAllowed, "method_not_allowed")
	if a.Header.Get("Allow") != "POST" {
		t.Errorf("Allow is %q", a.Header.Get("Allow"))
	}

	user := func(name string) []string { return append(bearer(h.apart), "X-User-ID", keepSecret("a user", name)) }
	keyOf := func(name string) string {
		return h.issued(t, h.do(t, "POST", "/shop", nil, user(name)...).token(t).AccessToken).KeyID
	}
	if !h.RemoveKey(shopKid) {
		t.Fatal("there was no key to remove")
	}
	if got := keyOf("after-the-first-key"); got != shopKid2 {
		t.Errorf("the first key is gone, and the token was signed for with %s", got)
	}
	if err := h.AddKey(shop.ClientID, coze.Key{ID: shopKid, Signer: forgersKey()}); err != nil {
		t.Fatal(err)
	}
	h.RemoveKey(shopKid2)
	if got := keyOf("after-the-second-key"); got != shopKid {
		t.Errorf("the second key is gone, and the token was signed for with %s", got)
	}
}

// testNames shows what of a user's name Coze gets to see.
func (h *fixture) testNames(t *testing.T) {
	of := func(app, user string) string {
		t.Helper()
		if user == "" {
			return h.session(t, "/"+app)
		}
		return h.session(t, "/"+app, "X-User-ID", keepSecret("a user", user))
	}
	const erin, frank = "erin@shop.example", "frank@shop.example"
	hash := of("hashed", erin)
	if hash == "" || strings.Contains(hash, "erin") || len(hash) != 43 {
		t.Errorf("the session is %q", hash)
	}
	if of("hashed", erin) != hash || of("hashed", frank) == hash || of("hashed-2", erin) == hash {
		t.Error("a hash is the same for one user and one secret, and different for others")
	}
	if of("hashed", "") != "" {
		t.Error("nobody has a name")
	}
	if got := of("prefixed", erin); got != "shop-"+erin {
		t.Errorf("the session is %q", got)
	}
	if got := of("prefixed", strings.Repeat("x", 251)); len(got) != 256 {
		t.Errorf("the session has %d bytes", len(got))
	}
	for app, user := range map[string]string{"prefixed": strings.Repeat("x", 252), "required": ""} {
		var headers []string
		if user != "" {
			headers = []string{"X-User-ID", user}
		}
		a := h.do(t, "POST", "/"+app, nil, headers...)
		h.holds(t, "a session that "+app+" refuses", app, a,
			outcome{status: 400, code: "invalid_session", mode: "open", caller: "open"})
	}
	if got := of("required", erin); got != erin {
		t.Errorf("the session is %q", got)
	}
}
