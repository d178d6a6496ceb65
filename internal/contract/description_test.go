package contract

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"coze-token/internal/auth"
	"coze-token/internal/gate"
	"coze-token/internal/setting"
)

func describe(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := description()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// People look codes up in the pages, in their language.
func TestPagesHaveTheCodes(t *testing.T) {
	want := map[string]bool{}
	for _, item := range describe(t).Paths.Map() {
		for _, o := range item.Operations() {
			for status, r := range o.Responses.Map() {
				for code := range codesOf(r.Value) {
					want[status+" "+code] = true
				}
			}
		}
	}
	row := regexp.MustCompile("(?m)^\\| (\\d{3}) \\| `(\\w+)` \\|")
	for _, page := range []string{"../../docs/http.md", "../../docs/http.zh-CN.md"} {
		got := map[string]bool{}
		for _, m := range row.FindAllStringSubmatch(file(t, page), -1) {
			got[m[1]+" "+m[2]] = true
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s has %q, the description %q", page, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	}
}

// The pages begin with what there is.
func TestPagesHaveThePaths(t *testing.T) {
	request := regexp.MustCompile("`(?:GET|POST) (/[^`]*)`")
	var want []string
	for path := range describe(t).Paths.Map() {
		want = append(want, path)
	}
	slices.Sort(want)
	for _, page := range []string{"../../docs/http.md", "../../docs/http.zh-CN.md"} {
		table := regexp.MustCompile(`(?m)(^\|.*\n)+`).FindString(file(t, page))
		var got []string
		for _, m := range request.FindAllStringSubmatch(table, -1) {
			got = append(got, strings.NewReplacer("/NAME", "/{app}", "/名称", "/{app}").Replace(m[1]))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s has %q, the description %q", page, got, want)
		}
	}
}

func file(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Each header that the service reads is described, and no other.
func TestDescriptionHasTheRequestHeaders(t *testing.T) {
	doc := describe(t)
	got := map[string]bool{"Authorization": true, "Cookie": true} // of the schemes bearer and visitorCookie
	for _, p := range doc.Components.Parameters {
		if p.Value.In == openapi3.ParameterInHeader {
			got[http.CanonicalHeaderKey(p.Value.Name)] = true
		}
	}
	for _, s := range doc.Components.SecuritySchemes {
		if s.Value.In == openapi3.ParameterInHeader {
			got[http.CanonicalHeaderKey(s.Value.Name)] = true
		}
	}
	want := map[string]bool{}
	everyWay := auth.Config{
		VisitorSecrets: []setting.Secret{setting.NewSecret("")}, WeChat: &auth.WeChatOptions{},
		Logins: []auth.LoginOptions{{Header: auth.AccessHeader}},
	}
	for _, name := range append(everyWay.Headers(), gate.RequestHeaders...) {
		want[http.CanonicalHeaderKey(name)] = true
	}
	if !maps.Equal(got, want) {
		t.Errorf("described are %q, and read are %q", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}

// What the suite's transport refuses: each answer differs in one thing from one that is described.
func TestUndescribedIsRefused(t *testing.T) {
	doc := describe(t)
	const id = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	token := `{"access_token":"t","expires_in":1,"token_type":"Bearer","token":"t","ttl":1}`
	without := func(text, part string) string { return strings.Replace(text, part, "", 1) }
	notFound := `{"error":"e","code":"not_found","hint":"h","request_id":"` + id + `"}`
	for name, c := range map[string]struct {
		request string
		status  int
		headers []string
		body    string
		ok      bool
	}{
		"a token":                    {request: "POST /", status: 200, body: token, ok: true},
		"another status":             {request: "POST /", status: 201, body: token},
		"another header":             {request: "POST /", status: 200, headers: []string{"Server", "x"}, body: token},
		"a header's value":           {request: "POST /", status: 200, headers: []string{"Vary", "Accept"}, body: token},
		"no X-Request-ID":            {request: "POST /", status: 200, headers: []string{"X-Request-ID", ""}, body: token},
		"another type":               {request: "POST /", status: 200, headers: []string{"Content-Type", "a/b"}, body: token},
		"another member":             {request: "POST /", status: 200, body: token[:len(token)-1] + `,"x":1}`},
		"a member less":              {request: "POST /", status: 200, body: without(token, `,"ttl":1`)},
		"a member of another type":   {request: "POST /", status: 200, body: strings.Replace(token, `1}`, `"1"}`, 1)},
		"two values":                 {request: "POST /", status: 200, body: token + token},
		"a request that is not":      {request: "POST /?min_ttl=x", status: 200, body: token},
		"a path that is not":         {request: "POST /a/b", status: 404, body: notFound, ok: true},
		"a token where nothing is":   {request: "POST /a/b", status: 200, body: token},
		"a code of another status":   {request: "POST /a/b", status: 404, body: without(notFound, "not_")},
		"a failure with a member":    {request: "POST /a/b", status: 404, body: notFound[:len(notFound)-1] + `,"x":1}`},
		"a body where there is none": {request: "HEAD /healthz", status: 200, body: `{"status":"ok"}`},
		"no body":                    {request: "HEAD /healthz", status: 200, ok: true},
	} {
		method, target, _ := strings.Cut(c.request, " ")
		r, err := http.NewRequest(method, "http://127.0.0.1"+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		for name, value := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"X-Request-ID": id, "Content-Type": "application/json; charset=utf-8",
		} {
			h.Set(name, value)
		}
		if c.status >= 400 {
			h.Set("Content-Language", "en")
			h.Set("Vary", "Accept-Language")
		}
		if c.headers != nil {
			h.Set(c.headers[0], c.headers[1])
			if c.headers[1] == "" {
				h.Del(c.headers[0])
			}
		}
		response := &http.Response{StatusCode: c.status, Header: h, Body: io.NopCloser(bytes.NewReader(nil))}
		if err := check(doc, r, response, []byte(c.body)); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The library of the description is for tests alone.
func TestNoHostLinksTheLibrary(t *testing.T) {
	for pkg, environ := range map[string][]string{
		"coze-token/cmd/coze-token": nil, "coze-token/cmd/worker": {"GOOS=wasip1", "GOARCH=wasm"},
	} {
		list := exec.Command("go", "list", "-deps", pkg)
		list.Env = append(os.Environ(), environ...)
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, foreign := range []string{"kin-openapi", "jsonschema", "internal/contract"} {
			if strings.Contains(string(out), foreign) {
				t.Errorf("%s links %s", pkg, foreign)
			}
		}
	}
}
