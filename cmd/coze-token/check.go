package main

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"sync"
	"time"

	cozetoken "coze-token"
	"coze-token/coze"
	"coze-token/internal/fault"
	"coze-token/internal/gate"
	"coze-token/internal/message"
	"coze-token/internal/native"
)

const checkHelp = `
Usage: coze-token check [--offline] [--app NAME] [--bot ID] [--config FILE]

Looks at everything that a token takes, for each app and each of its keys, and says what it finds: a line for each thing,
and under what is wrong, what to do. It looks at the settings, the private key, who may ask, the way to Coze, this
machine's clock, whether Coze issues a token, and, if a bot is named, whether the token sees it. The token is not printed.

Flags:
  --offline          ask nobody: look at settings, key and access only
  --app NAME         look at this one of the apps of APPS only
  --bot ID           ask whether the token sees this bot, and whether it is published to the API
` + configHelp + `
Exit codes: 0 nothing is wrong (warnings may have been given), 1 something is wrong, 2 wrong command line,
130 interrupted.
`

func checkCommand() command {
	var file, app, bot string
	var offline bool
	return command{
		name: "check", summary: "say what is wrong with the settings, and what to do", help: checkHelp,
		flags: func(fs *flag.FlagSet) {
			configFlag(fs, &file)
			appFlag(fs, &app)
			fs.StringVar(&bot, "bot", "", "")
			fs.BoolVar(&offline, "offline", false, "")
		},
		run: func(p *process) int {
			c := &checkup{process: p, bot: bot}
			c.check(file, app, offline)
			switch {
			case p.ctx.Err() != nil:
				return p.interrupted()
			case c.wrong:
				return exitFailed
			default:
				return exitOK
			}
		},
	}
}

// A checkup is one run of the check command.
type checkup struct {
	*process
	wrong bool
	bot   string // to ask about. Empty: none
}

func (c *checkup) ok(subject, f message.Format, args ...any) {
	c.line(green, "ok", subject, message.New(f, args...))
}

func (c *checkup) warn(subject, f message.Format, args ...any) {
	c.line(yellow, "warn", subject, message.New(f, args...))
}

// fail says what is wrong, and under it what to do. The arguments are those of the problem and then
// those of the remedy.
func (c *checkup) fail(subject, problem, remedy message.Format, args ...any) {
	c.fault(subject, fault.New(problem, remedy, args...))
}

func (c *checkup) fault(subject message.Format, f fault.Fault) {
	c.wrong = true
	problem := message.Message(f.Problem)
	if f.Setting != "" {
		problem = message.New("%s: %s", f.Name(), f.Problem)
	}
	c.line(red, "FAIL", subject, problem)
	if remedy := f.Remedy.In(c.texts); remedy != "" && c.ctx.Err() == nil {
		fmt.Fprintf(c.stdout, "%21s%s\n", "-> ", remedy)
	}
}

// line says nothing after an interrupt: what is still looked at fails for that alone.
func (c *checkup) line(k colour, verdict, subject message.Format, m message.Message) {
	if c.ctx.Err() != nil {
		return
	}
	word := pad(verdict.In(c.texts), 5)
	fmt.Fprintf(c.stdout, "%s %s %s\n", paint(c.colour.stdout, k, word), pad(subject.In(c.texts), 11), m.In(c.texts))
}

func (c *checkup) check(file, name string, offline bool) {
	if c.bot != "" && !isBotID(c.bot) {
		c.fail("bot", "--bot is not the id of a bot", "use the number after /bot/ in the address of the bot's page")
		return
	}
	settings, warnings, err := c.read(&source{file: file, strict: true}, machineFaults)
	for _, w := range warnings {
		c.warn("settings", "%s", w)
	}
	if err != nil {
		for _, f := range fault.Of(err) {
			c.fault("settings", f)
		}
		return
	}
	c.redis(settings, offline)
	if name != "" {
		app, ok := c.pick(settings, name)
		if !ok {
			c.wrong = true
			return
		}
		c.app("/"+name, app, settings.Timeout, offline)
		return
	}
	for name, app := range settings.Apps() {
		c.app("/"+name, app, settings.Timeout, offline)
	}
}

// app looks at one app. It tries each key by itself: a key that Coze does not know would hide
// behind the next.
func (c *checkup) app(path string, app cozetoken.App, timeout time.Duration, offline bool) {
	endpoint, _ := app.OAuth.TokenURL() // an app that was read has one
	c.ok("app", "%s: app %s, region %s, tokens of %v from %s",
		path, app.OAuth.ClientID, message.Format(app.Region), span(app.Duration), endpoint)
	c.access(app, offline)
	request, usable := c.session(app)
	asked := false
	for _, key := range app.OAuth.Keys {
		if offline || !usable {
			c.ok("key", "private key of %s: readable", key)
			continue
		}
		c.ok("key", "private key of %s: readable; whether Coze knows it is tried below", key)
		alone := *app.OAuth
		alone.Keys = []coze.Key{key}
		request.App = &alone
		token := c.askCoze(request, timeout)
		if token == "" || c.bot == "" || asked {
			continue
		}
		asked = true // each key's token is good for the same
		c.checkBot(app.OAuth, token, c.bot, timeout)
	}
	if offline {
		c.ok("coze", "not asked (--offline)")
	}
}

// checkUser is a user that nobody else is. The token is for this user where there is none without a
// session.
const checkUser = "coze-token-check"

// session is what to ask for: what a caller gets who names no user or, where such a caller gets
// nothing, checkUser.
func (c *checkup) session(app cozetoken.App) (request coze.TokenRequest, ok bool) {
	user := ""
	if app.Sessions.Required && app.Session == "" {
		user = checkUser
		c.ok("session", "SESSION_REQUIRED is on: the token is asked for as the user %s", user)
	}
	request, err := app.RequestFor(user)
	if err != nil {
		c.fail("session", "it is refused: %s", "use a shorter SESSION_PREFIX, or DEFAULT_SESSION where it is set", err)
	}
	return request, err == nil
}

// tolerance is how far apart two good clocks may be: Coze's Date header has whole seconds, and its
// answer travels. How much skew Coze bears is not documented.
const tolerance = 5 * time.Second

// askCoze asks for a token, and returns it. It is "" if there is none.
func (c *checkup) askCoze(request coze.TokenRequest, timeout time.Duration) string {
	observed := &observer{next: native.Transport()}
	began := time.Now()
	token, err := c.token(request, timeout, observed)
	took := time.Since(began).Round(time.Millisecond)

	var e *coze.Error
	if err != nil && !errors.As(err, &e) {
		c.fail("coze", "%s", "", describe(err))
		return ""
	}
	if !observed.answered {
		c.fail("coze", "%s", gate.Hint(e), describe(err))
		return ""
	}
	endpoint, _ := request.App.TokenURL()
	c.ok("coze", "%s answered after %v", endpoint, took)
	c.clock(observed.ahead)
	if err != nil {
		c.fail("token", "%s", gate.Hint(e), describe(err))
		return ""
	}
	c.ok("token", "Coze issued one that lives %v", span(time.Until(token.Expiry).Round(time.Second)))
	return token.AccessToken
}

func (c *checkup) clock(ahead *time.Duration) {
	switch {
	case ahead == nil:
		c.warn("clock", "the answer has no Date header to compare this machine's clock with")
	case ahead.Abs() <= tolerance:
		c.ok("clock", "agrees with the answer's Date header")
	case *ahead > 0:
		c.warn("clock", "this machine's clock is %v ahead of Coze's: assertions may be refused as not yet valid; "+
			"set the clock (NTP)", span(ahead.Round(time.Second)))
	default:
		c.warn("clock", "this machine's clock is %v behind Coze's: assertions may be refused as expired; "+
			"set the clock (NTP)", span(ahead.Abs().Round(time.Second)))
	}
}

// An observer notes of Coze's last answer that it came, and by how much this machine's clock is
// ahead of its Date header.
type observer struct {
	next     http.RoundTripper
	mu       sync.Mutex
	answered bool
	ahead    *time.Duration
}

func (o *observer) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := o.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answered = true
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		ahead := time.Since(date)
		o.ahead = &ahead
	}
	return response, nil
}
