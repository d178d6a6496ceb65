package sandbox

import (
	"crypto/sha256"
	"encoding/json"
	"time"
)

const (
	maxUsed   = 65536 // assertions
	maxIssued = 10000 // tokens
	// remembered is how long after its expiry a token can still be asked about. The API refuses it at
	// once.
	remembered = time.Hour
)

// used remembers which assertions were presented. An assertion that has expired is refused for
// that, so its id need not be kept longer. Past maxUsed the oldest is forgotten first, since a
// caller chooses exp and could fill any memory. The jti stands for the whole JWT: the same JWT has
// the same jti.
type used struct {
	until map[[sha256.Size]byte]int64 // :: hash of client id and jti → Unix time until which it counts
	order [][sha256.Size]byte         // the oldest first
}

func newUsed() *used { return &used{until: map[[sha256.Size]byte]int64{}} }

// take uses an id up. It returns false when it was used before.
func (u *used) take(clientID, jti string, until, now int64) bool {
	id := sha256.Sum256([]byte(clientID + "\x00" + jti))
	if _, ok := u.until[id]; ok {
		return false
	}
	for len(u.order) > 0 && (len(u.order) >= maxUsed || u.until[u.order[0]] < now) {
		delete(u.until, u.order[0])
		u.order = u.order[1:]
	}
	u.until[id] = until
	u.order = append(u.order, id)
	return true
}

// An Issue is what a token stands for.
type Issue struct {
	ClientID string `json:"client_id"`
	// KeyID is the kid of the key that signed the assertion.
	KeyID string `json:"kid"`
	// Session is the assertion's session_name, empty if it had none.
	Session string `json:"session_name"`
	// SessionContext is the assertion's session_context, Scope the body's scope, each as it was sent;
	// nil if it was not.
	SessionContext json.RawMessage `json:"session_context,omitempty"`
	Scope          json.RawMessage `json:"scope,omitempty"`
	AccountID      string          `json:"account_id,omitempty"`
	EnterpriseID   string          `json:"enterprise_id,omitempty"`
	// Duration is what was asked for, or the default; in JSON it is duration_seconds.
	Duration time.Duration `json:"-"`
	// Expiry is the moment of expires_in, Time that of the exchange.
	Expiry time.Time `json:"expiry"`
	Time   time.Time `json:"time"`
	JTI    string    `json:"jti"`
}

// MarshalJSON adds the duration in seconds.
func (i Issue) MarshalJSON() ([]byte, error) {
	type plain Issue
	return json.Marshal(struct {
		plain
		Seconds int64 `json:"duration_seconds"`
	}{plain(i), int64(i.Duration / time.Second)})
}

// issued remembers tokens by their hashes, so that no token can be read out of it.
type issued struct {
	tokens map[[sha256.Size]byte]Issue
	order  [][sha256.Size]byte
}

func newIssued() *issued { return &issued{tokens: map[[sha256.Size]byte]Issue{}} }

func (i *issued) add(token string, issue Issue) {
	for len(i.order) > 0 && (len(i.order) >= maxIssued || i.tokens[i.order[0]].Expiry.Add(remembered).Before(issue.Time)) {
		delete(i.tokens, i.order[0])
		i.order = i.order[1:]
	}
	id := sha256.Sum256([]byte(token))
	i.tokens[id] = issue
	i.order = append(i.order, id)
}

func (i *issued) find(token string, now time.Time) (Issue, bool) {
	issue, ok := i.tokens[sha256.Sum256([]byte(token))]
	if !ok || issue.Expiry.Add(remembered).Before(now) {
		return Issue{}, false
	}
	return issue, true
}

// Issued says what a token stands for, and whether the sandbox issued it. It remembers a token for
// an hour after its expiry, and at most 10,000 of them.
func (s *Sandbox) Issued(token string) (Issue, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issued.find(token, s.options.Now())
}

// Revoke has the API refuse a token from now on, as if it had never been issued.
func (s *Sandbox) Revoke(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.issued.tokens, sha256.Sum256([]byte(token)))
}
