package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"log/slog"
	"net"

	"coze-token/config"
	"coze-token/host/native"
	"coze-token/internal/version"
	"coze-token/service"
)

const serveHelp = `
Usage: coze-token serve [--config FILE]

Serves access tokens over HTTP until it is told to stop (SIGINT or SIGTERM; open requests may finish).

  POST /         a token: {"access_token": "…", "expires_in": …, "token_type": "Bearer", …}
                 the header X-User-ID, where sent, names the end user that the token is for
  GET  /healthz  whether the process is alive
  GET  /readyz   whether it has what it needs

Flags:
` + configHelp + `
The settings that matter most, all environment variables:
  CLIENT_ID, KID, PRIVATE_KEY   the Coze OAuth app; PRIVATE_KEY_FILE names a file instead
  COZE_REGION                   cn (the default) or com
  LISTEN                        host:port, 127.0.0.1:8787 unless set; PORT alone means every interface
  LOG_FORMAT, LOG_LEVEL         auto, text or json; debug, info, warn or error

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
	settings, ok := p.settings(file)
	if !ok {
		return exitUsage
	}
	certificate, err := native.Certificate(settings.TLSCertFile, settings.TLSKeyFile)
	if err != nil {
		p.errorf(certificateRemedy, "%v", err)
		return exitUsage
	}
	listener, err := native.Listen(settings.Listen)
	if err != nil {
		p.errorf("", "%v", err)
		return exitFailed
	}
	log := native.Logger(p.stderr, settings.LogLevel, settings.LogFormat)
	announce(log, settings, listener.Addr())
	if err := p.serveOn(listener, settings, certificate, log); err != nil {
		p.errorf("", "%v", err)
		return exitFailed
	}
	return exitOK
}

func (p *process) serveOn(l net.Listener, s *config.Settings, certificate *tls.Certificate, log *slog.Logger) error {
	handler, err := service.New(s, platform(log))
	if err != nil {
		return err
	}
	return native.Serve(p.ctx, l, handler, native.Options{
		MaxConnections: s.MaxConnections,
		Certificate:    certificate,
		Log:            log,
	})
}

func platform(log *slog.Logger) service.Platform {
	return service.Platform{Transport: native.Transport(), Log: log}
}

// announce says in one record what is served, and warns of what is open.
func announce(log *slog.Logger, s *config.Settings, address net.Addr) {
	scheme := "http"
	if s.TLSCertFile != "" {
		scheme = "https"
	}
	endpoint, _ := s.App.TokenURL() // config has made sure that there is one
	log.Info("serving",
		"url", fmt.Sprintf("%s://%s/", scheme, address),
		"app", s.App.ClientID,
		"region", s.Region,
		"endpoint", endpoint,
		"key", s.App.Keys[0].String(),
		"duration", s.Duration.String(),
		"version", version.String())
	log.Warn(openAccess)
}

const certificateRemedy = "name the certificate chain and the private key that was made with it, both in PEM form"

const openAccess = "access is open: whoever reaches this address gets a token for any X-User-ID; let only your own backend or a proxy that checks callers reach it"
