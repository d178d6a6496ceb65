package contract

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// testQuota shows whom a token's quota and billing are put down to: the session, or whom a caller
// with an API key names, and nobody else's choice.
func testQuota(t *testing.T, b Build) {
	key := newKey()
	settings := map[string]string{
		"API_KEYS": "shop=" + key, "OPEN_ACCESS": "on", "CUSTOM_CONSUMER": "session", "DEVICE_ID": "till-1",
	}
	s := start(t, b, settings)
	ask := func(headers ...string) (device, consumer string) {
		t.Helper()
		return quotaOf(t, s.issued(t, s.post(t, headers...).token(t).AccessToken).SessionContext)
	}
	with := func(headers ...string) []string { return append(bearer(key), headers...) }
	anna := sha256.Sum256([]byte("session-anna"))
	hash := hex.EncodeToString(anna[:])
	for _, c := range []struct {
		name             string
		headers          []string
		device, consumer string
	}{
		{"of a session", with("X-User-ID", "session-anna"), "till-1", hash},
		{"of an open caller's session", []string{"X-User-ID", "session-anna"}, "till-1", hash},
		{"of no session", with(), "till-1", ""},
		{"a consumer of the caller's", with("X-User-ID", "session-anna", "X-Custom-Consumer", "客户 7"),
			"till-1", "客户 7"},
		{"a device of the caller's", with("X-User-ID", "session-anna", "X-Device-ID", "d"), "d", hash},
		{"both", with("X-User-ID", "session-anna", "X-Device-ID", "d", "X-Custom-Consumer", "c"), "d", "c"},
		{"the longest", with("X-Device-ID", strings.Repeat("d", 256)), strings.Repeat("d", 256), ""},
		{"of a session, again", with("X-User-ID", "session-anna"), "till-1", hash},
	} {
		if device, consumer := ask(c.headers...); device != c.device || consumer != c.consumer {
			t.Errorf("%s: the token is for %q and %q", c.name, device, consumer)
		}
	}
	asked := s.Exchanges()
	for _, header := range []string{"X-Device-ID", "X-Custom-Consumer"} {
		f := s.post(t, header, "mallory").failure(t, 403, "forbidden")
		if !strings.Contains(f.Error, "API") {
			t.Errorf("%s of a caller without a key: %s", header, f.Error)
		}
		for name, values := range map[string][]string{
			"empty": {""}, "257 bytes": {strings.Repeat("x", 257)}, "a tab": {"a\tb"}, "not UTF-8": {"a\xffb"},
			"twice": {"a", "b"}, "joined": {"a, b"},
		} {
			var headers []string
			for _, value := range values {
				headers = append(headers, header, value)
			}
			a := s.post(t, with(headers...)...)
			if f := a.failure(t, 400, "invalid_quota_id"); !strings.Contains(strings.ToLower(f.Error), strings.ToLower(header)) {
				t.Errorf("%s %s: %s", header, name, f.Error)
			}
		}
	}
	if n := s.Exchanges() - asked; n != 0 {
		t.Errorf("Coze was asked %d times for what was refused", n)
	}

	plain := start(t, b, map[string]string{"DEVICE_ID": "session-name", "SESSION_PREFIX": "shop-"})
	got := plain.issued(t, plain.post(t, "X-User-ID", "anna").token(t).AccessToken).SessionContext
	if device, consumer := quotaOf(t, got); device != "shop-anna" || consumer != "" {
		t.Errorf("the token is for %q and %q", device, consumer)
	}
}

// quotaOf reads the device and the consumer of a session_context.
func quotaOf(t *testing.T, context json.RawMessage) (device, consumer string) {
	t.Helper()
	if context == nil {
		return "", ""
	}
	var read struct {
		Device struct {
			ID       string `json:"device_id"`
			Consumer string `json:"custom_consumer"`
		} `json:"device_info"`
	}
	if err := json.Unmarshal(context, &read); err != nil {
		t.Fatal(fmt.Errorf("%w in %s", err, context))
	}
	return read.Device.ID, read.Device.Consumer
}
