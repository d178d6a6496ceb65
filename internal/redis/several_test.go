//go:build unix

package redis_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coze-token/internal/ratelimit"
	"coze-token/internal/redis"
	"coze-token/internal/redistest"
)

// use does each operation once for a number of names, which lie on all nodes of a cluster.
func use(t *testing.T, s *redis.Store, turn int) error {
	ctx := t.Context()
	for i := range 30 {
		name, value := fmt.Sprint("name-", turn, "-", i), fmt.Sprint("value-", i)
		if ok, err := s.Claim(ctx, name+".claim", "me", time.Minute); err != nil || !ok {
			return fmt.Errorf("claim: %v, %w", ok, err)
		}
		if err := s.Put(ctx, name, []byte(value), time.Minute); err != nil {
			return err
		}
		if got, err := s.Get(ctx, name); err != nil || string(got) != value {
			return fmt.Errorf("%s, not %s: %w", got, value, err)
		}
		if d, err := s.Allow(ctx, name, ratelimit.Rate{Requests: 1, Per: time.Minute}); err != nil || !d.OK {
			return fmt.Errorf("allow: %+v, %w", d, err)
		}
		if err := s.Release(ctx, name+".claim", "me"); err != nil {
			return err
		}
	}
	return nil
}

// usable waits until all operations work.
func usable(t *testing.T, s *redis.Store, what string) {
	t.Helper()
	began := time.Now()
	var err error
	for turn := int(began.UnixNano()); time.Since(began) < 30*time.Second; turn++ {
		if err = use(t, s, turn); err == nil {
			t.Logf("%s: usable after %v", what, time.Since(began).Round(10*time.Millisecond))
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s: %v", what, err)
}

// A cluster of three, of which one node dies and its replica takes its place.
func TestCluster(t *testing.T) {
	var nodes []*redistest.Server
	var ports []string
	for range 4 {
		bus := redistest.FreePort(t)
		s := redistest.Start(t, redistest.Options{Args: []string{
			"--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "1000",
			"--cluster-config-file", filepath.Join(t.TempDir(), "nodes.conf"),
		}})
		nodes, ports = append(nodes, s), append(ports, bus)
	}
	ctx := t.Context()
	for i, slots := range [][2]int{{0, 5460}, {5461, 10922}, {10923, 16383}} {
		nodes[i].Do(ctx, "CLUSTER", "ADDSLOTSRANGE", slots[0], slots[1])
		nodes[i].Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
	}
	for i, n := range nodes[1:] {
		_, port, _ := strings.Cut(n.Address(), ":")
		nodes[0].Do(ctx, "CLUSTER", "MEET", "127.0.0.1", port, ports[i+1])
	}
	redistest.Until(t, "the nodes know each other", func() bool {
		for _, n := range nodes {
			if !strings.Contains(n.Do(ctx, "CLUSTER", "INFO"), "cluster_known_nodes:4") {
				return false
			}
		}
		return strings.Contains(nodes[3].Do(ctx, "CLUSTER", "INFO"), "cluster_state:ok")
	})
	nodes[3].Do(ctx, "CLUSTER", "REPLICATE", nodes[0].Do(ctx, "CLUSTER", "MYID"))
	redistest.Until(t, "the replica follows", func() bool {
		return strings.Contains(nodes[3].Do(ctx, "INFO", "replication"), "master_link_status:up")
	})

	s := open(t, "redis+cluster://"+nodes[1].Address()+","+nodes[2].Address())
	if err := s.Check(ctx); err != nil {
		t.Fatal(err)
	}
	if err := use(t, s, 1); err != nil {
		t.Fatal(err)
	}
	nodes[0].Kill()
	usable(t, s, "a node died")
	if role := nodes[3].Do(ctx, "ROLE"); !strings.HasPrefix(role, "[master") {
		t.Errorf("the replica is %s", role)
	}

	alone := open(t, nodes[1].URL)
	if err := alone.Check(ctx); err == nil || !strings.Contains(err.Error(), "redis+cluster://") {
		t.Errorf("one node alone: %v", err)
	}
}

// A primary dies, and Sentinel makes its replica the primary.
func TestSentinel(t *testing.T) {
	ctx := t.Context()
	servers := redistest.StartSentinel(t)
	s := open(t, servers.URL)
	if err := s.Check(ctx); err != nil {
		t.Fatal(err)
	}
	servers.Primary.Kill()
	usable(t, s, "the primary died")
	if role := servers.Replica.Do(ctx, "ROLE"); !strings.HasPrefix(role, "[master") {
		t.Errorf("the replica is %s", role)
	}
}

func TestURLsOfSeveral(t *testing.T) {
	for text, want := range map[string]string{ // the problem; empty: none
		"redis+cluster://a:1,b:2":                         "",
		"rediss+cluster://user:p%40ss@a,b:2,[::1]:3":      "",
		"redis+sentinel://a,b:26379/primary":              "",
		"redis+sentinel://:hunter2@a,b:26379/primary/3":   "",
		"redis+cluster://:hunter2@a:1,b:2/1":              "has a database",
		"redis+cluster://:hunter2@a:1,":                   "names no host",
		"redis+cluster://:hunter2@":                       "names no host",
		"redis+sentinel://:hunter2@a:1":                   "names no primary",
		"redis+sentinel://:hunter2@a:1/primary/x":         "a database that is not a number",
		"redis+nonsense://:hunter2@a:1":                   "does not begin with",
		"unix+cluster://:hunter2@a:1":                     "does not begin with",
		"redis+cluster://hunter2@a:1":                     "no password",
		"redis+cluster://:hunter2@a:1,b:2?read_timeout=1": "options",
	} {
		err := redis.CheckURL(text)
		switch {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v", text, err)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: the password is shown: %v", text, err)
		}
	}
}
