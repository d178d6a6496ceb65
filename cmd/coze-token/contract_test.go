package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	cozetoken "coze-token"
	"coze-token/internal/contract"
	"coze-token/internal/native"
	"coze-token/internal/testlog"
)

func TestContract(t *testing.T) { contract.Run(t, &nativeBuild{}) }

// nativeBuild runs "coze-token serve".
type nativeBuild struct{ log logBuffer }

func (*nativeBuild) Host() string { return "native" }

func (b *nativeBuild) Output() string { return b.log.String() }

func (b *nativeBuild) Start(t *testing.T, settings map[string]string) string {
	t.Helper()
	if _, _, err := cozetoken.Read(settings, cozetoken.Options{}); err != nil {
		return b.startMisconfigured(t, err)
	}
	return serve(t, &b.log, environOf(settings)...)
}

// StartDraining tells the service to stop as soon as it serves.
func (b *nativeBuild) StartDraining(t *testing.T, settings map[string]string) (string, bool) {
	url, stop := startServing(t, &b.log, append(environOf(settings), "DRAIN_DELAY=3")...)
	stop()
	eventually(t, "it is not ready", func() bool {
		status, _ := get(t, url+"/readyz")
		return status == http.StatusServiceUnavailable
	})
	return url, true
}

func environOf(settings map[string]string) []string {
	environ := []string{"LISTEN=127.0.0.1:0", "LOG_LEVEL=debug"}
	for name, value := range settings {
		environ = append(environ, name+"="+value)
	}
	return environ
}

// startMisconfigured serves what a host serves that cannot refuse to start. "coze-token serve" does
// refuse.
func (b *nativeBuild) startMisconfigured(t *testing.T, wrong error) string {
	l, err := native.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := native.Logger(&b.log, nil, "json")
	h := cozetoken.Misconfigured(wrong, "set them", log)
	untilCleanup(t, func(ctx context.Context) error { return native.Serve(ctx, l, h, native.Options{Log: log}) })
	return "http://" + l.Addr().String()
}

// serve runs "coze-token serve" until t ends and returns its base URL, without the slash at the
// end.
func serve(t *testing.T, log *logBuffer, environ ...string) string {
	t.Helper()
	url, _ := startServing(t, log, environ...)
	return url
}

// startServing is serve for a service that stop tells to stop.
func startServing(t *testing.T, log *logBuffer, environ ...string) (url string, stop func()) {
	t.Helper()
	lines, stderr := io.Pipe()
	stop = untilCleanup(t, func(ctx context.Context) error {
		defer stderr.Close()
		if code := run(ctx, []string{"serve"}, environ, io.Discard, io.MultiWriter(log, stderr)); code != exitOK {
			return errors.New("serve failed: " + log.String())
		}
		return nil
	})
	return strings.TrimSuffix(waitForURL(t, lines), "/"), stop
}

// waitForURL reads the log of "coze-token serve" up to the line that has the URL. It goes on
// reading in the background, so that the command can write.
func waitForURL(t testing.TB, log io.Reader) string {
	t.Helper()
	lines := bufio.NewReader(log)
	url := readURL(t, lines)
	go io.Copy(io.Discard, lines)
	return url
}

// readURL reads the log up to the line with the URL.
func readURL(t testing.TB, lines *bufio.Reader) string {
	t.Helper()
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatalf("serve ended before it served: %s", line)
		}
		var record struct{ Msg, URL string }
		if json.Unmarshal(line, &record) == nil && record.Msg == "serving" {
			return record.URL
		}
		if record.Msg != "metrics" {
			t.Logf("serve: %s", line)
		}
	}
}

// untilCleanup runs f until t ends, or until stop is called. Then f must return without an error.
func untilCleanup(t *testing.T, f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return cancel
}

type logBuffer = testlog.Buffer
