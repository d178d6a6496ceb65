package main_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// The first request ids and assertions of several isolates differ, although Go's own seeds, which
// are drawn in global scope, are the same in all of them.
func TestFreshIsolatesDiffer(t *testing.T) {
	b := &workerBuild{t: t, artefact: artefact(t)}
	coze, cozeURL := startCoze(t)
	seen := map[any]bool{}
	for range 3 {
		settings := coze.Settings(cozeURL)
		settings["TOKEN_DURATON"] = "900"
		url := b.Start(t, settings)
		if strings.Contains(b.Output(), "TOKEN_DURATON") && len(seen) == 0 {
			t.Error("a warning was logged while the Worker started, and the platform drops it")
		}
		response, err := http.Post(url+"/", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != 200 {
			t.Fatalf("status %d: %s", response.StatusCode, b.Output())
		}
		for _, logged := range []string{"access is open", "TOKEN_DURATON"} {
			deadline := time.Now().Add(10 * time.Second)
			for !strings.Contains(b.Output(), logged) {
				if time.Now().After(deadline) {
					t.Fatalf("%s is not in the log: %s", logged, b.Output())
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
		last, _ := coze.Last()
		for _, drawn := range []any{response.Header.Get("X-Request-ID"), last.Claims["jti"]} {
			if drawn == "" || seen[drawn] {
				t.Errorf("%v came from two isolates", drawn)
			}
			seen[drawn] = true
		}
	}
	if strings.Contains(b.Output(), "the warm-up failed") {
		t.Errorf("the start warmed too little: %s", b.Output())
	}
}
