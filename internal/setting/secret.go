package setting

import (
	"fmt"
	"io"
	"log/slog"
)

// A Secret is a text that prints as "[secret]" wherever it is printed, encoded or logged, by itself
// or deep inside another value (security check 26). It is a struct around a pointer and not a
// string type, because fmt does not call methods on unexported fields: it would print a string
// there, and prints an address here.
type Secret struct{ text *string }

// NewSecret wraps text.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal returns the text itself, for the one place that uses it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

const redacted = "[secret]"

// MarshalText serves encoding/json as well.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

func (s Secret) String() string             { return redacted }
func (s Secret) GoString() string           { return redacted }
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }
func (s Secret) LogValue() slog.Value       { return slog.StringValue(redacted) }
