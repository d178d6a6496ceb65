package main

import (
	"context"
	"crypto/tls"
	"flag"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	cozetoken "coze-token"
	"coze-token/internal/message"
	"coze-token/internal/metrics"
	"coze-token/internal/native"
	"coze-token/internal/ratelimit"
	"coze-token/internal/redis"
	"coze-token/internal/version"
)

const serveHelp = `
Usage: coze-token serve [--config FILE]

Serves access tokens over HTTP until it is told to stop (SIGINT or SIGTERM; open requests may finish).
With DRAIN_DELAY, it goes on for so many seconds after that, while /readyz already says 503.

  POST /           a token: {"access_token": "…", "expires_in": …, "token_type": "Bearer", …}
                   the header X-User-ID, where sent, names the end user that the token is for
  POST /NAME       a token of an app of APPS
  GET  /healthz    whether the process is alive
  GET  /readyz     whether it has what it needs
  GET  /client.js  the client for pages without a bundler

Flags:
` + configHelp + `
The settings that matter most, all environment variables:
  CLIENT_ID, KID, PRIVATE_KEY   the Coze OAuth app; PRIVATE_KEY_FILE names a file instead
  COZE_REGION                   cn (the default) or com
  API_KEYS, JWT_ISSUER, WECHAT_APP_ID, VISITOR_SECRET   who may ask (docs/access.md has all); without any, anybody
  ALLOWED_ORIGINS               the pages that may ask from a browser
  LISTEN                        host:port, 127.0.0.1:8787 unless set, or unix:/path; PORT alone means every interface
  LOG_FORMAT, LOG_LEVEL         auto, text or json; debug, info, warn or error

Files that settings are read from are read again when they change, and all of them on SIGHUP: keys, apps, callers and the
certificate of TLS change without a restart. What is wrong then is logged, and everything stays as it was. SIGHUP also
opens AUDIT_FILE again.

Logs go to standard error. Exit codes: 0 stopped in good order, 1 it could not listen or serve, 2 wrong settings.
`

func serveCommand() command {
	var file string
	return command{
		name: "serve", summary: "serve tokens over HTTP", help: serveHelp,
		flags: func(fs *flag.FlagSet) { configFlag(fs, &file) },
		run:   func(p *process) int { return p.serve(file) },
	}
}

func (p *process) serve(file string) int {
	hangup, stop := hangups()
	defer stop()
	from := &source{file: file}
	settings, ok := p.settings(from, machineFaults)
	if !ok {
		return exitUsage
	}
	host := settings.Native
	var log *slog.Logger
	queue := native.NewQueue(p.stderr, func(records int, _ error) {
		log.Error("log records were lost: standard error was not read fast enough", "lost", records)
	})
	defer queue.Close()
	log = native.Logger(queue, settings.LogLevel, host.LogFormat)
	p.stderr = queue // a message to a person too must not wait for a stuck reader
	o := options(log)
	reopen := func() error { return nil }
	var audit *native.AuditFile // nil: the log has the records
	if host.AuditFile != "" {
		var err error
		if audit, err = native.OpenAudit(host.AuditFile, log); err != nil {
			p.settingsError(auditFault(err))
			return exitUsage
		}
		defer audit.Close()
		o.Audit, reopen = audit.Logger(), audit.Reopen
	}
	if url := host.RedisURL.Reveal(); url != "" {
		store, err := redis.Open(url)
		if err != nil {
			return p.failed(err)
		}
		defer store.Close()
		o.Store, o.Counter = store, func(string) ratelimit.Counter { return store }
		checkRedis(p.ctx, store, log)
	}
	var current atomic.Pointer[tls.Certificate]
	var certificate func() *tls.Certificate // nil: plain HTTP
	pair, err := native.Certificate(host.TLSCertFile, host.TLSKeyFile)
	if err != nil {
		p.errorf("TLS_CERT_FILE and TLS_KEY_FILE changed while they were read: %s", "start again", err)
		return exitFailed
	}
	if pair != nil {
		current.Store(pair)
		certificate = current.Load
	}
	var m *metrics.Metrics // nil: there are none
	if host.MetricsListen != "" {
		m = metrics.New()
		m.Observe(&o)
		m.Records("log", queue.AllLost)
		if audit != nil {
			m.Records("audit", audit.AllLost)
		}
	}
	service := cozetoken.Build(settings, o)
	listener, err := host.Listener()
	if err != nil {
		p.errorf("%s", "set LISTEN to another host:port of this machine, such as 127.0.0.1:8788, or to another socket", err)
		return exitFailed
	}
	if m != nil {
		m.Serve(service, certificate)
		measured, err := native.Listen(host.MetricsListen)
		if err != nil {
			listener.Close()
			p.errorf("%s", "set METRICS_LISTEN to another host:port of this machine", err)
			return exitFailed
		}
		log.Info("metrics", "url", baseURL("http", measured.Addr())+"/metrics")
		listener = m.Listener(listener)
		// They end with the process, after the last request: what drains is measured too.
		ctx, stop := context.WithCancel(context.WithoutCancel(p.ctx))
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			native.Serve(ctx, measured, m.Handler(), native.Options{Log: log})
		}()
		defer func() { stop(); <-ended }()
	}
	if open := announce(log, settings, listener.Addr()); open && p.texts != nil { // the log has it in English
		p.warn(message.Format(cozetoken.OpenAccess))
	}
	notify := func(state string) {
		if err := native.Notify(state); err != nil {
			log.Warn("systemd could not be told the state of the service", "state", state, "error", err.Error())
		}
	}

	r := &reloader{
		process: p, hangup: hangup, from: from, service: service, certificate: &current, reopen: reopen,
		reloaded: func(ok bool) {
			if m != nil {
				m.Reloaded(ok)
			}
		},
		notify: notify, log: log,
	}
	ctx, cancel := context.WithCancel(p.ctx)
	reloaded := make(chan struct{})
	go func() {
		defer close(reloaded)
		r.run(ctx)
	}()
	notify(native.Ready)
	err = native.Serve(p.ctx, listener, service, native.Options{
		MaxConnections: host.MaxConnections, Exempt: service.TrustsProxy, Certificate: certificate, Log: log,
		DrainDelay: host.DrainDelay,
		Stopping: func() {
			service.Drain()
			notify(native.Stopping)
		},
	})
	cancel()
	<-reloaded
	if err != nil {
		return p.failed(err)
	}
	return exitOK
}

// checkRedis warns of a store that cannot be used. The server starts all the same: each replica can
// do without it.
func checkRedis(ctx context.Context, store *redis.Store, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := store.Check(ctx); err != nil {
		log.Warn("REDIS_URL: " + err.Error() + "; until it works, this replica shares nothing")
	}
}

// baseURL is the URL of a listener on this machine. One on all interfaces is found at the loopback
// address.
func baseURL(scheme string, address net.Addr) string {
	if address.Network() == "unix" {
		return scheme + "://unix:" + address.String() + ":" // as nginx writes it
	}
	host := address.String()
	if tcp, ok := address.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		host = net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return scheme + "://" + host
}

// announce logs one record for each app: what is served. It warns of what is open, and reports whether
// anything is.
func announce(log *slog.Logger, s *cozetoken.Settings, address net.Addr) (open bool) {
	scheme := "http"
	if s.Native.TLSCertFile != "" {
		scheme = "https"
	}
	for name, app := range s.Apps() {
		endpoint, _ := app.OAuth.TokenURL() // an app that was read has one
		log.Info("serving",
			"url", baseURL(scheme, address)+"/"+name,
			"listen", address.String(),
			"app", app.OAuth.ClientID,
			"region", app.Region,
			"endpoint", endpoint,
			"key", app.OAuth.Keys[0].String(),
			"duration", app.Duration.String(),
			"version", version.String())
	}
	open = warnOpen(log, s)
	warnFiles(log, s)
	return open
}

// spareFiles are for listeners, logs, Redis and what else is open.
const spareFiles = 64

// warnFiles warns if the process may not have as many connections open as the settings allow.
func warnFiles(log *slog.Logger, s *cozetoken.Settings) {
	need := uint64(s.Native.MaxConnections + s.MaxExchanges() + spareFiles)
	if may := native.MaxFiles(); may > 0 && may < need {
		log.Warn("this process may open too few files for MAX_CONNECTIONS and MAX_EXCHANGES; "+
			"raise the limit (ulimit -n, LimitNOFILE), or lower the settings", "limit", may, "needed", need)
	}
}

// warnOpen warns of each app that lets anybody in, and reports whether there is one.
func warnOpen(log *slog.Logger, s *cozetoken.Settings) (open bool) {
	for name, app := range s.Apps() {
		if app.Callers.IsOpen() {
			log.Warn(cozetoken.OpenAccess, "path", "/"+name)
			open = true
		}
	}
	return open
}
