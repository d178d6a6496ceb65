package worker

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"net/http"
	"runtime"
	"testing"
)

// A rehearsal goes through everything that a request can go through, and leaves the real bridge as it was.
func TestRehearsal(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // as in WebAssembly, where settle can rely on it
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	r := Rehearsal{
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
			if p, _ := io.ReadAll(response.Body); string(p) != "fetched" || r.Header.Get("X-User-ID") != "u" {
				t.Errorf("fetched %q", p)
			}
			if kept, err := KV("NAME").Get(r.Context(), "key"); kept != nil || err != nil {
				t.Errorf("kept: %q, %v", kept, err)
			}
			seen++
			w.WriteHeader(http.StatusNoContent)
		}),
		Request: []string{"POST", "https://localhost/", "x-user-id", "u"},
		Times:   2,
		Fetched: []byte("fetched"),
	}
	b := newBridge(http.NotFoundHandler(), Options{Rehearsal: r})
	b.rehearse(b.options.Rehearsal)
	if seen != 2 {
		t.Errorf("%d of 2 requests were served", seen)
	}
	if serving.Load() != nil || rehearsing || b.live || len(b.open)+len(b.effects)+len(b.out.buf) > 0 {
		t.Error("the rehearsal left something behind")
	}
}
