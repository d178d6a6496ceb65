package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"io"
	"net/http"

	"coze-token/sandbox"
)

//go:embed demo.html
var demoHTML []byte

// demoPage serves the page of the demo, on an origin of its own, so that what the page asks of the
// service and of the sandbox goes through CORS. Only the sandbox's controls are here as well.
func demoPage(coze *sandbox.Sandbox, cozeURL, serviceURL string) http.Handler {
	config, err := json.Marshal(map[string]string{"service": serviceURL, "coze": cozeURL})
	if err != nil {
		panic(err) // texts always marshal
	}
	page := bytes.Replace(demoHTML, []byte("CONFIG"), config, 1)
	mux := http.NewServeMux()
	mux.Handle("/sandbox/", coze)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		io.Copy(w, bytes.NewReader(page))
	})
	return mux
}

// demoApps are the apps of the demo's page: the same app, for users whom the page names and for
// visitors, with tokens whose end one can watch.
func demoApps(settings map[string]string, page, secret string) string {
	app := func(more map[string]any) map[string]any {
		m := map[string]any{
			"client_id": settings["CLIENT_ID"], "kid": settings["KID"], "private_key": settings["PRIVATE_KEY"],
			"allowed_origins": page, "token_duration": 30,
		}
		for name, value := range more {
			m[name] = value
		}
		return m
	}
	apps, err := json.Marshal(map[string]any{
		"users":    app(map[string]any{"open_access": "on"}),
		"visitors": app(map[string]any{"visitor_secret": secret}),
	})
	if err != nil {
		panic(err) // texts and numbers always marshal
	}
	return string(apps)
}
