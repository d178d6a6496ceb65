package sandbox_test

import (
	"net/http/httptest"
	"testing"

	"coze-token/sandbox"
)

// A page on any origin can use its token, as it can at Coze: a browser asks first.
func TestPagesMayCallTheAPI(t *testing.T) {
	sb, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("OPTIONS", "/v1/users/me", nil)
	r.Header.Set("Origin", "http://127.0.0.1:3000")
	r.Header.Set("Access-Control-Request-Method", "GET")
	r.Header.Set("Access-Control-Request-Headers", "authorization")
	w := httptest.NewRecorder()
	sb.ServeHTTP(w, r)
	h := w.Header()
	if w.Code != 204 || h.Get("Access-Control-Allow-Origin") != "http://127.0.0.1:3000" ||
		h.Get("Access-Control-Allow-Headers") != "authorization" {
		t.Errorf("status %d, %v", w.Code, h)
	}
	// The refusal of a wrong token can be read too.
	r = httptest.NewRequest("GET", "/v1/users/me", nil)
	r.Header.Set("Origin", "http://127.0.0.1:3000")
	w = httptest.NewRecorder()
	sb.ServeHTTP(w, r)
	if w.Code != 401 || w.Header().Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("status %d, %v", w.Code, w.Header())
	}
}
