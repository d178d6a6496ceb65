package main

import (
	"os"
	"path/filepath"
	"testing"
)

// A file that is being written is read when it has been the same for one poll.
func TestAFileIsReadWhenItHasSettled(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("whole")
	s := &source{}
	if _, err := s.readFile(name); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		text string
		want bool
	}{
		{"whole", false},
		{"a", false}, {"an", false}, {"ano", false}, {"another", false}, {"another", true},
		{"whole", false}, {"whole", false}, // it is again as it was read
		{"x", false}, {"x", true},
	} {
		write(step.text)
		if got := s.changed(); got != step.want {
			t.Errorf("%q: %v", step.text, got)
		}
	}
}
