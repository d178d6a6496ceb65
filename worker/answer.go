package worker

import (
	"encoding/binary"
	"net/http"
	"strings"
)

// An answer is the http.ResponseWriter that a handler gets. It keeps the
// whole answer, which crosses the bridge when the handler returns: there is
// no streaming, so it is not an http.Flusher, and unlike in net/http a header
// set after the status still counts.
type answer struct {
	status int
	header http.Header
	body   []byte
	head   bool // answers a HEAD request: the body is not carried
}

func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = make(http.Header, 8)
	}
	return a.header
}

// WriteHeader sets the status once. Informational ones are dropped, as the
// platform cannot send them; one that it would refuse is a 500.
func (a *answer) WriteHeader(status int) {
	if a.status != 0 || status >= 100 && status < 200 {
		return
	}
	if status < 200 || status > 599 {
		status = http.StatusInternalServerError
	}
	a.status = status
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if bodiless(a.status) {
		return 0, http.ErrBodyNotAllowed
	}
	a.body = append(a.body, p...)
	return len(p), nil
}

// WriteString spares io.WriteString a copy.
func (a *answer) WriteString(s string) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if bodiless(a.status) {
		return 0, http.ErrBodyNotAllowed
	}
	a.body = append(a.body, s...)
	return len(s), nil
}

func bodiless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusResetContent || status == http.StatusNotModified
}

// appendTo writes the answer as a frame: status, headers, body. The headers
// that describe one connection are the platform's, not the handler's.
func (a *answer) appendTo(p []byte) []byte {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	p = binary.LittleEndian.AppendUint32(p, uint32(a.status))
	at := len(p)
	p = append(p, 0, 0, 0, 0)
	for name, values := range a.header {
		switch name {
		case "Connection", "Content-Length", "Keep-Alive", "Transfer-Encoding", "Trailer", "Upgrade":
			continue
		}
		if !validName(name) {
			continue
		}
		for _, v := range values {
			p = appendField(p, name)
			p = appendField(p, v)
		}
	}
	if len(a.body) > 0 && a.header["Content-Type"] == nil {
		p = appendField(p, "Content-Type")
		p = appendField(p, http.DetectContentType(a.body))
	}
	binary.LittleEndian.PutUint32(p[at:], uint32(len(p)-at-4))
	if a.head {
		return p
	}
	return append(p, a.body...)
}

// validName reports whether a header's name is one, by RFC 9110. JavaScript
// would throw on any other, and the answer be lost.
func validName(name string) bool {
	if name == "" {
		return false
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' {
			continue
		}
		if !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) || c >= 0x80 {
			return false
		}
	}
	return true
}
