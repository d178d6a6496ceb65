package sandbox_test

import (
	"strings"
	"testing"
	"time"

	"coze-token/sandbox"
)

func TestControlFaults(t *testing.T) {
	sb, url := serve(t, sandbox.Options{})
	if r := call(t, "PUT", url+"/sandbox/faults", "# a script\n\n503,times=1\r\n latency=1ms\n"); r.status != 204 {
		t.Fatal(r.status, r.raw)
	}
	if r := call(t, "GET", url+"/sandbox/faults", ""); r.status != 200 || r.raw != "503,times=1\nlatency=1ms\n" {
		t.Errorf("%d %q", r.status, r.raw)
	}
	if r := newAttempt(sb.App(url), time.Now()).send(t, url); r.status != 503 {
		t.Error(r.status)
	}
	for _, body := range []string{"429\nboom\n", strings.Repeat("429\n", 101), strings.Repeat("#", 70000)} {
		if r := call(t, "PUT", url+"/sandbox/faults", body); r.status != 400 || r.raw == "" {
			t.Errorf("%d %q", r.status, r.raw)
		}
	}
	if n := len(sb.Faults()); n != 2 {
		t.Errorf("%d faults after a refusal, want the 2 before it", n)
	}
	if r := call(t, "PUT", url+"/sandbox/faults", ""); r.status != 204 || len(sb.Faults()) != 0 {
		t.Error("an empty body does not clear the faults:", r.status)
	}
}

func TestControlIssuedAndExchanges(t *testing.T) {
	sb, url := serve(t, sandbox.Options{})
	if r := call(t, "GET", url+"/sandbox/exchanges", ""); r.raw != `{"count":0,"requests":[]}` {
		t.Error(r.raw)
	}
	a := newAttempt(sb.App(url), time.Now())
	a.claims["session_name"] = "用户-1"
	assertion := a.assertion(t)
	token := a.sendAssertion(t, url, assertion).text("access_token")
	for _, r := range []*reply{
		call(t, "GET", url+"/sandbox/issued?token="+token, ""),
		call(t, "GET", url+"/sandbox/issued", "", "Authorization", "Bearer "+token),
	} {
		if r.status != 200 || r.text("session_name") != "用户-1" || r.text("duration_seconds") != "900" ||
			r.text("client_id") != sb.App(url).ClientID || r.json["expiry"] == nil || strings.Contains(r.raw, token) {
			t.Error(r.status, r.raw)
		}
	}
	if r := call(t, "GET", url+"/sandbox/issued?token=czs_other", ""); r.status != 404 {
		t.Error(r.status)
	}
	r := call(t, "GET", url+"/sandbox/exchanges", "")
	requests, _ := r.json["requests"].([]any)
	if r.text("count") != "1" || len(requests) != 1 || strings.Contains(r.raw, assertion) {
		t.Fatal(r.raw)
	}
	request := requests[0].(map[string]any)
	claims := request["claims"].(map[string]any)
	if claims["session_name"] != "用户-1" || claims["jti"] != a.claims["jti"] || request["body"] != a.body {
		t.Error(r.raw)
	}
}

func TestControlRefuses(t *testing.T) {
	_, url := serve(t, sandbox.Options{})
	for _, test := range []struct {
		method, path string
		status       int
	}{
		{"POST", "/sandbox/faults", 405},
		{"PUT", "/sandbox/issued", 405},
		{"POST", "/sandbox/exchanges", 405},
		{"GET", "/sandbox/", 404},
		{"GET", "/sandbox/other", 404},
	} {
		if r := call(t, test.method, url+test.path, ""); r.status != test.status {
			t.Errorf("%s %s: %d", test.method, test.path, r.status)
		}
	}
	sb, url := serve(t, sandbox.Options{NoControl: true})
	if r := call(t, "PUT", url+"/sandbox/faults", "429"); r.status != 404 || len(sb.Faults()) != 0 {
		t.Error("the control interface is there although it was left out")
	}
}
