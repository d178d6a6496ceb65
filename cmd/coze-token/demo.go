package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"time"

	cozetoken "coze-token"
	"coze-token/internal/message"
	"coze-token/internal/native"
	"coze-token/sandbox"
)

const demoHelp = `
Usage: coze-token demo [--listen HOST:PORT] [--once]

Shows the service at work without an account: starts a sandbox that stands in for Coze, with a key pair made at that
moment, starts the service in front of it, asks it for a token over HTTP, prints the answer, the curl lines to try and
the address of a page on which three users chat with the sandbox, and goes on serving until it is told to stop. Nothing
leaves this machine, and the tokens open nothing but the sandbox. Settings in the environment are not read.

Flags:
  --listen HOST:PORT where to serve; without it 127.0.0.1:8787, or any free port if that one is taken
  --once             end after the first token

Exit codes: 0 stopped in good order, 1 it could not listen or serve, 2 wrong command line,
130 interrupted before the first token.
`

func demoCommand() command {
	var listen string
	var once bool
	return command{
		name: "demo", summary: "try the service: a sandbox, a made-up key, no account", help: demoHelp,
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&listen, "listen", "", "")
			fs.BoolVar(&once, "once", false, "")
		},
		run: func(p *process) int { return p.demo(listen, once) },
	}
}

func (p *process) demo(listen string, once bool) int {
	ctx, stop := context.WithCancel(p.ctx)
	defer stop()
	coze, cozeURL, err := startSandbox(ctx)
	if err != nil {
		return p.failed(err)
	}
	pages, err := native.Listen("127.0.0.1:0")
	if err != nil {
		return p.failed(err)
	}
	page := baseURL("http", pages.Addr())
	env := coze.Settings(cozeURL)
	env["APPS"] = demoApps(env, page, rand.Text()+rand.Text())
	settings, _, err := cozetoken.Read(env, cozetoken.Options{})
	if err != nil {
		return p.failed(err)
	}
	listener, err := native.Listen(cmp.Or(listen, settings.Native.Listen))
	moved := err != nil && listen == ""
	if moved {
		listener, err = native.Listen("127.0.0.1:0")
	}
	if err != nil {
		p.errorf("%s", listenRemedy, err)
		return exitFailed
	}
	url := baseURL("http", listener.Addr()) + "/"
	go native.Serve(ctx, pages, demoPage(coze, cozeURL, url), native.Options{Log: slog.New(slog.DiscardHandler)})
	log := native.Logger(p.stderr, slog.LevelWarn, "auto")
	served := make(chan error, 1)
	go func() {
		served <- native.Serve(ctx, listener, cozetoken.Build(settings, options(log)), native.Options{Log: log})
	}()

	note := message.New("")
	if moved {
		note = message.New("Another program has %s, so this is at %s.\n", settings.Native.Listen, listener.Addr())
	}
	p.say(p.stdout, `Everything here is pretended: "Coze" is a sandbox in this process (%s), the app and its
key were made a moment ago, and the tokens open nothing else.
%s
$ curl -X POST -H 'X-User-ID: user-1' %s
`, cozeURL, note, url)
	body, err := post(ctx, url, "user-1")
	switch {
	case err != nil && p.ctx.Err() != nil:
		return p.interrupted()
	case err != nil:
		return p.failed(err)
	}
	if _, err := p.stdout.Write(body); err != nil {
		return exitFailed
	}
	if !once {
		var answer struct {
			AccessToken string `json:"access_token"`
		}
		json.Unmarshal(body, &answer)
		p.say(p.stdout, `
Open %[4]s/ in a browser: two users and a visitor chat with a bot of the sandbox's.

Or try it yourself, in another terminal:

  curl -X POST %[1]s                              a token without a session
  curl -X POST -H 'X-User-ID: 小明' %[1]s         a token for one end user
  curl -i %[1]s                                   what a wrong request gets
  curl -H 'Authorization: Bearer %[3]s' %[2]s/v1/users/me
                     use the token above at the sandbox

Ctrl-C ends it. To serve your own app: set CLIENT_ID, KID and PRIVATE_KEY_FILE, then "coze-token check" and
"coze-token serve".
`, url, cozeURL, answer.AccessToken, page)
		<-p.ctx.Done()
	}
	stop()
	if err := <-served; err != nil {
		return p.failed(err)
	}
	return exitOK
}

// startSandbox serves a new sandbox until ctx ends.
func startSandbox(ctx context.Context) (*sandbox.Sandbox, string, error) {
	sb, err := sandbox.New(sandbox.Options{})
	if err != nil {
		return nil, "", err
	}
	l, err := native.Listen("127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	go native.Serve(ctx, l, sb, native.Options{Log: slog.New(slog.DiscardHandler)})
	return sb, baseURL("http", l.Addr()), nil
}

// post asks the service for a token as any caller does, and returns the answer as it came.
func post(ctx context.Context, url, session string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-User-ID", session)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = message.New("the service answered %s: %s", response.Status, bytes.TrimSpace(body))
	}
	return body, err
}
