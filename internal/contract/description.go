package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// descriptionFile is seen from the folders of the packages that run the suite.
const descriptionFile = "../../docs/openapi.yaml"

// description is docs/openapi.yaml.
var description = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromFile(descriptionFile)
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(context.Background())
})

// otherwise are the answers to a request of which the description has no operation: the names of
// components. So says the description's text.
var otherwise = map[int]string{
	http.StatusForbidden: "Forbidden", http.StatusNotFound: "NotFound",
	http.StatusMethodNotAllowed: "MethodNotAllowed", http.StatusMisdirectedRequest: "Misdirected",
}

// framing are the headers of HTTP itself, which a host adds.
var framing = []string{"Connection", "Content-Length", "Date", "Transfer-Encoding"}

// A described transport holds each request and its answer against the description. What is not as
// described is an error, as if there had been no answer.
type described struct{ http.RoundTripper }

func (d described) RoundTrip(r *http.Request) (*http.Response, error) {
	sent, err := resend(r)
	if err != nil {
		return nil, err
	}
	response, err := d.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	doc, err := description()
	if err == nil {
		err = check(doc, sent, response, body)
	}
	if err != nil {
		return nil, fmt.Errorf("docs/openapi.yaml: %s %s, status %d: %w", r.Method, r.URL.Path, response.StatusCode, err)
	}
	return response, nil
}

// resend gives a request's body a second reader.
func resend(r *http.Request) (*http.Request, error) {
	again := r.Clone(r.Context())
	if r.Body == nil || r.Body == http.NoBody {
		return again, nil
	}
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	r.Body, again.Body = io.NopCloser(bytes.NewReader(body)), io.NopCloser(bytes.NewReader(body))
	return again, err
}

// check holds one request and its answer against the description, and notes what was seen of it.
func check(doc *openapi3.T, r *http.Request, response *http.Response, body []byte) error {
	route, parameters := find(doc, r)
	var want *openapi3.ResponseRef
	if route.Operation != nil {
		want = route.Operation.Responses.Status(response.StatusCode)
	} else if name, ok := otherwise[response.StatusCode]; ok {
		want = &openapi3.ResponseRef{Ref: "#/components/responses/" + name, Value: doc.Components.Responses[name].Value}
	}
	if want == nil {
		return errors.New("the status is not described")
	}
	if route.Operation != nil && response.StatusCode < 400 {
		err := openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
			Request: r, PathParams: parameters, Route: route, Options: &openapi3filter.Options{
				AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true,
			},
		})
		if err != nil {
			return fmt.Errorf("the request is not described: %w", err)
		}
	}
	if err := checkDescribedHeaders(want.Value, response.Header); err != nil {
		return err
	}
	code, err := checkBody(want, r.Method, response.Header.Get("Content-Type"), body)
	if err != nil {
		return err
	}
	seen.add(route, want.Value, response, code)
	return nil
}

// find finds the operation of a request. It is nil if the description has none.
func find(doc *openapi3.T, r *http.Request) (*routers.Route, map[string]string) {
	path := r.URL.EscapedPath()
	route := &routers.Route{Spec: doc, Path: path, Method: r.Method, PathItem: doc.Paths.Value(path)}
	var parameters map[string]string
	if name := strings.TrimPrefix(path, "/"); route.PathItem == nil && name != "" && !strings.Contains(name, "/") {
		route.Path = "/{app}"
		route.PathItem, parameters = doc.Paths.Value(route.Path), map[string]string{"app": name}
	}
	if route.PathItem != nil {
		route.Operation = route.PathItem.Operations()[r.Method]
	}
	return route, parameters
}

// checkDescribedHeaders insists that an answer has the headers that the description requires, and
// no others.
func checkDescribedHeaders(want *openapi3.Response, got http.Header) error {
	described := map[string]*openapi3.HeaderRef{}
	for name, header := range want.Headers {
		name = http.CanonicalHeaderKey(name)
		described[name] = header
		if header.Value.Required && len(got[name]) == 0 {
			return fmt.Errorf("the header %s is missing", name)
		}
	}
	for name, values := range got {
		header, ok := described[name]
		switch {
		case slices.Contains(framing, name) || name == "Content-Type": // which the body's description has
			continue
		case !ok:
			return fmt.Errorf("the header %s is not described", name)
		}
		var value any = strings.Join(values, ", ")
		if header.Value.Schema.Value.Type.Is("integer") {
			if n, err := strconv.ParseInt(values[0], 10, 64); err == nil && len(values) == 1 {
				value = n
			}
		}
		if err := matches(header.Ref+"/schema", value); err != nil {
			return fmt.Errorf("the header %s: %w", name, err)
		}
	}
	return nil
}

// checkBody insists that an answer has a body of a described type, and returns the code of a
// failure.
func checkBody(want *openapi3.ResponseRef, method, contentType string, body []byte) (code string, err error) {
	described := want.Value.Content
	_, ok := described[contentType]
	switch {
	case described == nil && contentType != "", described != nil && !ok:
		return "", fmt.Errorf("Content-Type %q is not described", contentType)
	case described == nil || method == http.MethodHead:
		if len(body) != 0 {
			return "", errors.New("there is a body")
		}
		return "", nil
	}
	var value any = string(body)
	if strings.HasPrefix(contentType, "application/json") {
		d := json.NewDecoder(bytes.NewReader(body))
		if err := d.Decode(&value); err != nil || d.More() {
			return "", errors.New("the body is not one JSON value")
		}
		members, _ := value.(map[string]any)
		code, _ = members["code"].(string)
	}
	place := want.Ref + "/content/" + url.PathEscape(strings.ReplaceAll(contentType, "/", "~1")) + "/schema"
	if err := matches(place, value); err != nil {
		return "", fmt.Errorf("the body: %w", err)
	}
	return code, nil
}

// schemas are the description's, each compiled once. An [openapi3.Schema] is compiled for each value.
var schemas = struct {
	sync.Mutex
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema // :: place in the description
}{compiled: map[string]*jsonschema.Schema{}}

// schemaAt compiles the schema at a place in the description.
func schemaAt(place string) (*jsonschema.Schema, error) {
	schemas.Lock()
	defer schemas.Unlock()
	if s := schemas.compiled[place]; s != nil {
		return s, nil
	}
	const name = "mem:///openapi.json"
	if schemas.compiler == nil {
		doc, err := description()
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(doc)
		if err != nil {
			return nil, err
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return nil, err
		}
		schemas.compiler = jsonschema.NewCompiler()
		if err := schemas.compiler.AddResource(name, value); err != nil {
			return nil, err
		}
	}
	s, err := schemas.compiler.Compile(name + place)
	schemas.compiled[place] = s
	return s, err
}

// matches holds a value against the schema at a place. The error says where it differs, and no
// value.
func matches(place string, value any) error {
	schema, err := schemaAt(place)
	if err != nil {
		return err
	}
	e, ok := errors.AsType[*jsonschema.ValidationError](schema.Validate(value))
	if !ok {
		return nil
	}
	var where []string
	for _, unit := range e.BasicOutput().Errors {
		where = append(where, fmt.Sprintf("%q breaks %s", unit.InstanceLocation, unit.KeywordLocation))
	}
	return errors.New(strings.Join(where, "; "))
}

// sightings are what the suite has seen of the description.
type sightings struct {
	mu   sync.Mutex
	seen map[string]bool
}

var seen = sightings{seen: map[string]bool{}}

// add notes an answer. Headers and codes are those of a response, which operations share.
func (s *sightings) add(route *routers.Route, response *openapi3.Response, got *http.Response, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if route.Operation != nil {
		s.seen[operation(route.Method, route.Path, strconv.Itoa(got.StatusCode))] = true
	}
	name := *response.Description
	for header := range got.Header {
		s.seen[part(name, "the header "+header)] = true
	}
	s.seen[part(name, "the code "+code)] = true
}

func operation(method, path, status string) string { return method + " " + path + ": " + status }
func part(response, what string) string            { return fmt.Sprintf("%q: %s", response, what) }

// testDescription insists that the suite has seen all that the description holds, as far as this
// host can give it, and nothing that only another can.
func testDescription(t *testing.T, host string) {
	doc, err := description()
	if err != nil {
		t.Fatal(err)
	}
	var unseen, foreign []string
	expect := func(what string, extensions ...map[string]any) {
		here := true
		for _, e := range extensions {
			if only, ok := e["x-host"]; ok && only != host {
				here = false
			}
		}
		switch {
		case here && !seen.seen[what]:
			unseen = append(unseen, what)
		case !here && seen.seen[what]:
			foreign = append(foreign, what)
		}
	}
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			for status, r := range o.Responses.Map() {
				expect(operation(method, path, status), r.Value.Extensions, o.Extensions)
			}
		}
	}
	for _, r := range doc.Components.Responses {
		name := *r.Value.Description
		for header := range r.Value.Headers {
			expect(part(name, "the header "+http.CanonicalHeaderKey(header)), r.Value.Extensions)
		}
		for code, extensions := range codesOf(r.Value) {
			expect(part(name, "the code "+code), extensions, r.Value.Extensions)
		}
	}
	slices.Sort(unseen)
	slices.Sort(foreign)
	for _, what := range unseen {
		t.Errorf("no case has seen %s", what)
	}
	for _, what := range foreign {
		t.Errorf("this host is not said to give %s", what)
	}
}

// codesOf returns the codes of a failure, each with its extensions.
func codesOf(r *openapi3.Response) map[string]map[string]any {
	codes := map[string]map[string]any{}
	for _, media := range r.Content {
		for _, s := range media.Schema.Value.AllOf {
			code, ok := s.Value.Properties["code"]
			if !ok || s.Ref != "" {
				continue
			}
			for _, one := range append(code.Value.OneOf, code) {
				if word, ok := one.Value.Const.(string); ok {
					codes[word] = maps.Clone(one.Value.Extensions)
				}
			}
		}
	}
	return codes
}
