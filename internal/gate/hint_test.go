package gate_test

import (
	"strings"
	"testing"

	"coze-token/coze"
	"coze-token/internal/gate"
)

func TestHint(t *testing.T) {
	rejected := func(code, message string) *coze.Error {
		return &coze.Error{Kind: coze.Rejected, Status: 401, Code: code, Message: message}
	}
	for _, c := range []struct {
		err  *coze.Error
		hint string // a part of it
	}{
		{rejected("invalid_client", "invalid jwt: kid not been registred"), "COZE_REGION"},
		{rejected("invalid_client", "verify jwt empty error"), "signature"},
		{rejected("invalid_client", "no"), "CLIENT_ID"},
		{rejected("access_deny", "app: x is currently deactivated by the owner"), "switched off"},
		{rejected("access_deny", "invalid app type"), "type JWT"},
		{rejected("access_deny", "no"), "permissions"},
		{rejected("invalid_request", "invalid request: scope"), "parameter"},
		{rejected("unsupported_grant_type", ""), "type JWT"},
		{rejected("4000", "connector app should bind connector id"), "channel"},
		{rejected("4000", "login session invalid"), "authorise"},
		{rejected("4100", "authentication is invalid"), "log id"},
		{&coze.Error{Kind: coze.Busy, Status: 429}, "less often"},
		{&coze.Error{Kind: coze.Timeout}, "in time"},
		{&coze.Error{Kind: coze.InvalidRequest}, "PRIVATE_KEY"},
		{&coze.Error{Kind: coze.Unavailable}, "network"},
		{&coze.Error{Kind: coze.Unavailable, Status: 502}, "Try again"},
		{&coze.Error{Kind: coze.Unavailable, Status: 200, Code: "internal_error"}, "Try again"},
		{&coze.Error{Kind: coze.Unavailable, Status: 200, Message: "the answer has no expires_in"}, "no proxy answers"},
		{&coze.Error{Kind: coze.Unavailable, Status: 200,
			Message: "expires_in (900) is in the past; if this machine's clock is wrong, set it", WrongClock: true}, "NTP"},
	} {
		if hint := gate.Hint(c.err); !strings.Contains(string(hint), c.hint) {
			t.Errorf("%v: hint %q", c.err, hint)
		}
	}
}
