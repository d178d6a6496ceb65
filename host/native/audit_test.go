package native_test

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"coze-token/host/native"
)

func TestLostAuditRecordsAreTold(t *testing.T) {
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skip("there is no " + full + " here")
	}
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		audit, err := native.OpenAudit(full, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		told := func(want string) {
			t.Helper()
			if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "AUDIT_FILE") || !strings.Contains(got, want) {
				t.Errorf("the log does not have one line with %s: %s", want, got)
			}
			log.Reset()
		}
		for range 5 {
			audit.Logger().Info("request")
		}
		told("lost=1 ")
		time.Sleep(time.Minute) // the bubble's
		audit.Logger().Info("request")
		told("lost=5 ")
	})
}
