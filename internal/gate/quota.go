package gate

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"coze-token/internal/auth"
	"coze-token/internal/message"
	"coze-token/internal/setting"
)

// The headers in which a caller with an API key names whom a token's quota and billing are put down
// to. They are in Go's canonical form.
const (
	DeviceHeader   = "X-Device-Id"
	ConsumerHeader = "X-Custom-Consumer"
)

// A QuotaID is how a device or a consumer is named at Coze. The zero value names none.
type QuotaID struct {
	// Fixed is one name for all tokens.
	Fixed string
	// PerSession names the token's session instead, and nothing where there is none.
	PerSession bool
	// Plain leaves the session's name as it is. Otherwise it is SHA-256, in hexadecimal digits.
	Plain bool
}

// ParseQuotaID parses a setting that names a device or a consumer.
func ParseQuotaID(v *setting.Value) QuotaID {
	switch v.Text() {
	case "session":
		return QuotaID{PerSession: true}
	case "session-name":
		return QuotaID{PerSession: true, Plain: true}
	}
	return QuotaID{Fixed: ParseName(v)}
}

// of is the id of a session's own, or "".
func (q QuotaID) of(session string) string {
	switch {
	case !q.PerSession || session == "":
		return ""
	case q.Plain:
		return session
	}
	sum := sha256.Sum256([]byte(session))
	return hex.EncodeToString(sum[:])
}

// readQuota is the id that a header names, or the one that there is without it. Whoever could
// choose it could use up what belongs to others, so a caller without an API key is refused.
func readQuota(
	h http.Header, header string, caller *auth.Caller, otherwise string,
) (id string, refusal answer, ok bool) {
	values := h[header]
	if len(values) == 0 {
		return otherwise, answer{}, true
	}
	if err := caller.MayNameQuota(header); err != nil {
		return "", failed(nil, err), false
	}
	err := error(message.New("it was sent more than once"))
	if len(values) == 1 {
		err = checkName(values[0])
	}
	if err != nil {
		return "", fail(http.StatusBadRequest, "invalid_quota_id", "%s is not a name: %v",
			"send it once, as 1 to 256 bytes of UTF-8 without control characters or \", \"", header, err), false
	}
	return values[0], answer{}, true
}
