package main

import (
	"crypto/sha256"
	"errors"
	"flag"
	"os"

	"github.com/goccy/go-yaml"

	"coze-token/internal/config"
)

// configFlag is the flag that all commands with settings share.
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

// settings reads the settings, says what is wrong with them, and what merely looks wrong.
func (p *process) settings(file string) (*config.Settings, bool) {
	settings, warnings, err := p.parse(&source{file: file}, nil)
	for _, w := range warnings {
		p.warnf("%s", w)
	}
	if err != nil {
		p.settingsError(err)
		return nil, false
	}
	return settings, true
}

func (p *process) settingsError(err error) {
	var faults config.Faults
	if !errors.As(err, &faults) {
		p.errorf("", "%v", err)
		return
	}
	for _, f := range faults {
		p.errorf(f.Remedy, "%s: %s", f.Name, f.Problem)
	}
}

// pick is the app that a command is about.
func (p *process) pick(s *config.Settings, app string) (config.AppSettings, bool) {
	if app == "" && s.App != nil {
		return s.AppSettings, true
	}
	if a, ok := s.Apps[app]; ok {
		return a, true
	}
	if app == "" {
		p.errorf("name one with --app", "there is no app at /, only those of APPS")
	} else {
		p.errorf("the apps are those that APPS names", "there is no app %q", app)
	}
	return config.AppSettings{}, false
}

// A source is where settings come from beside the environment: files. It remembers them, so that a change can be noticed.
type source struct {
	file string                       // --config
	read map[string][sha256.Size]byte // :: file → its content when it was read
}

func (s *source) readFile(name string) ([]byte, error) {
	data, err := os.ReadFile(name)
	if s.read == nil {
		s.read = map[string][sha256.Size]byte{}
	}
	s.read[name] = sha256.Sum256(data)
	return data, err
}

// changed says whether a file is no longer as it was read. One that is gone has no content.
func (s *source) changed() bool {
	for name, before := range s.read {
		if data, _ := os.ReadFile(name); sha256.Sum256(data) != before {
			return true
		}
	}
	return false
}

// parse reads the file, where there is one, and lays the environment over it. A file that cannot be used does not hide what is
// wrong with the environment. look, where it is not nil, adds what the command finds out for itself.
func (p *process) parse(from *source, look func(*config.Settings) config.Faults) (*config.Settings, []config.Warning, error) {
	file, warnings, faults := from.layer()
	settings, inSettings, err := config.Parse(p.env, config.Options{
		File:     file,
		ReadFile: from.readFile,
		YAML:     yaml.YAMLToJSON,
		Look:     look,
		Partial:  len(faults) > 0,
	})
	warnings = append(warnings, inSettings...)
	if inSettings, ok := errors.AsType[config.Faults](err); ok {
		faults = append(faults, inSettings...)
	}
	if len(faults) > 0 {
		return nil, warnings, faults
	}
	return settings, warnings, nil
}

// layer is what the file of --config sets.
func (s *source) layer() (config.File, []config.Warning, config.Faults) {
	if s.file == "" {
		return config.File{}, nil, nil
	}
	data, err := s.readFile(s.file)
	if err != nil {
		return config.File{}, nil, config.Faults{{Name: "--config", Problem: "cannot be read: " + cause(err), Remedy: "name a coze_oauth_config.json that exists"}}
	}
	file, warnings, err := config.FromFile(s.file, data)
	faults, _ := errors.AsType[config.Faults](err)
	return file, warnings, faults
}

// cause is what went wrong with a file, without its name.
func cause(err error) string {
	var e *os.PathError
	if errors.As(err, &e) {
		return e.Err.Error()
	}
	return err.Error()
}
