package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A process is this program in another role, started for one contender or for the upstream.
type process struct {
	name  string
	url   string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Reader
	last  usage
}

// start starts a role and waits for its address. Its log goes where nobody reads it, through the
// same system calls as anywhere.
func start(ctx context.Context, env []string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{name: args[len(args)-1], cmd: exec.CommandContext(ctx, self, args...)}
	p.cmd.Env = append(os.Environ(), env...)
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.lines = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	u, err := p.read()
	if err != nil {
		p.stop()
		return nil, err
	}
	p.url = u.URL
	return p, nil
}

func (p *process) read() (u usage, err error) {
	line, err := p.lines.ReadBytes('\n')
	if err != nil {
		return u, fmt.Errorf("%s ended: %w", p.name, err)
	}
	if err := json.Unmarshal(line, &u); err != nil {
		return u, fmt.Errorf("%s: %w", p.name, err)
	}
	if u.Error != "" {
		err = errors.New(p.name + ": " + u.Error)
	}
	return u, err
}

// since is what the process has used since it was asked last, after it did what it is told to.
func (p *process) since(order string) (usage, error) {
	if _, err := io.WriteString(p.stdin, order+"\n"); err != nil {
		return usage{}, fmt.Errorf("%s: %w", p.name, err)
	}
	u, err := p.read()
	if err != nil {
		return u, err
	}
	used := u
	used.CPU -= p.last.CPU
	used.Mallocs -= p.last.Mallocs
	used.Bytes -= p.last.Bytes
	p.last = u
	return used, nil
}

// stop ends the process by ending its input, and by force where that is not enough.
func (p *process) stop() {
	p.stdin.Close()
	kill := time.AfterFunc(5*time.Second, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	p.cmd.Wait()
}

// environment is settings in the form of a process's environment.
func environment(settings map[string]string, more ...string) []string {
	for name, value := range settings {
		more = append(more, name+"="+strings.ReplaceAll(value, "\n", `\n`))
	}
	return more
}
