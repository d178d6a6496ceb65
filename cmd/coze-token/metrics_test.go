//go:build unix

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"coze-token/internal/redistest"
)

// startMeasured starts a service with metrics, and uses it in all ways that leave a trace there.
// Metrics is the address of /metrics.
func startMeasured(t *testing.T) (metrics string) {
	t.Helper()
	sb, environ := startSandboxServer(t)
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"keys":[]}`)
	}))
	t.Cleanup(keys.Close)
	app := sb.Settings("http://127.0.0.1:1")
	open := map[string]string{"client_id": app["CLIENT_ID"], "kid": app["KID"], "private_key": app["PRIVATE_KEY"]}
	users := map[string]string{"jwt_issuer": keys.URL, "jwt_audience": "callers-own-page", "jwks_url": keys.URL}
	maps.Copy(users, open)
	apps, err := json.Marshal(map[string]any{"users": users, "open": open})
	if err != nil {
		t.Fatal(err)
	}
	var log logBuffer
	service := serve(t, &log, append(environ, "LISTEN=127.0.0.1:0", "METRICS_LISTEN=127.0.0.1:0", "RATE_LIMIT=62/1h",
		"RATE_LIMIT_SESSION=5/1h", "TRUSTED_PROXIES=127.0.0.1", "REDIS_URL="+redistest.Start(t, redistest.Options{}).URL,
		"APPS="+string(apps))...)
	found := regexp.MustCompile(`"msg":"metrics","url":"([^"]+)"`).FindStringSubmatch(log.String())
	if found == nil {
		t.Fatalf("where the metrics are is not said: %s", log.String())
	}
	ask := func(address, path, user string, want int) {
		t.Helper()
		request, err := http.NewRequest("POST", service+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Forwarded-For", address)
		request.Header.Set("X-User-ID", user)
		if path == "/users" {
			part := base64.RawURLEncoding.EncodeToString
			request.Header.Set("Authorization", "Bearer "+part([]byte(`{"alg":"RS256","kid":"callers-own-key"}`))+"."+
				part([]byte(`{"iss":"`+keys.URL+`","aud":"callers-own-page","sub":"x"}`))+"."+part([]byte("x")))
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Fatalf("%s for %s: status %d, not %d", path, user, response.StatusCode, want)
		}
	}
	const home = "192.0.2.1"
	for i := range 7 {
		want := http.StatusOK
		if i >= 5 {
			want = http.StatusTooManyRequests
		}
		ask(home, "/", "callers-own-text", want)
	}
	ask(home, "/callers-own-path", "x", http.StatusNotFound)
	ask(home, "/users", "", http.StatusServiceUnavailable)
	for i := range 32 { // an address begins half as many exchanges as it may send requests, and not fewer than 30
		want := http.StatusOK
		if i == 31 {
			want = http.StatusTooManyRequests
		}
		ask("192.0.2.2", "/open", fmt.Sprint("callers-own-text-", i), want)
	}
	if err := sb.Fail("unknown-key"); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		ask(fmt.Sprint("192.0.3.", i), "/", fmt.Sprint("user-2", i), http.StatusBadGateway)
	}
	if err := sb.Fail(); err != nil {
		t.Fatal(err)
	}
	return found[1]
}

// What the service did adds up in its metrics, and no text of a caller's is in them.
func TestMetrics(t *testing.T) {
	metrics := startMeasured(t)
	status, text := get(t, metrics)
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	for _, want := range []string{
		`coze_token_requests_total{app="/",way="open",status="200",code="",cache="miss"} 1`,
		`coze_token_requests_total{app="/",way="open",status="200",code="",cache="hit"} 4`,
		`coze_token_requests_total{app="/",way="open",status="429",code="rate_limited",cache=""} 2`,
		`coze_token_requests_total{app="/",way="open",status="502",code="upstream_rejected",cache="miss"} 3`,
		`coze_token_rate_limited_total{limit="session"} 2`,
		`coze_token_exchanges_total{app="/",outcome="ok"} 1`,
		`coze_token_rate_limited_total{limit="exchange"} 1`,
		`coze_token_exchanges_total{app="/",outcome="rejected"} 3`,
		`coze_token_exchange_duration_seconds_count{app="/"} 4`,
		`coze_token_request_duration_seconds_count{app="/",cache="hit"} 4`,
		`coze_token_cache_entries 35`,
		`coze_token_budget_limit 6000`,
		`coze_token_store_faults_total 0`,
		`coze_token_breaker_state{app="/",state="open"} 1`,
		`coze_token_breaker_state{app="/",state="closed"} 0`,
		`coze_token_breaker_state{app="/open",state="closed"} 1`,
		`coze_token_store_duration_seconds_count{operation="get"} `,
		`coze_token_store_duration_seconds_count{operation="claim"} `,
		`coze_token_store_duration_seconds_count{operation="put"} `,
		`coze_token_shared_limit_duration_seconds_count{limit="session"} `,
		`coze_token_login_key_fetch_duration_seconds_count 1`,
		`coze_token_records_lost_total{kind="log"} 0`,
		`coze_token_shared_limit_faults_total{limit="address"} 0`,
		`coze_token_reloads_total{outcome="failed"} 0`,
		`coze_token_build_info{version=`,
		`process_start_time_seconds 1`,
	} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("%s is missing", want)
		}
	}
	for _, secret := range []string{"callers-own", "user-2", "czs_", "X-User-ID"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in the metrics", secret)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
	if status, _ := get(t, strings.TrimSuffix(metrics, "metrics")); status != http.StatusNotFound {
		t.Errorf("beside the metrics there is something: %d", status)
	}
}

// sample is the value of a metric in the text of /metrics.
func sample(t testing.TB, text, name string) float64 {
	t.Helper()
	_, rest, _ := strings.Cut(text, "\n"+name+" ")
	value, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseFloat(value, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// needProgram skips a test whose program is somebody else's and not here.
func needProgram(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("there is no %s on PATH: apt-get install prometheus", name)
	}
	return path
}

// The metrics are as Prometheus wants them.
func TestMetricsForPromtool(t *testing.T) {
	promtool := needProgram(t, "promtool")
	_, text := get(t, startMeasured(t))
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// Each alert fires when it should, and not before.
func TestAlerts(t *testing.T) {
	promtool := needProgram(t, "promtool")
	for _, args := range [][]string{
		{"check", "config", "prometheus.yml"}, {"test", "rules", "coze-token.rules.test.yml"},
	} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = "../../deploy/prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
	rules := readFile(t, "../../deploy/prometheus/coze-token.rules.yml")
	tests := readFile(t, "../../deploy/prometheus/coze-token.rules.test.yml")
	for _, alert := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(rules, -1) {
		if !strings.Contains(tests, "alertname: "+alert[1]) {
			t.Errorf("%s has no test", alert[1])
		}
	}
	for _, page := range []string{"../../docs/metrics.md", "../../docs/metrics.zh-CN.md"} {
		text := readFile(t, page)
		for _, alert := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(rules, -1) {
			if !strings.Contains(text, "`"+alert[1]+"`") {
				t.Errorf("%s does not say what to do about %s", page, alert[1])
			}
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A real Prometheus scrapes the service, and has data for every query of the dashboard.
func TestDashboard(t *testing.T) {
	prometheus := needProgram(t, "prometheus")
	metrics := startMeasured(t)
	target, err := url.Parse(metrics)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, `
scrape_configs:
  - job_name: coze-token
    scrape_interval: 500ms
    scrape_timeout: 500ms
    static_configs: [{ targets: ["%s"] }]
`, target.Host), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	cmd := exec.Command(prometheus, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--log.level=error")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() })

	// query is how many series an expression has. An expression that is wrong is a failure.
	query := func(expr string) int {
		response, err := http.Get("http://" + address + "/api/v1/query?query=" + url.QueryEscape(expr))
		if err != nil {
			return 0 // it has not started
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		var answer struct {
			Status string
			Data   struct{ Result []any }
		}
		if json.Unmarshal(body, &answer) != nil || answer.Status != "success" {
			if response.StatusCode != http.StatusServiceUnavailable { // it starts
				t.Fatalf("%s: %s", expr, body)
			}
			return 0
		}
		return len(answer.Data.Result)
	}
	eventually(t, "the service is up", func() bool { return query(`up{job="coze-token"} == 1`) == 1 })

	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal([]byte(readFile(t, "../../deploy/grafana/coze-token.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	queries := 0
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			expr := strings.ReplaceAll(target.Expr, "$__rate_interval", "1m")
			eventually(t, expr+" has data", func() bool { return query(expr) > 0 })
			queries++
		}
	}
	if queries < 15 {
		t.Errorf("the dashboard has %d queries only", queries)
	}
}
