package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"
)

// exchange answers a POST to one of the three token endpoints.
func (s *Sandbox) exchange(w http.ResponseWriter, r *http.Request, t target, logID string) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		panic(http.ErrAbortHandler) // the caller has gone; a request that did not arrive is not counted
	}
	now := s.options.Now()
	issue, fail := s.judge(r, body, t, now)
	answer := s.answer(&issue, fail, now)
	token := answer.token
	delay, fault := s.due()
	if fault != nil {
		fault.apply(answer, issue, now)
	}
	request := recordRequest(r, body, now, logID)
	request.Status, request.ClientID = answer.status, issue.ClientID
	if fail != nil {
		request.Refusal = fail.message
	}
	if fault != nil {
		request.Fault = fault.String()
	}

	s.mu.Lock()
	// A token counts as issued only if the answer holds it whole.
	if answer.token != "" {
		s.issued.add(token, issue)
	}
	s.remember(request)
	s.mu.Unlock()

	s.options.Log.LogAttrs(r.Context(), slog.LevelInfo, "exchange",
		slog.String("path", clip(request.Path)), slog.String("app", issue.ClientID),
		slog.String("session", short(issue.Session)),
		slog.String("token", short(answer.token)), slog.Int("status", answer.status), slog.String("refusal", request.Refusal),
		slog.String("fault", request.Fault), slog.Duration("delay", delay), slog.String("logid", logID))
	if !wait(r.Context(), delay) {
		panic(http.ErrAbortHandler)
	}
	answer.write(w)
}

// short stands for a secret in a log: enough to see that two are the same.
func short(secret string) string {
	if secret == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:4])
}

// wait returns false if the caller has gone in the meantime.
func wait(ctx context.Context, delay time.Duration) bool {
	if delay <= 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// An answer is what is going to be written. Faults change it.
type answer struct {
	status  int
	header  http.Header
	members members // the body, as JSON,
	body    []byte  // or, when members is nil, as it is
	token   string  // the token, if the body holds it whole
	cut     bool    // the body is cut in half,
	abort   bool    // or announced whole and broken off half-way,
	reset   bool    // or there is no answer: the connection is reset
}

// answer is the one that Coze gives, and completes the issue with the expiry.
func (s *Sandbox) answer(issue *Issue, fail *refusal, now time.Time) *answer {
	header := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	if fail != nil {
		return &answer{status: fail.status, header: header, members: fail.members()}
	}
	token := "czs_" + randomText(32)
	issue.Expiry = time.Unix(now.Unix(), 0).Add(issue.Duration)
	m := members{{"access_token", token}, {"expires_in", issue.Expiry.Unix()}}
	if !s.options.NoTokenType {
		m = append(m, member{"token_type", "Bearer"})
	}
	return &answer{status: http.StatusOK, header: header, members: m, token: token}
}

func (a *answer) write(w http.ResponseWriter) {
	if a.reset {
		resetConnection(w)
		return
	}
	body := a.body
	if a.members != nil {
		var err error
		if body, err = json.Marshal(a.members); err != nil {
			panic(err) // members are this package's own
		}
	}
	whole := len(body)
	if a.cut || a.abort {
		body = body[:whole/2]
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if a.abort {
		w.Header().Set("Content-Length", strconv.Itoa(whole))
	}
	w.WriteHeader(a.status)
	w.Write(body)
	if a.abort {
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// resetConnection ends the connection with a TCP reset where the server lets go of it, and
// otherwise as the server aborts one: in HTTP/2 that is a stream reset.
func resetConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	for {
		wrapped, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = wrapped.NetConn() // TLS would say goodbye first
	}
	if tcp, ok := conn.(interface{ SetLinger(seconds int) error }); ok {
		tcp.SetLinger(0) // what is unsent is dropped, and a reset takes the place of the end
	}
	conn.Close()
}
