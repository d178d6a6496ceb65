package linkgate_test

import (
	"strings"
	"testing"

	"coze-token/worker/linkgate"
)

func TestWorkerLinksNoClient(t *testing.T) {
	if testing.Short() {
		t.Skip("builds two modules")
	}
	for _, pkg := range []string{"coze-token/worker/internal/testworker", "coze-token/cmd/worker"} {
		if err := linkgate.Check(pkg); err != nil {
			t.Error(err)
		}
	}
}

func TestClientIsFound(t *testing.T) {
	if testing.Short() {
		t.Skip("builds two modules")
	}
	err := linkgate.Check("coze-token/worker/linkgate/testdata/client")
	if err == nil || !strings.Contains(err.Error(), "net_http.__Client_.do") || !strings.Contains(err.Error(), "crypto_tls.__Conn_.") {
		t.Errorf("err = %v", err)
	}
}
