package main

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"coze-token/internal/message"
	"coze-token/internal/native"
	"coze-token/sandbox"
)

const sandboxHelp = `
Usage: coze-token sandbox [--listen HOST:PORT] [--fault FAULT]...

Serves an emulator of Coze's token endpoint, as strict as Coze's documentation: it verifies every assertion and takes
each one once. On standard output it prints the settings of an app it knows, with a key made at that moment, in the
form of a dotenv file; with them in the environment, "coze-token serve" or "coze-token mint" runs against it:

  coze-token sandbox > sandbox.env                 in one terminal, and in another:
  set -a; . ./sandbox.env; set +a
  coze-token mint --session user-1

Flags:
  --listen HOST:PORT where to serve; without it 127.0.0.1:8788
  --fault FAULT      misbehave; may be given several times. FAULT is one of these, with its options:
%s
The sandbox can be asked and told things while it runs: GET /sandbox/exchanges, GET /sandbox/issued?token=TOKEN,
PUT /sandbox/faults (a fault on each line; an empty body clears them).

Exit codes: 0 stopped in good order, 1 it could not listen or serve, 2 wrong command line.
`

func sandboxCommand() command {
	listen := "127.0.0.1:8788"
	var faults []sandbox.Fault
	return command{
		name: "sandbox", summary: "serve an emulator of Coze's token endpoint",
		help: sandboxHelp,
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&listen, "listen", listen, "")
			checked(fs, "fault", func(s string) error {
				f, err := sandbox.ParseFault(s)
				faults = append(faults, f)
				return err
			})
		},
		run: func(p *process) int { return p.sandbox(listen, faults) },
	}
}

const listenRemedy = "name another host:port of this machine with --listen, such as 127.0.0.1:8790"

func (p *process) sandbox(address string, faults []sandbox.Fault) int {
	sb, err := sandbox.New(sandbox.Options{})
	if err != nil {
		return p.failed(err)
	}
	if err := sb.SetFaults(faults...); err != nil {
		return p.usageError(message.New("sandbox: %s", err))
	}
	l, err := native.Listen(address)
	if err != nil {
		p.errorf("%s", listenRemedy, err)
		return exitFailed
	}
	url := baseURL("http", l.Addr())
	if _, err := io.WriteString(p.stdout, dotenv(sb.Settings(url))); err != nil {
		return exitFailed // nobody could use it
	}
	p.say(p.stderr, "coze-token: the sandbox stands in for Coze at %s; Ctrl-C ends it\n", url)
	log := native.Logger(p.stderr, slog.LevelInfo, "auto")
	if err := native.Serve(p.ctx, l, sb, native.Options{Log: log}); err != nil {
		return p.failed(err)
	}
	return exitOK
}

// dotenv writes each setting on one line, in double quotes and with \n for the key's line ends. A
// POSIX shell, dotenv readers and wrangler's .dev.vars all read this form alike.
func dotenv(settings map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		value := strings.ReplaceAll(strings.TrimSpace(settings[name]), "\n", `\n`)
		fmt.Fprintf(&b, "%s=\"%s\"\n", name, value)
	}
	return b.String()
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+by) + "\n"
}
