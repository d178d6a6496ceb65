package message

import (
	"errors"
	"io/fs"
)

// known are what operating systems say of files most often.
var known = []Format{
	"no such file or directory", "permission denied", "is a directory", "not a directory", "no space left on device",
}

// Cause is what went wrong with a file, without the file's name. What is not known stays as the
// system says it.
func Cause(err error) Message {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = at.Err
	}
	if m, ok := err.(Message); ok {
		return m
	}
	for _, f := range known {
		if err.Error() == string(f) {
			return f
		}
	}
	return Verbatim(err.Error())
}
