package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"coze-token/sandbox"
)

// plan is how much is measured.
type plan struct {
	rounds      int
	seconds     float64 // of load for each contender in each round
	connections int
	sessions    int
	callers     []int // connections, for the growth with callers
	grants      []int // remembered grants, for the growth with them
	calls       int   // of a handler, in this process
}

var (
	full = plan{rounds: 12, seconds: 0.8, connections: 64, sessions: 1000, callers: []int{1, 16, 64, 256, 1024},
		grants: []int{1, 1000, 100_000, 1_000_000}, calls: 100_000}
	short = plan{rounds: 1, seconds: 0.2, connections: 4, sessions: 10, callers: []int{1, 8}, grants: []int{1, 1000},
		calls: 200}
)

var httpContenders = []string{exchanging, plain, remembered, quiet, dressed, bare}

// A measurement is one contender in one round.
type measurement struct {
	result
	alone   result // one caller at a time
	cpu     float64
	allocs  float64
	bytes   float64
	contend float64 // the contender's own CPU time, in cores
}

// compare measures the native server and prints what it found.
func compare(ctx context.Context, out io.Writer, smoke bool) error {
	p := full
	if smoke {
		p = short
	}
	// A contender has half of the machine, generator and upstream have the other half; so what a
	// contender reaches is what its own cores reach, and can be compared with how often those can
	// sign.
	cores := max(1, runtime.NumCPU()/2)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))

	sb, err := sandbox.New(sandbox.Options{})
	if err != nil {
		return err
	}
	if err := strict(ctx, sb); err != nil {
		return err
	}
	up, err := start(ctx, nil, "upstream")
	if err != nil {
		return err
	}
	defer up.stop()
	env := contenderEnv(sb, up.url, cores)
	contenders := map[string]*process{}
	for _, name := range append([]string{signing}, httpContenders...) {
		c, err := startContender(ctx, env, name)
		if err != nil {
			return err
		}
		defer c.stop()
		contenders[name] = c
	}
	for _, name := range []string{exchanging, plain, remembered, quiet} {
		if err := remembers(contenders[name].url, name == remembered || name == quiet); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if _, err := (job{URL: contenders[name].url, Connections: 1, Requests: p.sessions, Sessions: p.sessions,
			Seconds: 60}).run(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}

	fmt.Fprintf(out, "%s/%s, %s, %d CPUs; each contender has %d of them, generator and upstream the others.\n",
		runtime.GOOS, runtime.GOARCH, runtime.Version(), runtime.NumCPU(), cores)
	fmt.Fprintf(out, "%d rounds, in each of which the contenders take turns: %g s with %d connections, %g s with one.\n\n",
		p.rounds, p.seconds, p.connections, p.seconds/2)
	measured := map[string][]measurement{}
	for range p.rounds {
		for _, name := range append([]string{signing}, httpContenders...) {
			m, err := measure(contenders[name], p)
			if err != nil {
				return err
			}
			measured[name] = append(measured[name], m)
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	printContenders(out, measured)
	got := median(each(measured[signing], func(m measurement) float64 { return m.contend }))
	disturbed := got < 0.9*float64(cores)
	printRatios(out, measured, disturbed)
	if disturbed {
		fmt.Fprintf(out, "The machine was busy with something else: signing, which never waits, got %.2f of its %d cores. "+
			"So no goal is judged; go by the\nratios per CPU time, or measure again.\n\n", got, cores)
	}
	if err := callers(out, p, contenders[remembered], contenders[bare]); err != nil {
		return err
	}
	return grants(ctx, out, p)
}

// contenderEnv are the settings of all contenders.
func contenderEnv(sb *sandbox.Sandbox, url string, cores int) []string {
	return environment(sb.Settings(url), "GOMAXPROCS="+strconv.Itoa(cores), "MINT_BUDGET=off", "RATE_LIMIT="+boundless,
		"MAX_CONNECTIONS=2048") // one address, the generator's, may have half of them
}

func startContender(ctx context.Context, env []string, name string) (*process, error) {
	if name == exchanging {
		env = append(slices.Clone(env), "CACHE=off")
	}
	return start(ctx, env, "serve", name)
}

// strict holds every contender that exchanges to the sandbox once: its assertion is verified, and
// is for the right session.
func strict(ctx context.Context, sb *sandbox.Sandbox) error {
	server := httptest.NewServer(sb)
	defer server.Close()
	env := contenderEnv(sb, server.URL, 1)
	for _, name := range []string{exchanging, plain, remembered} {
		c, err := startContender(ctx, env, name)
		if err != nil {
			return err
		}
		token, err := ask(c.url, "user-1")
		c.stop()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if issue, ok := sb.Issued(token); !ok || issue.Session != "user-1" {
			return fmt.Errorf("%s: the token is for the session %q", name, issue.Session)
		}
	}
	return nil
}

// remembers makes sure that a contender does what it is measured for.
func remembers(url string, want bool) error {
	first, err := ask(url, "someone")
	if err != nil {
		return err
	}
	second, err := ask(url, "someone")
	if err != nil {
		return err
	}
	if (first == second) != want {
		return fmt.Errorf("it remembers tokens: %v, and should: %v", first == second, want)
	}
	return nil
}

func ask(url, session string) (token string, err error) {
	r, err := http.NewRequest(http.MethodPost, url, nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("X-User-ID", session)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	var a struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &a); err != nil || a.AccessToken == "" {
		return "", fmt.Errorf("no token: %s %s", answer.Status, body)
	}
	return a.AccessToken, nil
}

func measure(c *process, p plan) (m measurement, err error) {
	if c.name == signing {
		if _, err := c.since(""); err != nil {
			return m, err
		}
		u, err := c.since(fmt.Sprintf("sign %gs", p.seconds))
		if err != nil {
			return m, err
		}
		m.result = result{Requests: int(u.Signed), Seconds: u.Took.Seconds()}
		m.fill(u)
		return m, nil
	}
	if m.alone, err = (job{URL: c.url, Connections: 1, Sessions: p.sessions, Seconds: p.seconds / 2}).run(); err != nil {
		return m, fmt.Errorf("%s: %w", c.name, err)
	}
	return m, m.load(c, p, p.connections)
}

// load is the part of a measurement with many connections.
func (m *measurement) load(c *process, p plan, connections int) (err error) {
	if _, err := c.since(""); err != nil {
		return err
	}
	if m.result, err = (job{URL: c.url, Connections: connections, Sessions: p.sessions,
		Seconds: p.seconds}).run(); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	u, err := c.since("")
	if err != nil {
		return err
	}
	m.fill(u)
	return nil
}

func (m *measurement) fill(u usage) {
	n := float64(max(1, m.Requests))
	m.cpu = float64(u.CPU.Nanoseconds()) / 1000 / n
	m.allocs = float64(u.Mallocs) / n
	m.bytes = float64(u.Bytes) / n
	m.contend = u.CPU.Seconds() / m.Seconds
}

// callers shows how throughput, latency and CPU time grow with the number of callers.
func callers(out io.Writer, p plan, ours, bare *process) error {
	t := table{{"callers at once", "requests/s", "p50 µs", "p99 µs", "CPU µs/request", "bare: requests/s", "p99 µs",
		"ours / bare"}}
	for _, n := range p.callers {
		var a, b measurement
		if err := a.load(ours, p, n); err != nil {
			return err
		}
		if err := b.load(bare, p, n); err != nil {
			return err
		}
		t = append(t, []string{strconv.Itoa(n), num(a.rate()), num(a.P50), num(a.P99), num(a.cpu), num(b.rate()),
			num(b.P99), fmt.Sprintf("%.2f", a.rate()/b.rate())})
	}
	fmt.Fprintln(out, "Growth with callers, remembered:")
	t.print(out)
	return nil
}

func printContenders(out io.Writer, measured map[string][]measurement) {
	t := table{{"contender", "requests/s", "p50 µs", "p99 µs", "alone: p50 µs", "p99 µs", "CPU µs/request",
		"allocations", "bytes", "its cores", "generator's"}}
	for _, name := range append([]string{signing}, httpContenders...) {
		of := func(f func(measurement) float64) string {
			return num(median(each(measured[name], f)))
		}
		row := []string{
			name,
			of(measurement.rate),
			of(func(m measurement) float64 { return m.P50 }),
			of(func(m measurement) float64 { return m.P99 }),
			of(func(m measurement) float64 { return m.alone.P50 }),
			of(func(m measurement) float64 { return m.alone.P99 }),
			of(func(m measurement) float64 { return m.cpu }),
			of(func(m measurement) float64 { return m.allocs }),
			of(func(m measurement) float64 { return m.bytes }),
			of(func(m measurement) float64 { return m.contend }),
			of(func(m measurement) float64 { return m.Busy }),
		}
		if name == signing {
			for i := 2; i <= 5; i++ {
				row[i] = "–"
			}
			row[len(row)-1] = "–"
		}
		t = append(t, row)
	}
	fmt.Fprintln(out, "Medians of all rounds:")
	t.print(out)
	for _, name := range append([]string{signing}, httpContenders...) {
		fmt.Fprintf(out, "  %-11s %s\n", name, does[name])
	}
	fmt.Fprintln(out)
}

// A comparison is a ratio of two contenders in the same round, and the goal that is set for it, if
// one is.
type comparison struct {
	what       string
	over, base string
	of         func(measurement) float64
	goal       float64
}

func printRatios(out io.Writer, measured map[string][]measurement, disturbed bool) {
	// CPU time is compared upside down, so that in every row more is better.
	perCPU := func(m measurement) float64 { return 1 / m.cpu }
	t := table{{"ratio", "median", "min–max", "goal", ""}}
	for _, c := range []comparison{
		{"exchanging / signing, requests/s", exchanging, signing, measurement.rate, 0.9},
		{"exchanging / signing, requests per CPU time", exchanging, signing, perCPU, 0},
		{"exchanging / plain, requests/s", exchanging, plain, measurement.rate, 1},
		{"exchanging / plain, requests per CPU time", exchanging, plain, perCPU, 0},
		{"remembered / dressed, requests/s", remembered, dressed, measurement.rate, 0.8},
		{"remembered / dressed, requests per CPU time", remembered, dressed, perCPU, 0},
		{"quiet / dressed, requests/s", quiet, dressed, measurement.rate, 0.9},
		{"quiet / dressed, requests per CPU time", quiet, dressed, perCPU, 0},
		{"remembered / bare, requests/s", remembered, bare, measurement.rate, 0},
		{"remembered / bare, requests per CPU time", remembered, bare, perCPU, 0},
		{"dressed / bare, requests/s", dressed, bare, measurement.rate, 0},
		{"remembered / plain, requests/s", remembered, plain, measurement.rate, 0},
	} {
		ratios := make([]float64, 0, len(measured[c.over]))
		for i, m := range measured[c.over] {
			ratios = append(ratios, c.of(m)/c.of(measured[c.base][i]))
		}
		row := append([]string{c.what}, judged(ratios, c.goal)...)
		if disturbed && c.goal > 0 {
			row[len(row)-1] = "not judged"
		}
		t = append(t, row)
	}
	fmt.Fprintln(out, "Ratios, each of two contenders in the same round:")
	t.print(out)
}

// judged is the ratios' median and bounds, the goal, and whether it is reached.
func judged(ratios []float64, goal float64) []string {
	row := []string{
		fmt.Sprintf("%.2f", median(ratios)),
		fmt.Sprintf("%.2f–%.2f", slices.Min(ratios), slices.Max(ratios)),
		"", "",
	}
	if goal > 0 {
		row[2], row[3] = fmt.Sprintf("≥ %g", goal), "missed"
		if median(ratios) >= goal {
			row[3] = "reached"
		}
	}
	return row
}

func each[T any](list []T, f func(T) float64) []float64 {
	values := make([]float64, len(list))
	for i, v := range list {
		values[i] = f(v)
	}
	return values
}

func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	if len(s)%2 == 0 {
		return (s[len(s)/2-1] + s[len(s)/2]) / 2
	}
	return s[len(s)/2]
}

// num is a number with about three digits that matter.
func num(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

// A table is rows of text, the first of which is the head.
type table [][]string

func (t table) print(out io.Writer) {
	width := map[int]int{}
	for _, row := range t {
		for i, cell := range row {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	columns := slices.Sorted(maps.Keys(width))
	for n, row := range t {
		line := "|"
		for _, i := range columns {
			pad := strings.Repeat(" ", width[i]-len([]rune(row[i])))
			if i == 0 {
				line += " " + row[i] + pad + " |"
			} else {
				line += " " + pad + row[i] + " |"
			}
		}
		fmt.Fprintln(out, line)
		if n == 0 {
			rule := "|"
			for _, i := range columns {
				if i == 0 {
					rule += strings.Repeat("-", width[i]+2) + "|"
				} else {
					rule += strings.Repeat("-", width[i]+1) + ":|"
				}
			}
			fmt.Fprintln(out, rule)
		}
	}
	fmt.Fprintln(out)
}

// quickly is how long something took for each of n times, in nanoseconds, and what it allocated.
func quickly(n int, f func(i int)) (ns, allocs, bytes float64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	for i := range n {
		f(i)
	}
	elapsed := time.Since(began)
	runtime.ReadMemStats(&after)
	return float64(elapsed.Nanoseconds()) / float64(n), float64(after.Mallocs-before.Mallocs) / float64(n),
		float64(after.TotalAlloc-before.TotalAlloc) / float64(n)
}
