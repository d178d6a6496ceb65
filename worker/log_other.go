//go:build !wasip1

package worker

import "log/slog"

func writeLog(_ slog.Level, line []byte) {
	logSink.Write(append(line, '\n'))
}
