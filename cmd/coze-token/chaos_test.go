//go:build unix

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"coze-token/internal/redistest"
)

// Whatever can fail fails while many callers ask three replicas behind nginx: Redis, the replicas,
// a file of settings, Coze. Each answer is a token of the caller's own session, or the refusal that
// the request deserves. While Coze is down, it may also be a failure that says so. No request is
// lost with the replica that is killed, because nginx sends it to another one. In the end, what the
// replicas counted is what was answered, and they are as small as at the start.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	nginx := needNginx(t)
	t.Parallel()
	f := newFleet(t)
	for range 3 {
		f.start()
	}
	f.startNginx(nginx)
	f.begin()
	f.answered(300)

	// Redis fails over while Coze is slow. Meanwhile, a replica is killed with requests open, and another
	// is started in its place.
	f.faults("latency=300ms")
	began := time.Now()
	f.redis.Primary.Kill()
	killed := f.replicas[0]
	redistest.Until(t, "requests wait", func() bool { return f.gauge(killed, "coze_token_calls") > 0 })
	known := f.scrape(killed)
	killed.Process.Kill()
	killed.Wait()
	f.remove(killed)
	redistest.Until(t, "two replicas share again", func() bool { return f.share(f.replicas[0], f.replicas[1]) })
	t.Logf("replicas shared tokens again %v after the primary's death", time.Since(began).Round(10*time.Millisecond))
	f.answered(100) // nginx still lists the replica that was killed
	f.start()
	f.route()
	redistest.Until(t, "the new replica shares", func() bool { return f.share(f.replicas[0], f.replicas[2]) })

	// A replica is replaced, also with requests open. The certificate is renewed.
	f.faults("latency=1s")
	f.renew(2)
	f.start()
	old := f.replicas[0]
	if err := old.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	redistest.Until(t, "it says that it stops", func() bool { return f.ready(old) == 503 })
	f.answered(50) // it goes on for so long
	f.remove(old)
	f.route()
	f.addsUp(old)
	if err := old.Wait(); err != nil {
		t.Errorf("the replica that was replaced: %v", err)
	}
	f.faults()
	for _, r := range f.replicas {
		redistest.Until(t, "the renewed certificate is served", func() bool { return f.serial(r) == 2 })
	}

	// A file of settings breaks and is mended.
	f.writeKeys("failed", "other="+f.added, "backend=short")
	f.answered(100)
	f.writeKeys("ok", "other="+f.added, "backend="+f.key)
	for _, r := range f.replicas {
		f.ask(f.direct, r.url, question{"/", header("X-API-Key", f.added, "X-User-ID", "user-1"), "user-1", "200"})
	}

	// Coze is down. Remembered tokens are still handed out.
	f.down.Store(true)
	f.faults("503,every=2", "reset")
	failed, good := f.failed.Load(), f.good.Load()
	redistest.Until(t, "Coze is seen to be down", func() bool {
		return f.failed.Load() >= failed+20 && f.good.Load() >= good+100
	})
	f.faults()
	redistest.Until(t, "Coze is seen to be back", func() bool {
		failed := f.failed.Load()
		f.answered(200)
		return f.failed.Load() == failed
	})
	f.down.Store(false)
	f.answered(200)

	f.end()
	f.route() // nginx closes its connections
	f.server.CloseClientConnections()
	for _, r := range f.replicas {
		f.addsUp(r)
		for name, more := range bounds {
			redistest.Until(t, fmt.Sprintf("%s of %s comes back to %.0f", name, r.host, r.start[name]),
				func() bool { return f.gauge(r, name) <= r.start[name]+more })
			t.Logf("%s of %s: %.0f at the start, %.0f in the end", name, r.host, r.start[name], f.gauge(r, name))
		}
	}
	for series, n := range known {
		if counted := f.counted[killed.host][series]; counted < n {
			t.Errorf("the replica that was killed had given %d answers %q, and %d were received", n, series, counted)
		}
	}
	f.checkDocumented()
	f.checkLogs()
	t.Logf("%d tokens, %d failures of Coze, %d requests to it: %v", f.good.Load(), f.failed.Load(),
		f.coze.Exchanges(), f.total())
}

// bounds are how much more of everything a replica may have in the end than after its first token.
// Memory grows by some 8 MB, and by 40 MB with the race detector.
var bounds = map[string]float64{
	"go_goroutines": 10, "process_open_fds": 20, "process_resident_memory_bytes": 64e6,
}

// total is how often each answer was given.
func (f *fleet) total() map[string]int {
	total := map[string]int{}
	for _, answers := range f.counted {
		for series, n := range answers {
			total[series] += n
		}
	}
	return total
}

// checkDocumented fails for answers that docs/http.md does not list.
func (f *fleet) checkDocumented() {
	page := readFile(f.t, "../../docs/http.md")
	for series := range f.total() {
		words := strings.Fields(series) // path, status, code
		if len(words) == 3 && !strings.Contains(page, fmt.Sprintf("| %s | `%s` |", words[1], words[2])) {
			f.t.Errorf("docs/http.md does not list %s", series)
		}
	}
}

// checkLogs fails if a log holds a secret or the trace of a bug.
func (f *fleet) checkLogs() {
	for _, r := range f.all {
		for _, bad := range []string{"DATA RACE", `"msg":"panic"`, "czs_", f.key, f.added} {
			if log := r.log.String(); strings.Contains(log, bad) {
				f.t.Errorf("the log of a replica holds %.20q", bad)
			}
		}
	}
}

// renew writes a new certificate with its key.
func (f *fleet) renew(serial int64) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	der, err := certificate(key, serial)
	if err != nil {
		f.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		f.t.Fatal(err)
	}
	f.roots.AddCert(cert)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		f.t.Fatal(err)
	}
	writePEM(f.t, filepath.Join(f.dir, "cert.pem"), "CERTIFICATE", der)
	writePEM(f.t, filepath.Join(f.dir, "key.pem"), "PRIVATE KEY", keyDER)
}

// writeKeys replaces API_KEYS_FILE, and waits until the replicas have read it with an outcome.
func (f *fleet) writeKeys(outcome string, lines ...string) {
	f.t.Helper()
	file := filepath.Join(f.dir, "api_keys")
	if err := os.WriteFile(file+".new", []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		f.t.Fatal(err)
	}
	reloads := `coze_token_reloads_total{outcome="` + outcome + `"}`
	for _, r := range f.replicas {
		before := f.gauge(r, reloads)
		if err := r.Process.Signal(syscall.SIGHUP); err != nil {
			f.t.Fatal(err)
		}
		redistest.Until(f.t, reloads+" moves", func() bool { return f.gauge(r, reloads) > before })
	}
}

// addsUp waits until a replica has counted what it was seen to answer.
func (f *fleet) addsUp(r *replica) {
	f.t.Helper()
	var has, want map[string]int
	defer func() {
		if !maps.Equal(has, want) {
			f.t.Logf("%s counted %v and answered %v", r.host, has, want)
		}
	}()
	redistest.Until(f.t, "metrics add up", func() bool {
		f.mu.Lock()
		want = maps.Clone(f.counted[r.host])
		f.mu.Unlock()
		has = f.scrape(r)
		return maps.Equal(has, want)
	})
}
