package setting_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"coze-token/internal/setting"
)

// Security check 26.
func TestSecretIsNeverPrinted(t *testing.T) {
	const text = "hunter2hunter2"
	secret := setting.NewSecret(text)
	if secret.Reveal() != text || (setting.Secret{}).Reveal() != "" {
		t.Error("Reveal")
	}
	type inner struct{ hidden setting.Secret }
	type outer struct {
		Shown   setting.Secret
		Inner   inner
		Map     map[string]setting.Secret
		List    []setting.Secret
		Pointer *setting.Secret
	}
	value := outer{secret, inner{secret}, map[string]setting.Secret{"k": secret}, []setting.Secret{secret}, &secret}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%100s", "%.3s"} {
		fmt.Fprintf(&out, verb+"\n", secret)
		fmt.Fprintf(&out, verb+"\n", &secret)
		if got := fmt.Sprintf(verb, secret); verb != "%T" && got != "[secret]" {
			t.Errorf("%s: %s", verb, got)
		}
		fmt.Fprintf(&out, verb+"\n", value)
	}
	fmt.Fprintln(&out, secret, value, errors.New(secret.String()), fmt.Errorf("%w: %v", errors.ErrUnsupported, secret),
		secret.GoString())
	for _, data := range []any{value, secret, map[string]any{"s": secret}} {
		encoded, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(encoded)
	}
	if encoded, err := json.Marshal(secret); err != nil || string(encoded) != `"[secret]"` {
		t.Errorf("JSON: %s, %v", encoded, err)
	}
	if encoded, err := xml.Marshal(secret); err == nil {
		out.Write(encoded)
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("x", "secret", secret, "value", value, "group", slog.GroupValue(slog.Any("s", secret)))
	}
	for _, form := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text), "hun"} {
		if strings.Contains(out.String(), form) {
			t.Errorf("%q is in what was printed:\n%s", form, out.String())
		}
	}
}
