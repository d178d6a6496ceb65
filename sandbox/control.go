package sandbox

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strings"
)

const (
	controlPrefix = "/sandbox/"
	maxControl    = 64 << 10 // bytes of a request's body
)

// control is the HTTP interface for tests in other languages, as the package documentation
// describes it. Its errors are plain text: they are read by a person who writes a test.
func (s *Sandbox) control(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	resource := strings.TrimPrefix(r.URL.Path, controlPrefix)
	switch r.Method + " " + resource {
	case "PUT faults":
		s.putFaults(w, r)
	case "GET faults":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		for _, fault := range s.Faults() {
			fmt.Fprintln(w, fault)
		}
	case "GET issued":
		token := cmp.Or(bearer(r.Header), r.URL.Query().Get("token"))
		issue, ok := s.Issued(token)
		if !ok {
			http.Error(w, "the sandbox issued no such token", http.StatusNotFound)
			return
		}
		writeJSON(w, http.StatusOK, issue)
	case "DELETE issued":
		s.Revoke(bearer(r.Header))
		w.WriteHeader(http.StatusNoContent)
	case "GET exchanges":
		s.mu.Lock()
		count := s.exchanges
		s.mu.Unlock()
		writeJSON(w, http.StatusOK, members{{"count", count}, {"requests", append([]Request{}, s.Requests()...)}})
	default:
		switch resource {
		case "faults":
			w.Header().Set("Allow", "GET, PUT")
		case "issued":
			w.Header().Set("Allow", "GET, DELETE")
		case "exchanges":
			w.Header().Set("Allow", "GET")
		default:
			http.Error(w, "there are /sandbox/faults, /sandbox/issued and /sandbox/exchanges", http.StatusNotFound)
			return
		}
		http.Error(w, "the method is not allowed", http.StatusMethodNotAllowed)
	}
}

func (s *Sandbox) putFaults(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxControl))
	if err != nil {
		http.Error(w, "the body is too large or broke off", http.StatusBadRequest)
		return
	}
	faults, err := ParseFaults(string(body))
	if err == nil {
		err = s.SetFaults(faults...)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
