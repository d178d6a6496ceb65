package sandbox_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"coze-token/coze"
	"coze-token/sandbox"
)

type chatter struct {
	t     *testing.T
	sb    *sandbox.Sandbox
	token string
}

func chatAs(t *testing.T, sb *sandbox.Sandbox, session string) chatter {
	t.Helper()
	server := httptest.NewServer(sb)
	t.Cleanup(server.Close)
	client := &coze.Client{Transport: http.DefaultTransport}
	token, err := client.Token(t.Context(), coze.TokenRequest{App: sb.App(server.URL), Session: session})
	if err != nil {
		t.Fatal(err)
	}
	return chatter{t, sb, token.AccessToken}
}

func (c chatter) do(method, target, body string) (status int, text string) {
	c.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	c.sb.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

const hello = `{"bot_id":"73","user_id":"u","additional_messages":[{"role":"user","content":"hello"}]`

func TestConversationsAreIsolated(t *testing.T) {
	sb, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	alice, bob := chatAs(t, sb, "alice"), chatAs(t, sb, "bob")
	var made struct{ Data struct{ ID string } }
	_, text := alice.do("POST", "/v1/conversation/create", `{"bot_id":"73"}`)
	if err := json.Unmarshal([]byte(text), &made); err != nil || made.Data.ID == "" {
		t.Fatalf("%s: %v", text, err)
	}
	target := "/v3/chat?conversation_id=" + made.Data.ID
	status, text := alice.do("POST", target, hello+`,"stream":true}`)
	if status != 200 || !strings.Contains(text, "You are alice. You said: hello (That is the first") ||
		!strings.HasSuffix(text, "event:done\ndata:\"[DONE]\"\n\n") {
		t.Errorf("status %d: %s", status, text)
	}
	if _, text = alice.do("POST", target, hello+`,"stream":true}`); !strings.Contains(text, "(Before that: hello)") {
		t.Errorf("the bot does not know what came before: %s", text)
	}
	list := "/v1/conversation/message/list?conversation_id=" + made.Data.ID
	status, text = alice.do("POST", list, `{"order":"asc"}`)
	if status != 200 || strings.Count(text, `"role":"user"`) != 2 {
		t.Errorf("status %d: %s", status, text)
	}
	for _, request := range [][2]string{{target, hello + "}"}, {list, "{}"}} {
		if status, text = bob.do("POST", request[0], request[1]); status != 404 || strings.Contains(text, "hello") {
			t.Errorf("another session got status %d: %s", status, text)
		}
	}
	for who, want := range map[chatter]int{alice: 1, bob: 0} {
		if status, text := who.do("GET", "/v1/conversations?bot_id=73", ""); status != 200 ||
			strings.Count(text, `"id":"`+made.Data.ID) != want {
			t.Errorf("of %d conversations, status %d: %s", want, status, text)
		}
	}
	if status, text := alice.do("GET", "/v1/conversations?bot_id=74", ""); status != 200 || strings.Contains(text, made.Data.ID) {
		t.Errorf("another bot's conversations: status %d: %s", status, text)
	}
	if status, _ = alice.do("POST", target, strings.Replace(hello, "73", "74", 1)+"}"); status != 404 {
		t.Errorf("another bot got status %d", status)
	}
}

func TestBotsThatFail(t *testing.T) {
	sb, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	alice := chatAs(t, sb, "alice")
	for bot, want := range map[string]int{
		"4100": 401, "4101": 403, "4015": 400, "": 400, "not-a-number": 400, "7300": 200,
	} {
		status, text := alice.do("GET", "/v1/bot/get_online_info?bot_id="+bot, "")
		if status != want {
			t.Errorf("bot %q: status %d: %s", bot, status, text)
		}
		if len(bot) == 4 && want != 200 && !strings.Contains(text, `"code":`+bot) {
			t.Errorf("bot %q: %s", bot, text)
		}
	}
	if status, text := alice.do("GET", "/v1/bots/7300", ""); status != 200 || !strings.Contains(text, `"bot_id":"7300"`) {
		t.Errorf("status %d: %s", status, text)
	}
}

// SDKs that derive aud from the base URL can mint here.
func TestTheSandboxTakesItsOwnHostAsAudience(t *testing.T) {
	sb, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sb)
	defer server.Close()
	client := &coze.Client{Transport: http.DefaultTransport}
	host := strings.TrimPrefix(server.URL, "http://")
	for audience, good := range map[string]bool{host: true, "127.0.0.1": true, "127.0.0.2": false, "api.coze.com": false} {
		app := sb.App(server.URL)
		app.Audience = audience
		if _, err := client.Token(t.Context(), coze.TokenRequest{App: app}); (err == nil) != good {
			t.Errorf("%s: %v", audience, err)
		}
	}
}
