// Command bench runs the token service side by side with other ways of doing the same, in one go,
// and prints how they compare. docs/performance.md says how to run it and how to read it.
//
//	go run ./bench            the native server; make bench
//	go run ./bench upstream   a token endpoint that costs next to nothing
//	go run ./bench load       a load generator: a job in JSON on each line of its input, its result on its output
//
// The last two are for bench/worker.mjs, which does the same on Workers' runtime. Each contender is
// a process of its own, so that what it costs is its own; "serve" is how this program starts them.
//
// BENCH_SHORT=1 makes it a smoke run of some seconds, whose numbers mean nothing.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	role := ""
	if len(args) > 0 {
		role, args = args[0], args[1:]
	}
	switch role {
	case "":
		ctx, stop := signal.NotifyContext(background, os.Interrupt, syscall.SIGTERM)
		defer stop()
		return compare(ctx, os.Stdout, os.Getenv("BENCH_SHORT") != "")
	case "upstream":
		return serveUpstream()
	case "load":
		return answerLines(os.Stdin, os.Stdout, func(line []byte) (any, error) {
			var j job
			if err := json.Unmarshal(line, &j); err != nil {
				return nil, err
			}
			return j.run()
		})
	case "serve":
		if len(args) != 1 {
			return errors.New("serve which contender?")
		}
		return serveContender(args[0])
	default:
		return fmt.Errorf("there is no %q here", role)
	}
}

// answerLines answers each line of in with a line of JSON, until in ends. An error is answered as
// {"error": "…"}.
func answerLines(in io.Reader, out io.Writer, answer func(line []byte) (any, error)) error {
	lines := bufio.NewScanner(in)
	encoder := json.NewEncoder(out)
	for lines.Scan() {
		v, err := answer(lines.Bytes())
		if err != nil {
			v = map[string]string{"error": err.Error()}
		}
		if err := encoder.Encode(v); err != nil {
			return err
		}
	}
	return lines.Err()
}
