//go:build unix

package cozetoken_test

import (
	"crypto/rsa"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"weak"

	cozetoken "coze-token"
	"coze-token/internal/redis"
	"coze-token/internal/redistest"
	"coze-token/sandbox"
)

// startSandbox starts a sandbox and returns the settings of its app.
func startSandbox(t *testing.T) (*sandbox.Sandbox, map[string]string) {
	t.Helper()
	sb, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sb)
	t.Cleanup(server.Close)
	env := sb.Settings(server.URL)
	env["RATE_LIMIT"] = "off"
	return sb, env
}

func start(t *testing.T, env map[string]string, o cozetoken.Options) *cozetoken.Service {
	t.Helper()
	o.Transport = http.DefaultTransport
	v, err := cozetoken.New(env, o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// ask is a request for a session's token, which must succeed.
func ask(t *testing.T, v *cozetoken.Service, session string) (body string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/", nil)
	r.Header.Set("X-User-ID", session)
	w := httptest.NewRecorder()
	v.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// Two replicas share their tokens through a store, a real one.
func TestReplicasShare(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	sb, env := startSandbox(t)
	var replicas []*cozetoken.Service
	for range 2 {
		store, err := redis.Open(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		replicas = append(replicas, start(t, env, cozetoken.Options{Store: store}))
	}
	// On a busy machine the store may be too slow for a replica now and then, which exchanges for
	// itself.
	for i := range 20 {
		before := sb.Exchanges()
		for _, v := range replicas {
			ask(t, v, fmt.Sprint("session-", i))
		}
		if sb.Exchanges()-before == 1 {
			return
		}
	}
	t.Error("what one replica had exchanged, the other exchanged again, for each of 20 sessions")
}

// Settings that are read again keep the tokens, and nothing keeps the private keys of before.
func TestReload(t *testing.T) {
	sb, env := startSandbox(t)
	var keys []weak.Pointer[rsa.PrivateKey]
	read := func() *cozetoken.Settings {
		s, _, err := cozetoken.Read(env, cozetoken.Options{})
		if err != nil {
			t.Fatal(err)
		}
		app, _ := s.App("")
		keys = append(keys, weak.Make(app.OAuth.Keys[0].Signer.(*rsa.PrivateKey)))
		return s
	}
	v := cozetoken.Build(read(), cozetoken.Options{Transport: http.DefaultTransport})
	for range 1100 {
		ask(t, v, "session-a")
		if err := v.Use(read()); err != nil {
			t.Fatal(err)
		}
	}
	ask(t, v, "session-a")
	if n := sb.Exchanges(); n != 1 {
		t.Errorf("%d exchanges for one session", n)
	}
	runtime.GC()
	for i, key := range keys {
		if now := i == len(keys)-1; (key.Value() != nil) != now {
			t.Fatalf("private key %d of %d: in memory %t", i, len(keys), !now)
		}
	}
	runtime.KeepAlive(v)
}

// A reload by an environment that is wrong changes nothing, and says what is wrong.
func TestReloadOfWrongSettings(t *testing.T) {
	sb, env := startSandbox(t)
	v := start(t, env, cozetoken.Options{})
	ask(t, v, "session-a")
	for name, want := range map[string]string{"KID": "KID: is not set", "TOKEN_DURATION": "TOKEN_DURATION: is 0, below"} {
		wrong := maps.Clone(env)
		wrong[name] = map[string]string{"TOKEN_DURATION": "0"}[name]
		if err := v.Reload(wrong); err == nil || !strings.Contains(err.Error(),
			strings.Replace(want, "is not set", "is empty", 1)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ask(t, v, "session-a")
	env["DEFAULT_SESSION"] = "everybody"
	if err := v.Reload(env); err != nil {
		t.Fatal(err)
	}
	ask(t, v, "session-a")
	if n := sb.Exchanges(); n != 1 {
		t.Errorf("%d exchanges for one session", n)
	}
}
