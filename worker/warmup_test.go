package worker

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// A warm-up can use every effect, and leaves the real bridge as it was.
func TestWarmUp(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // as in WebAssembly, where settle can rely on it
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	request, _ := http.NewRequest("POST", "https://localhost/path", strings.NewReader("body"))
	request.Header.Set("X-User-ID", "u")
	seen := 0
	w := WarmUp{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if sig, err := crypto.SignMessage(signer, nil, []byte("m"), crypto.SHA256); err != nil || len(sig) != 256 {
				t.Errorf("signature of %d bytes, %v", len(sig), err)
			}
			sent, _ := http.NewRequestWithContext(r.Context(), "POST", "https://upstream.example/", nil)
			response, err := new(Transport).RoundTrip(sent)
			if err != nil {
				t.Error(err)
				return
			}
			if p, _ := io.ReadAll(response.Body); string(p) != "fetched" {
				t.Errorf("fetched %q", p)
			}
			p, err := io.ReadAll(r.Body)
			got := []string{r.Method, r.Host, r.URL.Path, r.Header.Get("X-User-ID"), string(p)}
			if err != nil || !slices.Equal(got, []string{"POST", "localhost", "/path", "u", "body"}) {
				t.Errorf("request %q, %v", got, err)
			}
			if kept, err := KV("NAME").Get(r.Context(), "key"); kept != nil || err != nil {
				t.Errorf("kept: %q, %v", kept, err)
			}
			seen++
			w.WriteHeader(http.StatusNoContent)
		}),
		Request: request,
		Times:   2,
		Fetched: []byte("fetched"),
	}
	w.run()
	if seen != 2 {
		t.Errorf("%d of 2 requests were served", seen)
	}
	if serving.Load() != nil || warmingUp {
		t.Error("the warm-up goes on")
	}
}
