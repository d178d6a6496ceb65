package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"time"
)

// tickets are names that the service has signed, so that there is nothing to keep: whoever brings
// one back has the name. One is written as "1.name.issued.mac": the format's version, the name,
// seconds since 1970, and HMAC-SHA-256 in base64url.
type tickets struct {
	redacted
	keys [][]byte // the newest first
	app  string   // a ticket is good for one app
}

const (
	macLength = 43  // bytes of base64url
	maxTicket = 512 // bytes
)

// newTickets derives keys for one use, so that a secret can have other uses.
func newTickets(app, use string, secrets ...string) tickets {
	t := tickets{app: app}
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(use))
		t.keys = append(t.keys, mac.Sum(nil))
	}
	return t
}

// sign makes a ticket. The name has no dot in it. Tickets of one kind are not good as another's.
func (t *tickets) sign(kind, name string, issued time.Time) string {
	text := "1." + name + "." + strconv.FormatInt(issued.Unix(), 10)
	return text + "." + t.mac(t.keys[0], kind, text)
}

// mac signs a text of one kind for one app. Each part has its length before it, so that no two
// parts can be read as others.
func (t *tickets) mac(key []byte, kind, text string) string {
	mac := hmac.New(sha256.New, key)
	for _, part := range []string{kind, t.app, text} {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		mac.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// verify reads a ticket whose signature is good. The signature is compared as text, so that there
// is one form that is right.
func (t *tickets) verify(kind, value string) (name string, issued time.Time, ok bool) {
	at := strings.LastIndexByte(value, '.')
	if at < 0 || len(value) > maxTicket || len(value)-at-1 != macLength {
		return "", issued, false
	}
	text, mac := value[:at], value[at+1:]
	good := false
	for _, key := range t.keys {
		if hmac.Equal([]byte(mac), []byte(t.mac(key, kind, text))) {
			good = true
		}
	}
	parts := strings.Split(text, ".")
	if !good || len(parts) != 3 || parts[0] != "1" {
		return "", issued, false
	}
	seconds, err := strconv.ParseInt(parts[2], 10, 64)
	return parts[1], time.Unix(seconds, 0), err == nil
}
