package main_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Two isolates that start alike must not go on alike: their first request ids and assertions differ, although Go's own
// seeds, which are drawn in global scope, are the same in both.
func TestFreshIsolatesDiffer(t *testing.T) {
	b := &workerBuild{t: t, artefact: artefact(t)}
	coze, cozeURL := startCoze(t)
	seen := map[any]bool{}
	for range 3 {
		settings := coze.Settings(cozeURL)
		settings["TOKEN_DURATON"] = "900"
		url := b.Start(t, settings)
		if strings.Contains(b.Output(), "TOKEN_DURATON") && len(seen) == 0 {
			t.Error("a warning was logged while the Worker started, which the platform does not keep")
		}
		response, err := http.Post(url+"/", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != 200 {
			t.Fatalf("status %d: %s", response.StatusCode, b.Output())
		}
		for _, told := range []string{"access is open", "TOKEN_DURATON"} {
			for deadline := time.Now().Add(10 * time.Second); !strings.Contains(b.Output(), told); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("nobody is told: %s, in %s", told, b.Output())
				}
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
	if strings.Contains(b.Output(), "the rehearsal failed") {
		t.Errorf("the start warmed too little: %s", b.Output())
	}
}
