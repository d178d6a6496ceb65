package auth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"coze-token/internal/auth"
)

// Nothing secret is in what anything here prints as (security checks 26 and 27).
func TestNothingSecretIsPrinted(t *testing.T) {
	p := newProvider(public("k", edKey))
	k := keys(t, "shop="+keyA)
	plain := &visitorOptions{Secrets: []string{secretA}}
	guarded := authenticator(t, options{Visitors: &visitorOptions{Secrets: []string{secretA}, Turnstile: &widget{}}})
	methods := guarded.Methods()
	a := authenticator(t, options{Keys: k, Logins: []*login{p.login(t)}, Visitors: plain})
	byTicket, byCookie := newcomer(t, a, wantsTicket), newcomer(t, a, nil)
	token := sign(t, jose.EdDSA, edKey, "k", claims(nil), nil)
	user, e := authenticate(a, bearer(token))
	if e != nil {
		t.Fatal(e)
	}
	secrets := map[string]string{
		"the API key": keyA, "its hash": strings.TrimPrefix(auth.HashKey(keyA), "sha256:"), "the visitors' secret": secretA,
		"Turnstile's": turnstileSecret,
		"a ticket":    byTicket.Ticket, "a cookie": byCookie.Cookie.Value, "a visitor": byTicket.Session, "a user": "alice",
		"a token": token,
	}
	for _, value := range []any{k, *k, methods, methods[0], guarded, a, byTicket, &byCookie, user,
		[]auth.Caller{byTicket, user},
		struct{ Keys *auth.Keys }{k}, struct{ m auth.Method }{methods[0]}, map[string]any{"x": methods[0]}} {
		var b bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&b, verb+"\n", value)
		}
		if text, err := json.Marshal(value); err == nil {
			b.Write(text)
		}
		slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "value", value)
		slog.New(slog.NewTextHandler(&b, nil)).Info("x", "value", value)
		for name, secret := range secrets {
			if strings.Contains(b.String(), secret) || strings.Contains(b.String(), fmt.Sprintf("%x", secret)) {
				t.Errorf("%T prints %s: %s", value, name, b.String())
			}
		}
	}
}
