package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"coze-token/internal/fault"
	"coze-token/internal/message"
	"coze-token/internal/native"
	"coze-token/internal/setting"
)

const healthHelp = `
Usage: coze-token health [URL]

Asks a running coze-token whether it is ready, for health checks in images that have no curl. Without a URL it asks the
one that LISTEN or PORT of this environment names, at /readyz. A URL without a path is asked at /readyz too:

  coze-token health
  coze-token health http://127.0.0.1:8787
  coze-token health https://token.example.com/healthz

It says nothing if all is well.

Exit codes: 0 it is ready, 1 it is not, or did not answer within 3 s, 2 wrong command line.
`

func healthCommand() command {
	return command{
		name: "health", summary: "ask a running service whether it is ready", help: healthHelp, takesWord: true,
		run: func(p *process) int {
			t, err := p.healthTarget()
			if err != nil {
				p.settingsError(err)
				return exitUsage
			}
			if err := t.ask(p.ctx, p.language()); err != nil {
				if p.ctx.Err() != nil {
					return p.interrupted()
				}
				p.settingsError(err)
				return exitFailed
			}
			return exitOK
		},
	}
}

// A healthTarget is what the health command asks.
type healthTarget struct {
	url       *url.URL
	transport *http.Transport
}

func (p *process) healthTarget() (*healthTarget, error) {
	if p.arg == "" {
		return p.ownTarget()
	}
	u, err := url.Parse(p.arg)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, fault.New("the URL is not one of HTTP",
			"write it as http://127.0.0.1:8787, and without a user and a password").Of("health")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/readyz"
	}
	return &healthTarget{u, native.Transport()}, nil
}

// ownTarget is the service that has this environment. Only what says where it listens is read.
func (p *process) ownTarget() (*healthTarget, error) {
	r := native.SettingList.Open(p.env, setting.Options{ReadFile: os.ReadFile})
	r.Parse()
	s := native.ReadSettings(r)
	if _, err := r.Close(); err != nil {
		return nil, err
	}
	t := &healthTarget{&url.URL{Scheme: "http", Host: "localhost", Path: "/readyz"}, &http.Transport{}}
	if s.TLSCertFile != "" {
		// It is this machine's own service, and nothing secret is sent or received.
		t.url.Scheme, t.transport.TLSClientConfig = "https", &tls.Config{InsecureSkipVerify: true}
	}
	network, address := s.Dial()
	t.transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	return t, nil
}

// ask returns nil after a 200. Redirects are not followed: they come from something else.
func (t *healthTarget) ask(ctx context.Context, language string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	defer t.transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url.String(), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept-Language", language) // what the service says is shown
	response, err := t.transport.RoundTrip(request)
	if err != nil {
		if ctx.Err() == context.DeadlineExceeded {
			return fault.New("no answer within 3 s", "")
		}
		return fault.New("no answer: %s", "see that coze-token serve runs and has this address; another one follows the "+
			"command: coze-token health http://127.0.0.1:8787", message.Reason(err))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(response.Body, 500))
		var said any = message.Line(string(body), 500)
		if said == "" {
			said = message.Format("no body")
		}
		return fault.New("status %d: %s", "", response.StatusCode, said)
	}
	return nil
}
