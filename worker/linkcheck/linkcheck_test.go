package linkcheck_test

import (
	"strings"
	"testing"

	"coze-token/worker/linkcheck"
)

func TestWorkersLinkNoClient(t *testing.T) {
	if testing.Short() {
		t.Skip("builds two modules")
	}
	for _, pkg := range []string{"../example", "../internal/testworker"} {
		if err := linkcheck.Check(pkg); err != nil {
			t.Error(err)
		}
	}
}

func TestClientIsFound(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a module")
	}
	err := linkcheck.Check("./testdata/client")
	if err == nil {
		t.Fatal("nothing is found")
	}
	for _, name := range []string{"net_http.__Client_.do", "crypto_tls.__Conn_."} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not in %v", name, err)
		}
	}
}
