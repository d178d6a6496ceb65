package cors_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"coze-token/internal/cors"
	"coze-token/internal/setting"
)

// read reads this package's settings, and returns what is wrong with them.
func read(env map[string]string) (cors.Policy, error) {
	r := cors.Settings.Open(env, setting.Options{})
	r.Parse()
	p := cors.Read(r)
	_, err := r.Close()
	return p, err
}

// Tracing adds headers to the requests of a page. Without the setting its preflight fails.
func TestAllowedHeaders(t *testing.T) {
	p, err := read(map[string]string{
		"ALLOWED_ORIGINS": "https://a.example", "ALLOWED_HEADERS": "traceparent, Baggage,sentry-trace",
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("OPTIONS", "/", nil)
	r.Header.Set("Origin", "https://a.example")
	r.Header.Set("Access-Control-Request-Method", "POST")
	r.Header.Set("Access-Control-Request-Headers", "baggage,traceparent,x-other")
	w := httptest.NewRecorder()
	p.Apply(w.Header(), r)
	if got := w.Header().Get("Access-Control-Allow-Headers"); got != "Traceparent, Baggage" {
		t.Errorf("pages may send %q", got)
	}
}

func TestAllowedHeadersFaults(t *testing.T) {
	for text, want := range map[string]string{
		"*":                     "is not the name of a header",
		"baggage: x":            "is not the name of a header",
		"a b":                   "is not the name of a header",
		",":                     "is a list with nothing in it",
		strings.Repeat("x", 65): "is not the name of a header",
	} {
		_, err := read(map[string]string{"ALLOWED_ORIGINS": "https://a.example", "ALLOWED_HEADERS": text})
		if err == nil || !strings.HasPrefix(err.Error(), "ALLOWED_HEADERS: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := read(map[string]string{"ALLOWED_HEADERS": "baggage"}); err == nil {
		t.Error("headers for no page are taken")
	}
}
