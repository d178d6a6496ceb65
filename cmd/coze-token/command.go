package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	edlib "github.com/hbollon/go-edlib"

	cozetoken "coze-token"
)

// Exit codes, as every help text states them.
const (
	exitOK          = 0
	exitFailed      = 1   // it failed, and the same again will fail too
	exitUsage       = 2   // the command line or a setting is wrong
	exitTemporary   = 3   // Coze was out of reach, busy or silent: trying again may help
	exitInterrupted = 130 // Ctrl-C: the code that shells give
)

// A command is one of coze-token's commands. run reads the variables that flags sets.
type command struct {
	name, summary, help string
	takesWord           bool // one word may follow the flags
	flags               func(*flag.FlagSet)
	run                 func(*process) int
}

// A process is what a command reads and writes.
type process struct {
	ctx    context.Context
	env    map[string]string
	arg    string    // the word after the flags, of a command that takes one
	stdout io.Writer // the result, and nothing else
	stderr io.Writer // messages to a person
}

// commands makes the list anew, so that each run has its own flags.
func commands() []command {
	return []command{
		serveCommand(), demoCommand(), mintCommand(), checkCommand(), healthCommand(), keyCommand(), sandboxCommand(),
		versionCommand(),
	}
}

// run does everything but what belongs to the process, and returns the exit code. A command fails
// if its output could not be written.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	out := &output{w: stdout}
	p := &process{ctx: ctx, env: cozetoken.Environ(environ), stdout: out, stderr: stderr}
	code := p.run(args)
	if out.err != nil {
		p.errorf("make room where it goes, or send it elsewhere", "standard output cannot be written: %s", cause(out.err))
		if code == exitOK {
			code = exitFailed
		}
	}
	return code
}

// An output keeps the first error and writes nothing after it, so that commands need not check.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(b []byte) (n int, err error) {
	if o.err != nil {
		return 0, o.err
	}
	n, o.err = o.w.Write(b)
	return n, o.err
}

// run finds the command and starts it.
func (p *process) run(args []string) int {
	if len(args) == 0 {
		io.WriteString(p.stderr, usage())
		return exitUsage
	}
	switch first := args[0]; {
	case isHelp(first) && (len(args) == 1 || isHelp(args[1])):
		io.WriteString(p.stdout, usage())
		return exitOK
	case isHelp(first):
		args = []string{args[1], "--help"}
	case first == "-v" || first == "-version" || first == "--version":
		args = []string{"version"}
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return p.start(c, args[1:])
		}
	}
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return p.usageError("there is no command %q%s", args[0], didYouMean(args[0], names, ""))
}

// didYouMean is a question for the name that a wrong word was meant for, or "". Two slips are
// forgiven, and as many as leave half of the name.
func didYouMean(wrong string, names []string, prefix string) string {
	best, slips := "", 3
	for _, name := range names {
		n := edlib.OSADamerauLevenshteinDistance(strings.ToLower(wrong), name)
		if n < slips && n <= len(name)/2 {
			best, slips = name, n
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + prefix + best + "?"
}

func isHelp(word string) bool {
	return slices.Contains([]string{"help", "-h", "-help", "--help"}, word)
}

func (p *process) start(c command, args []string) int {
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	if c.flags != nil {
		c.flags(flags)
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		io.WriteString(p.stdout, strings.TrimLeft(c.help, "\n"))
		return exitOK
	case err != nil:
		suggestion := ""
		if wrong, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
			var names []string
			flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
			suggestion = didYouMean(strings.TrimPrefix(wrong, "-"), names, "--")
		}
		return p.usageError("%s: %v%s", c.name, err, suggestion)
	}
	words := flags.Args()
	if c.takesWord && len(words) > 0 {
		p.arg, words = words[0], words[1:]
	}
	if len(words) > 0 {
		return p.usageError("%s: %q is one word too many", c.name, words[0])
	}
	return c.run(p)
}

// errorf tells a person what is wrong and what to do. All messages have one form: the program's
// name and the kind of message, then lower case and no full stop.
func (p *process) errorf(hint, format string, args ...any) {
	fmt.Fprintf(p.stderr, "coze-token: error: "+format+"\n", args...)
	if hint != "" {
		fmt.Fprintf(p.stderr, "coze-token: hint: %s\n", hint)
	}
}

// failed reports an error for which there is no hint.
func (p *process) failed(err error) int {
	p.errorf("", "%v", err)
	return exitFailed
}

// interrupted reports only that a signal ended the command, because that is why all else failed.
func (p *process) interrupted() int {
	fmt.Fprintln(p.stderr, "coze-token: interrupted")
	return exitInterrupted
}

func (p *process) warnf(format string, args ...any) {
	fmt.Fprintf(p.stderr, "coze-token: warning: "+format+"\n", args...)
}

func (p *process) usageError(format string, args ...any) int {
	p.errorf(`"coze-token help" lists the commands, "coze-token help COMMAND" says how one is used`, format, args...)
	return exitUsage
}

func usage() string {
	var list strings.Builder
	for _, c := range commands() {
		fmt.Fprintf(&list, "  %-9s %s\n", c.name, c.summary)
	}
	return `coze-token is the Coze (扣子) dynamic token service: it keeps the private key of a Coze OAuth app
and hands out short-lived access tokens, one for each of your end users.

Usage:
  coze-token COMMAND [FLAGS]

Commands:
` + list.String() + `  help      this text, or with a command's name, how that command is used

Start with "coze-token demo": it needs no account and no settings.

Settings are environment variables. Three are required: CLIENT_ID, KID and PRIVATE_KEY (or PRIVATE_KEY_FILE).
"coze-token check" says what is missing or wrong, and what to do. docs/settings.md describes them all.

Exit codes:
  0    it worked
  1    it failed, and will fail again until something is changed
  2    the command line or a setting is wrong
  3    Coze was out of reach, busy or silent: trying again may help
  130  it was interrupted (Ctrl-C) before it was done
`
}
