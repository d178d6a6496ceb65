package worker

import (
	"io"
	"net/http"
	"testing"
)

func BenchmarkRequest(b *testing.B) {
	br := newBridge(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		io.WriteString(w, `{"hello":"`+r.Header.Get("X-User-Id")+`"}`)
	}), Options{})
	p := appendFrame(nil, 0, []string{"POST", "https://token.example.com/", "cf-connecting-ip", "192.0.2.1", "x-user-id", "u1", "origin", "https://example.com"}, nil)
	b.ReportAllocs()
	for b.Loop() {
		br.out.reset()
		br.start(1, p)
		br.settle()
	}
}
