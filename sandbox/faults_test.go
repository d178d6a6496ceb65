package sandbox_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"coze-token/coze"
	"coze-token/sandbox"
)

// Each fault is seen through the client of package coze, whose words for it differ.
func TestFaultsThroughTheClient(t *testing.T) {
	for _, test := range []struct {
		fault string
		kind  coze.Kind
		want  string // a part of the error
	}{
		{"429,retry-after=60", coze.Busy, "429"},
		{"400", coze.Unavailable, "its status"},
		{"html", coze.Unavailable, "web page"},
		{"html=403", coze.Unavailable, "web page"},
		{"empty", coze.Unavailable, "the answer is empty"},
		{"truncated", coze.Unavailable, "truncated or malformed JSON"},
		{"no-token", coze.Unavailable, "no access_token"},
		{"expires-in=relative", coze.Unavailable, "(900) is in the past"},
		{"expires-in=past", coze.Unavailable, "in the past"},
		{"expires-in=far", coze.Unavailable, "over a day ahead"},
		{"expires-in=text", coze.Unavailable, "not a whole number"},
		{"expires-in=fraction", coze.Unavailable, "not a whole number"},
		{"expires-in=missing", coze.Unavailable, "no expires_in"},
		{"oversized", coze.Unavailable, "larger than 1 MiB"},
		{"redirect", coze.Unavailable, "redirect"},
		{"unknown-key", coze.Rejected, "kid not been registred"},
		{"internal-error,retry-after=60", coze.Unavailable, "internal_error: Service internal error."},
		{"503,retry-after=60", coze.Unavailable, "503"},
		{"html=502", coze.Unavailable, "web page"},
		{"break-off", coze.Unavailable, "broke off"},
		{"reset", coze.Unavailable, "reset"},
	} {
		t.Run(test.fault, func(t *testing.T) {
			t.Parallel()
			sb, url := serve(t, sandbox.Options{})
			if err := sb.Fail(test.fault); err != nil {
				t.Fatal(err)
			}
			_, err := mint(t, sb.App(url), "")
			var failure *coze.Error
			if !errors.As(err, &failure) || failure.Kind != test.kind || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %s, %s", err, test.kind, test.want)
			}
			if failure != nil && sb.Exchanges() != failure.Attempts {
				t.Errorf("%d exchanges, and the client says %d", sb.Exchanges(), failure.Attempts)
			}
			last, _ := sb.Last()
			if last.Refusal != "" || !strings.HasPrefix(last.Fault, strings.Split(test.fault, ",")[0]) {
				t.Errorf("recorded fault %q, refusal %q", last.Fault, last.Refusal)
			}
			if err := sb.SetFaults(); err != nil {
				t.Fatal(err)
			}
			if _, err := mint(t, sb.App(url), ""); err != nil {
				t.Errorf("after the faults were cleared: %v", err)
			}
		})
	}
}

func TestFaultAnswers(t *testing.T) {
	for _, test := range []struct {
		fault, header, value, body string
		status                     int
	}{
		{"429,retry-after=3", "Retry-After", "3", "Too Many Requests\n", 429},
		{"500", "Retry-After", "", "Internal Server Error\n", 500},
		{"internal-error=503,retry-after=2", "Retry-After", "2",
			`{"error_code":"internal_error","error_message":"Service internal error.","error":"internal_error"}`, 503},
		{"redirect=http://127.0.0.1:1/x", "Location", "http://127.0.0.1:1/x", "", 307},
		{"empty=502", "Content-Length", "0", "", 502},
	} {
		sb, url := serve(t, sandbox.Options{})
		if err := sb.Fail(test.fault); err != nil {
			t.Fatal(err)
		}
		r := newAttempt(sb.App(url), time.Now()).send(t, url)
		if r.status != test.status || r.header.Get(test.header) != test.value || r.raw != test.body ||
			r.header.Get("X-Tt-Logid") == "" {
			t.Errorf("%s: %d %v %q", test.fault, r.status, r.header, r.raw)
		}
	}
}

func TestResetAndBreakOff(t *testing.T) {
	for _, tls := range []bool{false, true} {
		sb, err := sandbox.New(sandbox.Options{Key: ownKey()})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewUnstartedServer(sb)
		if tls {
			server.StartTLS()
		} else {
			server.Start()
		}
		defer server.Close()
		sb.Fail("reset,times=1", "break-off")
		_, err = server.Client().Post(server.URL+coze.TokenPath, "application/json", nil)
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("reset, TLS %v: %v", tls, err)
		}
		response, err := server.Client().Post(server.URL+coze.TokenPath, "application/json", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if body, err := io.ReadAll(response.Body); !errors.Is(err, io.ErrUnexpectedEOF) ||
			int64(len(body)) != response.ContentLength/2 {
			t.Errorf("break-off, TLS %v: %d bytes of %d, %v", tls, len(body), response.ContentLength, err)
		}
	}
	// Where a connection cannot be taken over, the server is asked to abort.
	sb, err := sandbox.New(sandbox.Options{Key: ownKey()})
	if err != nil {
		t.Fatal(err)
	}
	sb.Fail("reset")
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("no abort")
		}
	}()
	sb.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", coze.TokenPath, nil))
}

func TestEveryAndTimes(t *testing.T) {
	for _, test := range []struct {
		faults []string
		want   []int
	}{
		{[]string{"500,every=2"}, []int{200, 500, 200, 500}},
		{[]string{"500,times=2"}, []int{500, 500, 200, 200}},
		{[]string{"500,every=2,times=1"}, []int{200, 500, 200, 200}},
		{[]string{"503,times=1", "429,times=2"}, []int{503, 429, 429, 200}},
		{[]string{"500,every=2", "502,every=3"}, []int{200, 500, 502, 500, 200, 500}},
	} {
		sb, url := serve(t, sandbox.Options{})
		if err := sb.Fail(test.faults...); err != nil {
			t.Fatal(err)
		}
		for i, want := range test.want {
			if r := newAttempt(sb.App(url), time.Now()).send(t, url); r.status != want {
				t.Errorf("%v: exchange %d: %d, want %d", test.faults, i+1, r.status, want)
			}
		}
	}
}

func TestLatency(t *testing.T) {
	sb, url := serve(t, sandbox.Options{})
	if err := sb.Fail("latency=30ms", "latency=40ms", "429"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	r := newAttempt(sb.App(url), time.Now()).send(t, url)
	if took := time.Since(start); r.status != 429 || took < 70*time.Millisecond {
		t.Errorf("%d after %v", r.status, took)
	}
	// A caller who goes away is not waited for: the server could not close otherwise.
	sb.Fail("latency=10m")
	client := &http.Client{Timeout: 50 * time.Millisecond}
	if _, err := client.Post(url+coze.TokenPath, "application/json", nil); err == nil {
		t.Error("an answer in no time")
	}
}

// A token whose answer did not hold it whole was not issued; one with an absurd expiry was.
func TestFaultsAndIssuedTokens(t *testing.T) {
	for fault, want := range map[string]bool{"truncated": false, "expires-in=relative": true, "oversized=10": true} {
		sb, url := serve(t, sandbox.Options{})
		sb.Fail(fault)
		r := newAttempt(sb.App(url), time.Now()).send(t, url)
		token, _ := r.json["access_token"].(string)
		if issue, ok := sb.Issued(token); ok != want || ok && time.Until(issue.Expiry) < 800*time.Second {
			t.Errorf("%s: issued %v %+v", fault, ok, issue)
		}
		if strings.Contains(fault, "truncated") && strings.Contains(r.raw, `","expires_in`) {
			t.Errorf("the token is whole: %s", r.raw)
		}
	}
}

func TestParseFault(t *testing.T) {
	for text, want := range map[string]string{ // as it reads back, with what was left out
		"429,retry-after=3,every=2":  "429,retry-after=3,every=2",
		" 503 , times=2 ":            "503,times=2",
		"latency=1500ms,every=1":     "latency=1.5s",
		"internal-error":             "internal-error=500",
		"html=502":                   "html=502",
		"empty":                      "empty=200",
		"expires-in=far":             "expires-in=far",
		"oversized":                  "oversized=2097152",
		"redirect=https://a.test/?b": "redirect=https://a.test/?b",
		"reset":                      "reset",
	} {
		if got, err := sandbox.ParseFault(text); err != nil || got.String() != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                         "there are a status such as 429, latency, internal-error, unknown-key, reset",
		"boom":                     "there is none of that name",
		"status":                   "there is none of that name",
		"200":                      "from 400 to 599, not 200",
		"600":                      "from 400 to 599, not 600",
		"429,":                     "there are every=N, times=N and retry-after=SECONDS",
		"429,often=2":              `there is no option "often"`,
		"429,every=0":              "a whole number from 1",
		"429,every=1,every=2":      "every is given twice",
		"429,retry-after=soon":     "a whole number from 1",
		"429,retry-after=99999999": "at most 86400",
		"reset,retry-after=3":      "not with reset",
		"reset=1":                  "reset takes no value",
		"latency":                  "for instance latency=2s",
		"latency=2":                "300ms or 2s",
		"latency=-2s":              "above 0",
		"latency=24h":              "at most 10m",
		"html=0":                   "takes an HTTP status",
		"html=100":                 "from 200 to 599",
		"expires-in":               "takes one of [relative far past text fraction missing]",
		"oversized=0":              "a number of bytes",
		"oversized=999999999":      "from 1 to",
		"redirect=":                "takes a URL",
		"redirect=http://a b":      "without spaces",
	} {
		if got, err := sandbox.ParseFault(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v, want %s", text, got, err, want)
		}
	}
	for line := range strings.Lines(sandbox.FaultUsage()) {
		if strings.Contains(line, "each may be followed") {
			break
		}
		name, _, _ := strings.Cut(strings.Fields(line)[0], "[")
		text := map[string]string{
			"NUMBER": "429", "latency=DURATION": "latency=1s", "expires-in=FORM": "expires-in=far",
		}[name]
		if text == "" {
			text = name
		}
		if _, err := sandbox.ParseFault(text); err != nil {
			t.Errorf("the usage has %s: %v", name, err)
		}
	}
}

func TestSetFaultsRefuses(t *testing.T) {
	sb, _ := serve(t, sandbox.Options{})
	sb.Fail("429")
	if err := sb.SetFaults(sandbox.Fault{}); err == nil {
		t.Error("an empty fault is accepted")
	}
	if err := sb.SetFaults(make([]sandbox.Fault, 101)...); err == nil {
		t.Error("101 faults are accepted")
	}
	if faults := sb.Faults(); len(faults) != 1 || faults[0].String() != "429" {
		t.Errorf("a refusal changed the faults: %v", faults)
	}
}

// What is accepted reads back as the same fault from its own text, and can be set.
func FuzzParseFault(f *testing.F) {
	for _, seed := range []string{
		"429,retry-after=3,every=2", "503,times=2", "latency=1500ms", "latency=1h", "internal-error=503", "unknown-key",
		"reset", "break-off",
		"truncated", "html=502,every=3", "empty", "no-token", "expires-in=relative", "expires-in=missing", "oversized=10",
		"redirect",
		"redirect=https://a.test/?b=%2C", "redirect=http://a\r\nb", "", ",", "=", "429,", "999999999999999999999",
		"latency=1ns", " reset ", "html=-1",
	} {
		f.Add(seed)
	}
	sb, err := sandbox.New(sandbox.Options{Key: ownKey()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fault, err := sandbox.ParseFault(text)
		if err != nil {
			if len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("the error is long or has many lines: %q", err)
			}
			return
		}
		again, err := sandbox.ParseFault(fault.String())
		if err != nil || again != fault {
			t.Errorf("%q is %+v, and its text %q is %+v, %v", text, fault, fault, again, err)
		}
		if err := sb.SetFaults(fault); err != nil || sb.Faults()[0] != fault {
			t.Errorf("%q is parsed and not set as it is: %v", text, err)
		}
	})
}
