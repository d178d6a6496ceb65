package main

import (
	"flag"
	"fmt"
	"strings"

	"coze-token/internal/message"
)

const completionHelp = `
Usage: coze-token completion bash|zsh|fish

Prints what makes a shell complete the commands and flags of coze-token, with their descriptions in the language:

  bash   source <(coze-token completion bash)                        in ~/.bashrc
  zsh    source <(coze-token completion zsh)                         in ~/.zshrc, after compinit
  fish   coze-token completion fish > ~/.config/fish/completions/coze-token.fish

Exit codes: 0 it was printed, 2 wrong command line.
`

func completionCommand() command {
	return command{
		name: "completion", summary: "print the completion for a shell", help: completionHelp, takesWord: true,
		run: (*process).completion,
	}
}

// flagTexts describe flags for completion. A flag means the same in all commands.
var flagTexts = map[string]message.Format{
	"config":   "read a coze_oauth_config.json",
	"app":      "one of the apps of APPS",
	"bot":      "the id of a bot to ask about",
	"offline":  "ask nobody",
	"listen":   "where to serve, host:port",
	"once":     "end after the first token",
	"fault":    "a fault to show",
	"name":     "what the key is called",
	"session":  "the end user that the token is for",
	"duration": "how long the token lives, in seconds",
	"json":     "print the whole answer as JSON",
	"lang":     "the language of messages, zh or en",
}

const helpText message.Format = "how a command is used"

// A flagOf is a flag of a command.
type flagOf struct {
	name, text, values string // values are the words that it can have; empty: any
	file               bool   // its value is the name of a file
	alone              bool   // it has no value
}

func (p *process) completion() int {
	shells := map[string]func(*process) string{"bash": (*process).bash, "zsh": (*process).zsh, "fish": (*process).fish}
	write, ok := shells[p.arg]
	if !ok {
		return p.usageError(message.New("completion: name a shell: bash, zsh or fish"))
	}
	fmt.Fprint(p.stdout, write(p))
	return exitOK
}

// flagsOf are the flags of a command, in the order of their names.
func (p *process) flagsOf(c command) (list []flagOf) {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	if c.flags != nil {
		c.flags(fs)
	}
	fs.String("lang", "", "")
	fs.VisitAll(func(f *flag.Flag) {
		b, ok := f.Value.(interface{ IsBoolFlag() bool })
		one := flagOf{name: f.Name, text: flagTexts[f.Name].In(p.texts), file: f.Name == "config"}
		one.alone = ok && b.IsBoolFlag()
		if f.Name == "lang" {
			one.values = "zh en"
		}
		list = append(list, one)
	})
	return list
}

// words are what can follow a command beside flags.
func words(command string) string {
	if command == "completion" {
		return "bash zsh fish"
	}
	return ""
}

// bash completes without descriptions, which bash has none of.
func (p *process) bash() string {
	var names []string
	var cases strings.Builder
	for _, c := range commands() {
		names = append(names, c.name)
		list := strings.Fields(words(c.name))
		for _, f := range p.flagsOf(c) {
			list = append(list, "--"+f.name)
		}
		fmt.Fprintf(&cases, "    %s) words=%q ;;\n", c.name, strings.Join(list, " "))
	}
	return fmt.Sprintf(`_coze_token() {
  local current="${COMP_WORDS[COMP_CWORD]}" words
  case "${COMP_WORDS[COMP_CWORD-1]}" in
    --config) COMPREPLY=($(compgen -f -- "$current")); return ;;
    --lang) COMPREPLY=($(compgen -W "zh en" -- "$current")); return ;;
  esac
  case "${COMP_WORDS[1]}" in
%s    *) words=%q ;;
  esac
  if [ "$COMP_CWORD" = 1 ]; then words=%[2]q; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _coze_token coze-token
`, cases.String(), strings.Join(append(names, "help"), " "))
}

func (p *process) zsh() string {
	var list, cases strings.Builder
	for _, c := range commands() {
		fmt.Fprintf(&list, "    %s\n", zshQuote(c.name+":"+c.summary.In(p.texts)))
		var specs []string
		for _, f := range p.flagsOf(c) {
			spec := "--" + f.name + "[" + f.text + "]"
			switch {
			case f.file:
				spec += ":file:_files"
			case f.values != "":
				spec += ":value:(" + f.values + ")"
			case !f.alone:
				spec += ":value:"
			}
			specs = append(specs, zshQuote(spec))
		}
		if w := words(c.name); w != "" {
			specs = append(specs, zshQuote("1:shell:("+w+")"))
		}
		fmt.Fprintf(&cases, "    %s) _arguments %s ;;\n", c.name, strings.Join(specs, " "))
	}
	fmt.Fprintf(&list, "    %s\n", zshQuote("help:"+helpText.In(p.texts)))
	fmt.Fprintf(&cases, "    help) _describe 'command' list ;;\n")
	return fmt.Sprintf(`_coze_token() {
  local -a list
  list=(
%s  )
  if (( CURRENT == 2 )); then
    _describe 'command' list
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
%s  esac
}
compdef _coze_token coze-token
`, list.String(), cases.String())
}

// zshQuote quotes a text for zsh. The brackets of a specification have none inside.
func zshQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func (p *process) fish() string {
	var b strings.Builder
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	fmt.Fprintln(&b, "complete -c coze-token -f")
	none := "not __fish_seen_subcommand_from " + strings.Join(names, " ")
	for _, c := range commands() {
		fmt.Fprintf(&b, "complete -c coze-token -n '%s' -a %s -d %s\n", none, c.name, fishQuote(c.summary.In(p.texts)))
	}
	fmt.Fprintf(&b, "complete -c coze-token -n '%s; and not __fish_seen_subcommand_from help' -a help -d %s\n", none,
		fishQuote(helpText.In(p.texts)))
	for _, c := range commands() {
		seen := "__fish_seen_subcommand_from " + c.name
		for _, f := range p.flagsOf(c) {
			kind := " -x"
			switch {
			case f.alone:
				kind = ""
			case f.file:
				kind = " -r -F"
			case f.values != "":
				kind = " -x -a '" + f.values + "'"
			}
			fmt.Fprintf(&b, "complete -c coze-token -n '%s' -l %s%s -d %s\n", seen, f.name, kind, fishQuote(f.text))
		}
		if w := words(c.name); w != "" {
			fmt.Fprintf(&b, "complete -c coze-token -n '%s' -a '%s'\n", seen, w)
		}
	}
	return b.String()
}

func fishQuote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}
