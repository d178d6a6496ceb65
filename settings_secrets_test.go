package cozetoken_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	cozetoken "coze-token"
	"coze-token/internal/fault"
	"coze-token/internal/setting"
)

// armour are the lines around a key in PEM.
var armour = regexp.MustCompile(`-----[A-Z ]+-----\n`)

// forms are the ways in which a private key gets into the wrong variable: as people paste it, and
// as shells, dotenv files and dashboards mangle it.
func forms(key string) map[string]string {
	body := armour.ReplaceAllString(key, "")
	return map[string]string{
		"on its lines":              key,
		"on its lines, CRLF":        strings.ReplaceAll(key, "\n", "\r\n"),
		"on one line":               strings.ReplaceAll(key, "\n", ""),
		"on one line, with spaces":  strings.ReplaceAll(key, "\n", " "),
		`on one line, literal \n`:   strings.ReplaceAll(key, "\n", `\n`),
		"in quotes":                 `"` + key + `"`,
		"base64 of it":              base64Of(key),
		"with commas":               strings.ReplaceAll(key, "\n", ","),
		"bare":                      body,
		"bare, on one line":         strings.ReplaceAll(body, "\n", ""),
		"bare, with spaces":         strings.ReplaceAll(body, "\n", " "),
		`bare, literal \n`:          strings.ReplaceAll(body, "\n", `\n`),
		"bare, with commas":         strings.ReplaceAll(body, "\n", ","),
		"without its first lines":   body[2*65:],
		"cut off":                   key[:len(key)/2],
		"cut off on the first line": key[:40],
		"one line of it":            word.FindString(body),
		"half a line of it":         word.FindString(body)[:32],
	}
}

// word is a line of a key that does not begin as the name of a file would.
var word = regexp.MustCompile(`[^/].{63}`)

// run is as much of a key as can stand in a message by chance, and would be worth nothing.
const run = 17

// showsNothing reports what of the secret is in text, in capitals or not.
func showsNothing(t *testing.T, name, text, secret string) {
	t.Helper()
	text = strings.ToLower(text)
	for word := range strings.FieldsFuncSeq(strings.ToLower(secret), func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '+' || r == '/' || r == '=')
	}) {
		for i := 0; i+run <= len(word); i++ {
			if strings.Contains(text, word[i:i+run]) {
				t.Errorf("%s: %d characters of the key are in %.300s", name, run, text)
				return
			}
		}
	}
}

func said(warnings fault.List, err error) string {
	var b strings.Builder
	for _, warning := range warnings {
		b.WriteString(warning.Error() + "\n")
	}
	if err != nil {
		b.WriteString(err.Error())
	}
	return b.String()
}

// Security check 26: people mix up variables, and platforms show what a program says as it ends.
func TestAKeyInTheWrongPlaceIsNotShown(t *testing.T) {
	for form, key := range forms(rsaPEM(2048)) {
		t.Run(form, func(t *testing.T) {
			member, err := json.Marshal(key)
			if err != nil {
				t.Fatal(err)
			}
			check := func(name, text string, options cozetoken.Options) {
				_, warnings, err := cozetoken.Read(with("PRIVATE_KEY", "-", name, text), options)
				showsNothing(t, name, said(warnings, err), key)
			}
			for i := range cozetoken.Rows {
				s := cozetoken.Rows[i]
				for _, name := range s.Names() {
					for _, options := range []cozetoken.Options{native, workers} {
						check(name, key, options)
					}
					check(name, "/the/file", cozetoken.Options{ReadFile: func(string) ([]byte, error) { return []byte(key), nil }})
					check("APPS", `{"shop":{"`+strings.ToLower(name)+`":`+string(member)+`}}`, native)
					check("APPS", `{"shop":{"`+strings.ToLower(name)+`":[`+string(member)+`]}}`, native)
				}
			}
			check("APPS", `{`+string(member)+`:{}}`, native)
			check("APPS", `{"shop":{`+string(member)+`:1}}`, native)
			login := strings.ReplaceAll(`[{"issuer":@,"name":@,"session_claim":@,"algorithms":[@]}]`, "@", string(member))
			check("LOGINS", login, native)
			check("SCOPE", `{"a":`+string(member), native)
			check("ALLOWED_ORIGINS", "https://www.example.com,"+key, native)
			check("TRUSTED_PROXIES", "10.0.0.1/8,"+key, native)
			check("RATE_LIMIT", "100/"+key, native)
			check("LISTEN", "127.0.0.1:"+key, native)
			check("LISTEN", key+":80", native)
			check("TOKEN_ENDPOINT", key+"://api.coze.cn", native)
			for _, name := range []string{"client_type", "client_id", "public_key_id", "private_key", "coze_api_base",
				"coze_www_base", key} {
				members := sample()
				members[name] = key
				if name == key {
					members[key] = "1"
				}
				file, warnings, err := cozetoken.ParseFile("c.json", fileOf(members))
				showsNothing(t, "the file's "+name, said(warnings, err), key)
				_, warnings, err = cozetoken.Read(nil, cozetoken.Options{File: file, ReadFile: files(nil)})
				showsNothing(t, "the file's "+name, said(warnings, err), key)
			}
		})
	}
}

// A key is refused before it is taken apart, so that there is one message, which says what to do.
func TestAKeyInTheWrongPlaceIsCalledOne(t *testing.T) {
	file := cozetoken.Options{ReadFile: func(string) ([]byte, error) { return []byte(privatePEM()), nil }}
	all := forms(privatePEM())
	for i := range cozetoken.Rows {
		s := cozetoken.Rows[i]
		options := native
		options.Workers = s.Host == setting.Workers
		for _, name := range s.Names() {
			for _, form := range []string{"on its lines", "on one line", `on one line, literal \n`, "in quotes",
				"base64 of it", "bare", "bare, on one line"} {
				_, _, err := cozetoken.Read(map[string]string{name: all[form]}, options)
				want := name + ": holds what looks like a private key; put the key into PRIVATE_KEY, and correct this one"
				switch {
				case strings.HasSuffix(name, "PRIVATE_KEY"), name == "PRIVATE_KEY_2", name == "PRIVATE_KEY_3", name == "APPS":
					continue
				case strings.HasSuffix(name, "_FILE") && name != "AUDIT_FILE", strings.HasSuffix(name, "_FILE_PATH"):
					want = name + ": holds the content of a file, not its name; "
				}
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s, %s: %v", name, form, err)
				}
			}
		}
		if s.Secret && !strings.HasPrefix(s.Name, "PRIVATE_KEY") && s.Name != "APPS" {
			_, _, err := cozetoken.Read(with("PRIVATE_KEY", "-", s.Name+"_FILE", "/key.pem"), file)
			want := s.Name + "_FILE: the file it names holds what looks like a private key; name it in PRIVATE_KEY_FILE"
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s in a file: %v", s.Name, err)
			}
		}
	}
	checkFaults(t, faultsOf(t, with("APPS", apps(t, "shop", map[string]any{"allowed_origins": privatePEM()})), native),
		"APPS.shop.allowed_origins: private key")
	members := sample()
	members["client_id"] = privatePEM()
	checkFaults(t, faultsOf(t, nil, fromFile(t, members)), "client_id in c.json: put the key into PRIVATE_KEY")
}
