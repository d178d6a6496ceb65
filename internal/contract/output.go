package contract

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"coze-token/internal/message/chinese"
)

// secrets are all that the suite had to do with and that no log may hold (security check 27):
// secret → what it is.
var secrets sync.Map

// keepSecret adds a secret to those that are looked for, and returns it.
func keepSecret(what, secret string) string {
	if len(secret) > 5 { // a shorter one is in any text by chance
		secrets.Store(secret, what)
	}
	return secret
}

// keepSecrets adds the server's own: the key, and every assertion and session that Coze was sent.
func (s *server) keepSecrets(t *testing.T) {
	for _, line := range strings.Split(s.settings["PRIVATE_KEY"], "\n") {
		if !strings.HasPrefix(line, "-----") && len(line) > 20 {
			keepSecret("a part of the private key", line)
		}
	}
	for _, r := range s.Requests() {
		if r.Assertion == "" {
			t.Error("the sandbox kept no assertion to look for")
		}
		keepSecret("an assertion", r.Assertion)
		if name, _ := r.Claims["session_name"].(string); name != "" {
			keepSecret("a session name", name)
		}
	}
}

// checkOutput looks for secrets in all that was logged. Half of the failures were told in Chinese, and
// records stay English.
func checkOutput(t *testing.T, b Build) {
	output := b.Output()
	for _, entry := range chinese.HTTP {
		if text := entry[1]; len(text) > 12 && !strings.Contains(text, "%") && strings.Contains(output, text) {
			t.Errorf("it was logged in Chinese: %s", text)
		}
	}
	told := map[string]bool{}
	secrets.Range(func(secret, what any) bool {
		if what := what.(string); !told[what] && strings.Contains(output, secret.(string)) {
			t.Errorf("%s was logged", what)
			told[what] = true
		}
		return true
	})
}

// A record is one of the service's log, its values as text.
type record map[string]string

// records are those of requests, by the request's id. Natively each is a line of JSON; workerd
// prints what the Worker logged the way that consoles do, inside a line of JSON of its own.
func records(output string) map[string][]record {
	all := map[string][]record{}
	for line := range strings.Lines(output) {
		var members map[string]any
		if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &members) != nil {
			continue
		}
		r := record{}
		if printed, ok := members["message"].(string); ok {
			for _, m := range printedMember.FindAllStringSubmatch(printed, -1) {
				r[m[1]] = m[2] + m[3] + m[4]
			}
		} else {
			for name, value := range members {
				switch value := value.(type) {
				case string:
					r[name] = value
				case float64:
					r[name] = strconv.FormatFloat(value, 'f', -1, 64)
				}
			}
		}
		if r["msg"] == "request" {
			all[r["request_id"]] = append(all[r["request_id"]], r)
		}
	}
	return all
}

var printedMember = regexp.MustCompile(`(\w+): (?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([0-9a-z.]+))`)

// An audit is what the records are held against, once they are all written.
type audit struct{ want []wantRecord }

type wantRecord struct {
	name   string
	answer answer
	record
}

// expect says what the record of an answer has to hold. An empty value must not be there.
func (a *audit) expect(name string, answer answer, r record) {
	r["status"] = strconv.Itoa(answer.StatusCode)
	r["method"] = answer.Request.Method
	r["origin"] = strings.Join(answer.Request.Header["Origin"], ", ")
	a.want = append(a.want, wantRecord{name, answer, r})
}

// check finds the one record of each answer. A Worker's come after the answer.
func (a *audit) check(t *testing.T, b Build) {
	t.Helper()
	all := records(b.Output())
	for deadline := time.Now().Add(5 * time.Second); ; all = records(b.Output()) {
		last := a.want[len(a.want)-1].answer.Header.Get("X-Request-ID")
		if len(all[last]) > 0 || time.Now().After(deadline) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	wrong := 0
	for _, want := range a.want {
		got := all[want.answer.Header.Get("X-Request-ID")]
		if len(got) == 0 && want.record["reason"] == "other_origin" {
			continue // refusals before all limits are sampled
		}
		if len(got) != 1 {
			t.Errorf("%s: there are %d records", want.name, len(got))
			wrong++
			continue
		}
		for name, value := range want.record {
			if got[0][name] != value {
				t.Errorf("%s: the record's %s is %q, not %q", want.name, name, got[0][name], value)
				wrong++
			}
		}
		if wrong > 20 {
			t.Fatal("and so on")
		}
	}
}

// hashOf is how records name a session.
func hashOf(session string) string {
	if session == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(session))
	return hex.EncodeToString(sum[:6])
}
