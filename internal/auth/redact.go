package auth

import (
	"fmt"
	"io"
	"log/slog"
)

// A redacted type prints as "[secret]" wherever it is printed, encoded or logged. What holds
// secrets embeds it (security check 26). fmt calls no method on an unexported field of another
// value, so what holds secrets is handed out as a pointer, which fmt prints as an address there.
type redacted struct{}

const secretText = "[secret]"

func (redacted) MarshalText() ([]byte, error) { return []byte(secretText), nil }
func (redacted) String() string               { return secretText }
func (redacted) GoString() string             { return secretText }
func (redacted) Format(f fmt.State, _ rune)   { io.WriteString(f, secretText) }
func (redacted) LogValue() slog.Value         { return slog.StringValue(secretText) }
