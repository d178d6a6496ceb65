package sandbox_test

import (
	"strconv"
	"testing"
	"time"

	"coze-token/sandbox"
)

func TestMemoryIsBounded(t *testing.T) {
	used := sandbox.NewUsed()
	for i := range sandbox.MaxUsed + 100 {
		used.Take("1", strconv.Itoa(i), 1<<40, 0)
	}
	if ids, order := used.Len(); ids != sandbox.MaxUsed || order != ids {
		t.Errorf("%d ids, %d in order", ids, order)
	}
	if used.Take("1", strconv.Itoa(sandbox.MaxUsed+99), 1<<40, 0) {
		t.Error("the last id is forgotten")
	}
	issued := sandbox.NewIssuedTokens()
	now := time.Unix(1721135000, 0)
	for i := range sandbox.MaxIssued + 100 {
		issued.Add(strconv.Itoa(i), sandbox.Issue{Time: now, Expiry: now.Add(time.Hour)})
	}
	if tokens, order := issued.Len(); tokens != sandbox.MaxIssued || order != tokens {
		t.Errorf("%d tokens, %d in order", tokens, order)
	}
}

func TestMemoryForgetsWhatExpired(t *testing.T) {
	used := sandbox.NewUsed()
	used.Take("1", "a", 100, 0)
	used.Take("1", "b", 200, 0)
	used.Take("1", "c", 300, 100)
	if ids, _ := used.Len(); ids != 3 {
		t.Errorf("%d ids: one was forgotten while it counted", ids)
	}
	if !used.Take("2", "c", 300, 201) {
		t.Error("another app's jti counts")
	}
	if ids, order := used.Len(); ids != 2 || order != 2 {
		t.Errorf("%d ids, %d in order, want 2", ids, order)
	}
	issued := sandbox.NewIssuedTokens()
	now := time.Unix(1721135000, 0)
	issued.Add("a", sandbox.Issue{Time: now, Expiry: now})
	issued.Add("b", sandbox.Issue{Time: now.Add(2 * time.Hour), Expiry: now.Add(3 * time.Hour)})
	if tokens, order := issued.Len(); tokens != 1 || order != 1 {
		t.Errorf("%d tokens, %d in order, want 1", tokens, order)
	}
}
