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
	ts, _ := auth.NewTurnstile(auth.TurnstileOptions{Secret: turnstileSecret, Transport: &widget{}})
	v, _ := auth.NewVisitors(auth.VisitorOptions{Secrets: []string{secretA}, Turnstile: ts})
	plain, _ := auth.NewVisitors(auth.VisitorOptions{Secrets: []string{secretA}})
	l := p.login(t)
	a := authenticator(t, auth.Options{Keys: k, Logins: []*auth.Login{l}, Visitors: plain})
	byTicket, byCookie := newcomer(t, a, wantsTicket), newcomer(t, a, nil)
	token := sign(t, jose.EdDSA, edKey, "k", claims(nil), nil)
	user, e := authenticate(a, bearer(token))
	if e != nil {
		t.Fatal(e)
	}
	spec := auth.KeySpec{Name: "shop", Key: keyA}
	secrets := map[string]string{
		"the API key": keyA, "its hash": strings.TrimPrefix(auth.HashKey(keyA), "sha256:"), "the visitors' secret": secretA, "Turnstile's": turnstileSecret,
		"a ticket": byTicket.Ticket, "a cookie": byCookie.Cookie.Value, "a visitor": byTicket.Session, "a user": "alice", "a token": token,
	}
	for _, value := range []any{k, *k, spec, &spec, []auth.KeySpec{spec}, ts, *ts, v, *v, l, a, byTicket, &byCookie, user, []auth.Caller{byTicket, user},
		struct{ Keys *auth.Keys }{k}, struct{ v *auth.Visitors }{v}, map[string]any{"x": ts}} {
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
