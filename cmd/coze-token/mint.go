package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"coze-token/coze"
	"coze-token/internal/gate"
	"coze-token/internal/message"
	"coze-token/internal/native"
)

const mintHelp = `
Usage: coze-token mint [--session ID] [--duration SECONDS] [--json] [--app NAME] [--config FILE]

Asks Coze for one access token for the configured app and prints it, and nothing else, on standard output:

  curl -H "Authorization: Bearer $(coze-token mint)" https://api.coze.cn/v1/workspaces

Flags:
  --session ID       the end user that the token is for, as X-User-ID names them to the service; SESSION_PREFIX and
                     SESSION_HASH apply. Without it, DEFAULT_SESSION or none; SESSION_REQUIRED insists on one
  --duration SECONDS how long the token should live, 1 to 86399; without it, TOKEN_DURATION
  --json             print the whole answer as JSON: access_token, expires_in (Unix time), token_type, ttl (seconds left)
` + appHelp + configHelp + `
Exit codes: 0 a token was printed, 1 Coze refused, 2 wrong command line or settings,
3 Coze was out of reach, busy or silent, 130 interrupted.
`

func mintCommand() command {
	var m mint
	return command{
		name: "mint", summary: "print one token", help: mintHelp,
		flags: func(fs *flag.FlagSet) {
			configFlag(fs, &m.file)
			appFlag(fs, &m.app)
			checked(fs, "session", func(s string) error { m.session = s; return coze.CheckSession(s) })
			checked(fs, "duration", m.setDuration)
			fs.BoolVar(&m.json, "json", false, "")
		},
		run: m.run,
	}
}

type mint struct {
	file     string
	app      string
	session  string        // empty: none is named
	duration time.Duration // zero: as configured
	json     bool
}

func (m *mint) setDuration(text string) error {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if m.duration = time.Duration(seconds) * time.Second; err != nil || m.duration < coze.MinDuration ||
		m.duration > coze.MaxDuration {
		return message.New("give whole seconds from 1 to 86399")
	}
	return nil
}

func (m *mint) run(p *process) int {
	settings, ok := p.settings(&source{file: m.file}, proxyFaults)
	if !ok {
		return exitUsage
	}
	app, ok := p.pick(settings, m.app)
	if !ok {
		return exitUsage
	}
	if m.duration != 0 {
		app.Duration = m.duration
	}
	request, err := app.RequestFor(m.session)
	if err != nil {
		if m.session == "" && app.Session == "" {
			p.errorf("the session is refused: there is none, and this service gives no token without one",
				"name the end user that the token is for with --session, as SESSION_REQUIRED asks")
		} else {
			p.errorf("the session is refused: %s", "use a shorter name, or a shorter SESSION_PREFIX", err)
		}
		return exitUsage
	}
	token, err := p.token(request, settings.Timeout, native.Transport())
	switch {
	case err != nil && p.ctx.Err() != nil:
		return p.interrupted()
	case err != nil:
		p.cozeError(err)
		return exitCode(err)
	}
	if !m.json {
		fmt.Fprintln(p.stdout, token.AccessToken)
		return exitOK
	}
	json.NewEncoder(p.stdout).Encode(struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
		TokenType   string `json:"token_type"`
		TTL         int64  `json:"ttl"`
	}{token.AccessToken, token.Expiry.Unix(), token.Type, int64(time.Until(token.Expiry) / time.Second)})
	return exitOK
}

// token asks once, within the time that a caller of the service would have.
func (p *process) token(
	request coze.TokenRequest, timeout time.Duration, transport http.RoundTripper,
) (coze.Token, error) {
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	return (&coze.Client{Transport: transport}).Token(ctx, request)
}

func (p *process) cozeError(err error) {
	var e *coze.Error
	if errors.As(err, &e) {
		p.errorf("%s", gate.Hint(e), describe(err))
		return
	}
	p.failed(err)
}

// describe is an error in words. What Coze says stays as it is.
func describe(err error) message.Message {
	if m, ok := err.(message.Message); ok {
		return m
	}
	e, ok := errors.AsType[*coze.Error](err)
	if !ok {
		return message.Reason(err)
	}
	text, known := cozeKinds[e.Kind]
	if !known {
		text = "no token from coze"
	}
	m := message.New(text)
	if e.Status != 0 {
		m = message.New("%s (status %d)", m, e.Status)
	}
	if e.Code != "" {
		m = message.New("%s: %s", m, e.Code)
	}
	if e.Message != "" {
		m = message.New("%s: %s", m, message.Foreign(e.Message))
	}
	if e.Err != nil {
		m = message.New("%s: %s", m, message.Reason(e.Err))
	}
	if e.LogID != "" {
		m = message.New("%s (logid %s)", m, e.LogID)
	}
	return m
}

// cozeKinds are the kinds of failure in words, as [coze.Error] has them.
var cozeKinds = map[coze.Kind]message.Format{
	coze.Rejected:       "coze refused",
	coze.Busy:           "coze is busy",
	coze.Timeout:        "no answer from coze in time",
	coze.InvalidRequest: "the assertion could not be signed",
}

func exitCode(err error) int {
	var e *coze.Error
	if errors.As(err, &e) && (e.Temporary() || e.Kind == coze.Timeout) {
		return exitTemporary
	}
	return exitFailed
}
