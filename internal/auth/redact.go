package auth

import (
	"fmt"
	"io"
	"log/slog"
)

// A redacted type prints as "[secret]" wherever it is printed, encoded or logged. It is embedded in what holds secrets
// (security check 26). Where such a value is an unexported field of another, fmt calls no method on it; so what holds secrets
// is handed out as a pointer, which fmt then prints as an address.
type redacted struct{}

const secretText = "[secret]"

func (redacted) MarshalText() ([]byte, error) { return []byte(secretText), nil }
func (redacted) String() string               { return secretText }
func (redacted) GoString() string             { return secretText }
func (redacted) Format(f fmt.State, _ rune)   { io.WriteString(f, secretText) }
func (redacted) LogValue() slog.Value         { return slog.StringValue(secretText) }
