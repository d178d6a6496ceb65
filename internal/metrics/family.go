//go:build !wasip1

package metrics

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// A family is all samples of one name. What is in no family is not written: the library has some
// fifty more that nobody asked for.
type family struct{ name, kind, help string }

// families are all metrics, in the order in which they are written. docs/metrics.md says what to do
// when one moves.
var families = []family{
	{"coze_token_requests_total", "counter", "Requests for a token that were answered."},
	{"coze_token_request_duration_seconds", "histogram", "How long requests for a token took."},
	{"coze_token_rate_limited_total", "counter", "Requests that a limit refused, by the kind of limit."},
	{"coze_token_exchanges_total", "counter", "Exchanges at Coze by how they ended; retries belong to one exchange."},
	{"coze_token_exchange_duration_seconds", "histogram", "How long exchanges at Coze took, retries included."},
	{"coze_token_calls", "gauge", "Calls for a token that go on now; each may have many callers."},
	{"coze_token_refreshes_total", "counter", "Tokens in use that were exchanged anew before their end."},
	{"coze_token_cache_entries", "gauge", "Tokens and failures that are remembered now."},
	{"coze_token_cache_evictions_total", "counter", "Tokens and failures that were forgotten for want of room."},
	{"coze_token_budget_limit", "gauge", "Exchanges a minute that MINT_BUDGET allows."},
	{"coze_token_budget_remaining", "gauge", "Exchanges that MINT_BUDGET allows at once."},
	{"coze_token_over_budget_total", "counter", "Exchanges that were not made because MINT_BUDGET was spent."},
	{"coze_token_breaker_state", "gauge", "1 for the state that an app's circuit breaker is in, 0 for the others."},
	{"coze_token_records_lost_total", "counter", "Log and audit records that could not be written."},
	{"coze_token_store_faults_total", "counter", "Operations of the shared store that failed."},
	{"coze_token_store_duration_seconds", "histogram", "How long operations of the shared store took."},
	{"coze_token_shared_limit_faults_total", "counter", "Operations of the shared counters that failed."},
	{"coze_token_shared_limit_duration_seconds", "histogram", "How long operations of the shared counters took."},
	{"coze_token_login_key_fetches_total", "counter", "Requests for the public keys of logins, by how they ended."},
	{"coze_token_login_key_fetch_duration_seconds", "histogram", "How long the provider of a login took to answer."},
	{"coze_token_reloads_total", "counter", "How often the settings were read again, by how it ended."},
	{"coze_token_connections", "gauge", "Connections of callers that are open now."},
	{"coze_token_connections_accepted_total", "counter", "Connections of callers that were accepted."},
	{"coze_token_tls_certificate_not_after_timestamp_seconds", "gauge", "When the certificate of TLS ends."},
	{"coze_token_build_info", "gauge", "Always 1; the labels say which build this is."},
	{"process_start_time_seconds", "gauge", "When the process started, as Unix time."},
	{"process_cpu_seconds_total", "counter", "CPU time that the process has used."},
	{"process_resident_memory_bytes", "gauge", "Memory of the process that is in RAM."},
	{"process_open_fds", "gauge", "Open files and connections."},
	{"process_max_fds", "gauge", "How many files and connections may be open."},
	{"go_goroutines", "gauge", "Goroutines that there are now."},
	{"go_memstats_heap_inuse_bytes", "gauge", "Memory in the heap's spans that are in use."},
	{"go_memstats_sys_bytes", "gauge", "Memory that Go has from the system."},
	{"go_gc_cpu_seconds_total", "counter", "CPU time that the garbage collector has used, as Go estimates it."},
}

// write writes the samples of the families, each family after its help and type.
func write(w io.Writer, samples func(io.Writer)) {
	var all bytes.Buffer
	samples(&all)
	lines := map[string][]string{}
	for line := range strings.Lines(all.String()) {
		name, _, _ := strings.Cut(line, " ")
		name, _, _ = strings.Cut(name, "{")
		lines[name] = append(lines[name], line)
	}
	for _, f := range families {
		names := []string{f.name}
		if f.kind == "histogram" {
			names = []string{f.name + "_bucket", f.name + "_sum", f.name + "_count"}
		}
		var text strings.Builder
		for _, name := range names {
			for _, line := range lines[name] {
				text.WriteString(line)
			}
		}
		if text.Len() > 0 {
			fmt.Fprintf(w, "# HELP %s %s\n# TYPE %[1]s %[3]s\n%[4]s", f.name, f.help, f.kind, text.String())
		}
	}
}
