package gate

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"coze-token/client"
)

// clientFile is the name of the client module, and clientHeader the request header that it heeds.
const (
	clientFile   = "client.js"
	clientHeader = "If-None-Match"
)

// isClient reports whether the request is for the client module.
func (g *gate) isClient(r *http.Request) bool { return g.Client && r.URL.Path == "/"+clientFile }

// serveClient answers GET /client.js: the one answer that is no JSON, for pages of any origin. There
// is nothing secret in it. A browser asks again after an hour, and by the ETag.
func serveClient(w http.ResponseWriter, r *http.Request, id string) int {
	h := w.Header()
	h["X-Content-Type-Options"] = noSniff
	h["Referrer-Policy"] = noReferrer
	h.Set("X-Request-Id", id)
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Cache-Control", "public, max-age=3600")
	h.Set("Etag", client.ETag())
	for _, value := range r.Header[clientHeader] {
		// A proxy that compresses makes the tag a weak one (RFC 9110 section 13.1.2).
		if strings.Contains(value, client.ETag()) || strings.TrimSpace(value) == "*" {
			w.WriteHeader(http.StatusNotModified)
			return http.StatusNotModified
		}
	}
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(client.Module)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		io.WriteString(w, client.Module)
	}
	return http.StatusOK
}
