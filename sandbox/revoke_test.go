package sandbox_test

import (
	"testing"

	"coze-token/sandbox"
)

func TestRevokedTokensAreRefused(t *testing.T) {
	sb, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	alice, other := chatAs(t, sb, "alice"), chatAs(t, sb, "alice")
	if status, text := alice.do("DELETE", "/sandbox/issued", ""); status != 204 {
		t.Fatalf("status %d: %s", status, text)
	}
	if status, _ := alice.do("GET", "/v1/users/me", ""); status != 401 {
		t.Errorf("status %d", status)
	}
	if status, _ := other.do("GET", "/v1/users/me", ""); status != 200 {
		t.Errorf("another token: status %d", status)
	}
}
