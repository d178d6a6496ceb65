package message

import (
	"errors"
	"io/fs"
	"strings"
)

// known are what operating systems say most often, of files and of the network.
var known = []Format{
	"no such file or directory", "permission denied", "is a directory", "not a directory", "no space left on device",
	"connection refused", "connection reset by peer", "no such host", "no route to host", "network is unreachable",
	"i/o timeout", "context deadline exceeded", "EOF", "unexpected EOF", "cannot assign requested address",
	"first record does not look like a TLS handshake", "certificate signed by unknown authority",
}

// Cause is what went wrong with a file, without the file's name.
func Cause(err error) Message {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = at.Err
	}
	return Reason(err)
}

// Reason is an error as a text. What is not known of it stays as the system says it, such as the
// address that stands before "connection refused".
func Reason(err error) Text {
	if m, ok := err.(Message); ok {
		return New("%s", m)
	}
	text := err.Error()
	for _, f := range known {
		before, ok := strings.CutSuffix(text, string(f))
		if ok && before == "" {
			return New(f)
		}
		if before, ok = strings.CutSuffix(before, ": "); ok {
			return New("%s: %s", before, f)
		}
	}
	return Verbatim(text)
}
