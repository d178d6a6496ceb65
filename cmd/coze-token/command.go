package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	edlib "github.com/hbollon/go-edlib"

	cozetoken "coze-token"
	"coze-token/internal/fault"
	"coze-token/internal/message"
	"coze-token/internal/message/chinese"
	"coze-token/sandbox"
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
	name      string
	summary   message.Format
	help      string // in English; chinese.Help has the others
	takesWord bool   // one word may follow the flags
	flags     func(*flag.FlagSet)
	run       func(*process) int
}

// A process is what a command reads and writes.
type process struct {
	ctx    context.Context
	env    map[string]string
	arg    string            // the word after the flags, of a command that takes one
	stdout io.Writer         // the result, and nothing else
	stderr io.Writer         // messages to a person
	texts  message.Catalogue // of the language; nil: English
	colour struct{ stdout, stderr bool }
}

// commands makes the list anew, so that each run has its own flags.
func commands() []command {
	return []command{
		serveCommand(), demoCommand(), mintCommand(), checkCommand(), healthCommand(), keyCommand(), sandboxCommand(),
		completionCommand(), versionCommand(),
	}
}

// run does everything but what belongs to the process, and returns the exit code. A command fails
// if its output could not be written.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	out := &output{w: stdout}
	p := &process{ctx: ctx, env: cozetoken.Environ(environ), stdout: out, stderr: stderr}
	p.colour.stdout, p.colour.stderr = takesColour(stdout, p.env), takesColour(stderr, p.env)
	args, code := p.chooseLanguage(args)
	if code == exitOK {
		code = p.run(args)
	}
	if out.err != nil {
		p.errorf("standard output cannot be written: %s", "make room where it goes, or send it elsewhere",
			message.Cause(out.err))
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
		io.WriteString(p.stderr, p.usage())
		return exitUsage
	}
	switch first := args[0]; {
	case isHelp(first) && (len(args) == 1 || isHelp(args[1])):
		io.WriteString(p.stdout, p.usage())
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
	return p.usageError(didYouMean(message.New("there is no command %q", args[0]), args[0], names, ""))
}

// didYouMean adds a question for the name that a wrong word was meant for, if there is one. Two slips
// are forgiven, and as many as leave half of the name.
func didYouMean(problem message.Text, wrong string, names []string, prefix string) message.Text {
	best, slips := "", 3
	for _, name := range names {
		n := edlib.OSADamerauLevenshteinDistance(strings.ToLower(wrong), name)
		if n < slips && n <= len(name)/2 {
			best, slips = name, n
		}
	}
	if best == "" {
		return problem
	}
	return message.New("%s; did you mean %s?", problem, prefix+best)
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
		io.WriteString(p.stdout, strings.TrimLeft(p.helpOf(c), "\n"))
		return exitOK
	case err != nil:
		return p.usageError(message.New("%s: %s", c.name, flagError(err, flags)))
	}
	words := flags.Args()
	if c.takesWord && len(words) > 0 {
		p.arg, words = words[0], words[1:]
	}
	if len(words) > 0 {
		return p.usageError(message.New("%s: %q is one word too many", c.name, words[0]))
	}
	return c.run(p)
}

// A checkedFlag is a flag whose value is checked. Package flag makes a text of what is wrong with the
// value, so it is kept here, as what can be said in the language.
type checkedFlag struct {
	set   func(string) error
	wrong error
}

func (f *checkedFlag) String() string { return "" }

func (f *checkedFlag) Set(value string) error {
	f.wrong = f.set(value)
	return f.wrong
}

func checked(fs *flag.FlagSet, name string, set func(string) error) {
	fs.Var(&checkedFlag{set: set}, name, "")
}

// flagError is what package flag says of a command line, in our words.
func flagError(err error, flags *flag.FlagSet) message.Text {
	text := err.Error()
	if wrong, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		wrong = strings.TrimPrefix(wrong, "-")
		var names []string
		flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		return didYouMean(message.New("there is no flag --%s", wrong), wrong, names, "--")
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
		return message.New("the flag --%s needs a value", name)
	}
	if m := badFlag.FindStringSubmatch(text); m != nil {
		if f, ok := flags.Lookup(m[2]).Value.(*checkedFlag); ok {
			return message.New("invalid value %s for --%s: %s", m[1], m[2], describe(f.wrong))
		}
		return message.New("the flag --%s takes no value", m[2])
	}
	return message.Verbatim(text)
}

var badFlag = regexp.MustCompile(`(?s)^invalid (?:boolean )?value (".*") for (?:flag )?-(\w+): (.*)$`)

// say writes a text in the language.
func (p *process) say(w io.Writer, f message.Format, args ...any) {
	io.WriteString(w, message.New(f, args...).In(p.texts))
}

// errorf tells a person what is wrong and what to do: the arguments are those of the problem and then
// those of the hint. All messages have one form: the program's name and the kind of message, then
// lower case and no full stop.
func (p *process) errorf(problem, hint message.Format, args ...any) {
	p.report(fault.New(problem, hint, args...))
}

func (p *process) report(f fault.Fault) {
	problem := message.Message(f.Problem)
	if f.Setting != "" {
		problem = message.New("%s: %s", f.Name(), f.Problem)
	}
	p.say(p.stderr, "coze-token: %s: %s\n", paint(p.colour.stderr, red, message.Format("error").In(p.texts)), problem)
	if hint := f.Remedy.In(p.texts); hint != "" {
		p.say(p.stderr, "coze-token: hint: %s\n", hint)
	}
}

// failed reports an error for which there is no hint.
func (p *process) failed(err error) int {
	p.errorf("%s", "", describe(err))
	return exitFailed
}

// interrupted reports only that a signal ended the command, because that is why all else failed.
func (p *process) interrupted() int {
	p.say(p.stderr, "coze-token: interrupted\n")
	return exitInterrupted
}

func (p *process) warn(w message.Message) {
	p.say(p.stderr, "coze-token: %s: %s\n", paint(p.colour.stderr, yellow, message.Format("warning").In(p.texts)), w)
}

func (p *process) usageError(problem message.Text) int {
	p.errorf("%s", `"coze-token help" lists the commands, "coze-token help COMMAND" says how one is used`, problem)
	return exitUsage
}

func (p *process) usage() string {
	var list strings.Builder
	for _, c := range commands() {
		fmt.Fprintf(&list, "  %-10s %s\n", c.name, c.summary.In(p.texts))
	}
	text := usage
	if p.texts != nil {
		text = chinese.Usage
	}
	return fmt.Sprintf(text, list.String())
}

// helpOf is the help of a command in the language.
func (p *process) helpOf(c command) string {
	help := c.help
	if p.texts != nil {
		help = chinese.Help(c.name)
	}
	if c.name == "sandbox" {
		help = fmt.Sprintf(help, indent(sandbox.FaultUsageIn(p.texts), strings.Repeat(" ", 23)))
	}
	return help
}

const usage = `coze-token is the Coze (扣子) dynamic token service: it keeps the private key of a Coze OAuth app
and hands out short-lived access tokens, one for each of your end users.

Usage:
  coze-token COMMAND [FLAGS]

Commands:
%s  help       this text, or with a command's name, how that command is used

Start with "coze-token demo": it needs no account and no settings.

Settings are environment variables. Three are required: CLIENT_ID, KID and PRIVATE_KEY (or PRIVATE_KEY_FILE).
"coze-token check" says what is missing or wrong, and what to do. docs/settings.md describes them all.

Messages are in Chinese where LC_ALL, LC_MESSAGES or LANG says so (zh_CN), and in English otherwise. --lang zh or
--lang en, with any command, decides it. Logs are in English.

Exit codes:
  0    it worked
  1    it failed, and will fail again until something is changed
  2    the command line or a setting is wrong
  3    Coze was out of reach, busy or silent: trying again may help
  130  it was interrupted (Ctrl-C) before it was done
`
