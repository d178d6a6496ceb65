package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
)

// A contender is this very program in another role, so the test binary has to be able to play it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestSmoke runs the whole benchmark in small, so that it cannot rot. Its numbers mean nothing.
func TestSmoke(t *testing.T) {
	var out bytes.Buffer
	if err := compare(context.Background(), &out, true); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, want := range append([]string{"exchanging / signing", "remembered / bare", "Growth with grants",
		"Growth with callers"}, httpContenders...) {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report says nothing of %q:\n%s", want, &out)
		}
	}
}

func TestLoadIsForThisMachineOnly(t *testing.T) {
	if _, err := (job{URL: "http://192.0.2.1/", Connections: 1, Seconds: 1}).run(); err == nil {
		t.Error("load was sent to another machine")
	}
}
