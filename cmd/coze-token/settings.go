package main

import (
	"crypto/sha256"
	"flag"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"

	cozetoken "coze-token"
	"coze-token/internal/fault"
	"coze-token/internal/message"
	"coze-token/internal/native"
	"coze-token/internal/quote"
	"coze-token/internal/redis"
)

// configFlag is the flag of all commands that read settings.
func configFlag(fs *flag.FlagSet, file *string) {
	fs.StringVar(file, "config", "", "")
}

const configHelp = `  --config FILE      read a coze_oauth_config.json, the file that Coze's own samples use.
                     An environment variable wins over what the file says.
`

// appFlag picks one of the apps of APPS.
func appFlag(fs *flag.FlagSet, app *string) {
	fs.StringVar(app, "app", "", "")
}

const appHelp = `  --app NAME         one of the apps of APPS, instead of the one that is served at /
`

// options are what this host provides to every service.
func options(log *slog.Logger) cozetoken.Options {
	return cozetoken.Options{Transport: native.Transport(), Log: log}
}

// settings reads the settings, and says what is wrong with them or looks wrong.
func (p *process) settings(from *source, check func(*cozetoken.Settings) fault.List) (*cozetoken.Settings, bool) {
	settings, warnings, err := p.read(from, check)
	for _, w := range warnings {
		p.warn(w)
	}
	if err != nil {
		p.settingsError(err)
		return nil, false
	}
	return settings, true
}

func (p *process) settingsError(err error) {
	for _, f := range fault.Of(err) {
		p.report(f)
	}
}

// pick is the app that a command is about.
func (p *process) pick(s *cozetoken.Settings, name string) (cozetoken.App, bool) {
	app, ok := s.App(name)
	switch {
	case ok:
	case name == "":
		p.errorf("there is no app at /, only those of APPS", "name one with --app")
	default:
		p.errorf("there is no app %q", "the apps are those that APPS names", name)
	}
	return app, ok
}

// A source is the files that settings are read from. It remembers them, so that a change can be
// noticed.
type source struct {
	file   string                       // --config
	strict bool                         // files that everybody can read are warned of
	read   map[string][sha256.Size]byte // :: file → the hash of what it held
	seen   map[string][sha256.Size]byte // the same, when changed last looked
}

func (s *source) readFile(name string) ([]byte, error) {
	data, err := os.ReadFile(name)
	if s.read == nil {
		s.read = map[string][sha256.Size]byte{}
	}
	s.read[name] = sha256.Sum256(data)
	return data, err
}

// exposed reports whether every user of this machine can read a file. Files that a container
// platform mounts usually can be read by all of the container, which is one service.
func (s *source) exposed(name string) bool {
	if !s.strict || strings.HasPrefix(name, "/run/secrets/") || strings.HasPrefix(name, "/var/run/secrets/") {
		return false
	}
	info, err := os.Stat(name)
	return err == nil && info.Mode().Perm()&0o004 != 0 && runtime.GOOS != "windows"
}

// changed reports whether a file is no longer as it was read, and all are as they were when it last
// looked: a file that is being written is not read. A file that is gone holds nothing.
func (s *source) changed() bool {
	seen := map[string][sha256.Size]byte{}
	differs, settled := false, true
	for name, before := range s.read {
		data, _ := os.ReadFile(name)
		seen[name] = sha256.Sum256(data)
		if seen[name] != before {
			differs = true
			settled = settled && s.seen[name] == seen[name]
		}
	}
	s.seen = seen
	return differs && settled
}

// read reads the settings: those of the environment and under them those of the file. A file that
// cannot be used does not hide what is wrong with the environment. check finds what only the
// command can find. It may be nil.
func (p *process) read(
	from *source, check func(*cozetoken.Settings) fault.List,
) (*cozetoken.Settings, fault.List, error) {
	file, warnings, err := from.layer()
	faults := fault.Of(err)
	settings, more, err := cozetoken.Read(p.env, cozetoken.Options{
		File:     file,
		ReadFile: from.readFile,
		Exposed:  from.exposed,
		YAML:     native.YAMLToJSON,
		Check:    check,
		Partial:  len(faults) > 0,
	})
	faults = append(faults, fault.Of(err)...)
	return settings, append(warnings, more...), faults.Err()
}

// layer is what the file of --config sets.
func (s *source) layer() (cozetoken.File, fault.List, error) {
	if s.file == "" {
		return cozetoken.File{}, nil, nil
	}
	data, err := s.readFile(s.file)
	if err != nil {
		return cozetoken.File{}, nil, fault.New("the file %s cannot be read: %s",
			"name a coze_oauth_config.json that exists", quote.Path(s.file), message.Cause(err)).Of("--config")
	}
	return cozetoken.ParseFile(s.file, data)
}

// machineFaults finds what only this machine can find wrong with settings: serve does not start
// then. It opens nothing that serve opens, since check may run as another user.
func machineFaults(s *cozetoken.Settings) (faults fault.List) {
	if s.Native.AuditFile != "" {
		if err := native.CheckAudit(s.Native.AuditFile); err != nil {
			faults = append(faults, auditFault(err))
		}
	}
	if url := s.Native.RedisURL.Reveal(); url != "" {
		for _, f := range fault.Of(redis.CheckURL(url)) {
			faults = append(faults, f.Of("REDIS_URL"))
		}
	}
	return slices.Concat(faults, certificateFaults(s), native.CheckProxies())
}

// proxyFaults finds what is wrong with the way to Coze.
func proxyFaults(*cozetoken.Settings) fault.List { return native.CheckProxies() }

func auditFault(err error) fault.Fault {
	return fault.New("cannot be opened: %s", "name a file that this process may write",
		message.Cause(err)).Of("AUDIT_FILE")
}

// certificateFaults finds whether the two files of TLS belong together. Read has seen that each is
// there.
func certificateFaults(s *cozetoken.Settings) fault.List {
	if s.Native.TLSCertFile == "" || s.Native.TLSKeyFile == "" {
		return nil
	}
	_, err := native.Certificate(s.Native.TLSCertFile, s.Native.TLSKeyFile)
	if err == nil {
		return nil
	}
	return fault.List{fault.New("cannot be used with TLS_KEY_FILE: %s",
		"name the certificate chain and the private key that was made with it, both in PEM form",
		message.Cause(err)).Of("TLS_CERT_FILE")}
}
