package native_test

import (
	"strings"
	"testing"

	"coze-token/internal/native"
)

func TestYAMLToJSON(t *testing.T) {
	for text, want := range map[string]string{
		"a: {k: v}\n":                       `{"a": {"k": "v"}}`,
		"%YAML 1.2\n---\na: {k: v}\n...\n":  `{"a": {"k": "v"}}`,
		"---\na: {k: v}\n---\n":             `{"a": {"k": "v"}}`,
		"a: {bots: [7388123456789012345]}":  `{"a": {"bots": [7388123456789012345]}}`,
		"a: &x {k: v}\nb:\n  <<: *x\n":      `{"a": {"k": "v"}, "b": {"k": "v"}}`,
		"a: {k: \"x\\ny\"}":                 `{"a": {"k": "x\ny"}}`,
		"a: {b: ~, c: yes, d: true, e: -1}": `{"a": {"b": null, "c": "yes", "d": true, "e": -1}}`,
	} {
		got, err := native.YAMLToJSON([]byte(text))
		if strings.TrimSpace(string(got)) != want || err != nil {
			t.Errorf("%q: %s, %v; want %s", text, got, err, want)
		}
	}
}

// Nothing is dropped, changed or quoted.
func TestYAMLFaults(t *testing.T) {
	for text, want := range map[string]string{
		"a: {k: v}\n---\nb: {k: hunter2}\n":        "has a second YAML document from line 3",
		"a: {k: v}\n...\nb: {k: hunter2}\n":        "has a second YAML document from line 3",
		"a:\n\tk: hunter2\n":                       "wrong at line 2, column 1; indent with spaces",
		"a:\n  k: v\n k: hunter2\n":                "wrong at line 3",
		"a:\n  k: hunter2\na:\n  k: w\n":           "has a name twice: the second is at line 3",
		"a:\n  k: hunter2\n  k: w\n":               "has a name twice: the second is at line 3",
		"a:\n  client_id: 0123\n":                  "not written in plain digits in line 2; put it in quotes",
		"a:\n  client_id: 0x10\n":                  "not written in plain digits in line 2; put it in quotes",
		"a:\n  client_id: 1_000\n":                 "not written in plain digits in line 2; put it in quotes",
		"a:\n  client_id: 1.0\n":                   "a number with a fraction in line 2",
		"a:\n  k: !!binary aHVudGVyMg==\n":         "a tag (!) in line 2",
		"a: *hunter2\n":                            "wrong at line 1",
		"a: {k: \"hunter2}\n":                      "neither JSON nor YAML",
		"a:\n  k: |\n   hunter2\n  hunter2\n- b\n": "neither JSON nor YAML",
	} {
		got, err := native.YAMLToJSON([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %s, %v; want %s", text, got, err, want)
		}
	}
}

func FuzzYAMLToJSON(f *testing.F) {
	f.Add("a: {k: v}\n---\nb: 1")
	f.Add("a: &x\n  client_id: 012\nb:\n  <<: *x\n")
	f.Fuzz(func(t *testing.T, text string) { native.YAMLToJSON([]byte(text)) })
}
