package auth_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"coze-token/internal/auth"
	"coze-token/internal/setting"
)

func TestProxyUser(t *testing.T) {
	alone := auth.New(auth.Config{UserHeader: "X-Forwarded-User"}, auth.Options{})
	keys := auth.New(auth.Config{UserHeader: "X-Forwarded-User", Keys: keys(t, "shop="+keyA)}, auth.Options{})
	visitors := auth.New(auth.Config{
		UserHeader: "X-Forwarded-User", VisitorSecrets: []setting.Secret{setting.NewSecret(secretA)},
	}, auth.Options{})
	user := func(values ...string) http.Header { return http.Header{"X-Forwarded-User": values} }
	both := bearer(keyA)
	both["X-Forwarded-User"] = []string{"alice"}
	for _, c := range []struct {
		name    string
		a       *auth.Authenticator
		h       http.Header
		proxy   bool
		status  int // 0: let in
		reason  auth.Reason
		session string
	}{
		{"a user", alone, user("alice"), true, 0, "", "alice"},
		{"a user of any name", alone, user("小明@example.com"), true, 0, "", "小明@example.com"},
		{"not through the proxy", alone, user("alice"), false, 403, auth.NotEntitled, ""},
		{"not through the proxy, twice", alone, user("alice", "bob"), false, 403, auth.NotEntitled, ""},
		{"twice", alone, user("alice", "bob"), true, 400, auth.Ambiguous, ""},
		{"nobody", alone, user(""), true, 403, auth.NoSessionClaim, ""},
		{"a control character", alone, user("a\tb"), true, 403, auth.NoSessionClaim, ""},
		{"no header", alone, nil, true, 403, auth.NoCredential, ""},
		{"no header, beside keys", keys, nil, true, 401, auth.NoCredential, ""},
		{"a key, which goes first", keys, both, true, 0, "", ""},
		{"a key from elsewhere", keys, both, false, 0, "", ""},
		{"a visitor's name", visitors, user("visitor:x"), true, 403, auth.ReservedSession, ""},
		{"a forged header beside visitors", visitors, user("alice"), false, 403, auth.NotEntitled, ""},
	} {
		who, err := c.a.Authenticate(t.Context(), c.a.Credentials(c.h, auth.Trust{Proxy: c.proxy}))
		if c.status != 0 {
			wantRefusal(t, asError(err), c.status, c.reason)
		} else if err != nil || who.Session != c.session {
			t.Errorf("%s: %v, session %q, %v", c.name, who, who.Session, err)
		}
	}
}

// Users of a login and of a proxy never share a session, and nobody without either names one.
func TestProxyUsersBesideALogin(t *testing.T) {
	p := newProvider(public("k", edKey))
	config := auth.Config{UserHeader: "X-Forwarded-User", Open: true}
	config.Logins = append(config.Logins, p.login(t).LoginOptions)
	a := auth.New(config, auth.Options{KeySets: &auth.KeySets{Transport: p}})
	h := http.Header{"X-Forwarded-User": {"alice"}}
	one, err := a.Authenticate(t.Context(), a.Credentials(h, auth.Trust{Proxy: true}))
	if err != nil {
		t.Fatal(err)
	}
	token := sign(t, jose.EdDSA, edKey, "k", claims(nil), nil)
	two, err := a.Authenticate(t.Context(), a.Credentials(bearer(token), auth.Trust{Proxy: true}))
	if err != nil || one.Session == two.Session || one.Session != "proxy|alice" {
		t.Errorf("%q and %q, %v", one.Session, two.Session, err)
	}
	open, _ := a.Authenticate(t.Context(), a.Credentials(nil, auth.Trust{Proxy: true}))
	if open.MayNameUsers {
		t.Error("anybody can name a user of the proxy")
	}
}

func TestUserHeaderFaults(t *testing.T) {
	for text, want := range map[string]string{
		"X Forwarded":   "is not the name of a header",
		"Authorization": "has another meaning",
		"cookie":        "has another meaning",
		"x-user-id":     "has another meaning",
	} {
		r := auth.Settings.Open(map[string]string{"USER_HEADER": text}, setting.Options{})
		r.Parse()
		_, err := r.Close()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
