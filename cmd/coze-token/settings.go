package main

import (
	"errors"
	"flag"
	"os"

	"coze-token/config"
)

// configFlag is the flag that all commands with settings share.
func configFlag(fs *flag.FlagSet, file *string) {
	fs.StringVar(file, "config", "", "")
}

const configHelp = `  --config FILE      read a coze_oauth_config.json, the file that Coze's own samples use.
                     An environment variable wins over what the file says.
`

// settings reads the settings, says what is wrong with them, and what merely looks wrong.
func (p *process) settings(file string) (*config.Settings, bool) {
	settings, warnings, err := p.parse(file)
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

// parse reads the file, where there is one, and lays the environment over it.
func (p *process) parse(file string) (*config.Settings, []config.Warning, error) {
	env := p.env
	var warnings []config.Warning
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, config.Faults{{Name: "--config", Problem: "cannot be read: " + cause(err), Remedy: "name a coze_oauth_config.json that exists"}}
		}
		layer, inFile, err := config.FromFile(data)
		if err != nil {
			return nil, inFile, err
		}
		env, warnings = config.Merge(env, layer), inFile
	}
	settings, inSettings, err := config.Parse(env, config.Options{ReadFile: os.ReadFile})
	return settings, append(warnings, inSettings...), err
}

// cause is what went wrong with a file, without its name.
func cause(err error) string {
	var e *os.PathError
	if errors.As(err, &e) {
		return e.Err.Error()
	}
	return err.Error()
}
