package setting_test

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"coze-token/internal/fault"
	"coze-token/internal/setting"
)

// Settings as a feature declares them.
var (
	required = setting.New(setting.Row{
		Name: "REQUIRED_NAME", Required: "choose one", App: setting.Own, Others: []setting.Other{{Name: "OLD_NAME"}},
	}, setting.Word)
	lifetime = setting.New(setting.Row{
		Name: "LIFETIME", Default: "60", WorkersDefault: "30", Min: 1, Max: 600, App: setting.Shared,
	}, setting.Seconds)
	secret = setting.New(setting.Row{Name: "DOOR_SECRET", Secret: true, App: "door"}, setting.SecretText)
	open   = setting.New(setting.Row{Name: "DOOR_OPEN", Default: "off", App: "door"}, setting.OnOff)
	colour = setting.New(setting.Row{Name: "COLOUR", Default: "red"}, setting.Choice("red", "blue"))
	items  = setting.New(setting.Row{Name: "ITEMS"}, setting.Items)
	listen = setting.New(setting.Row{
		Name: "LISTEN", Host: setting.Native, Others: []setting.Other{{Name: "PORT", Ambient: true}},
	}, setting.Text)
	binding = setting.New(setting.Row{Name: "BINDING", Host: setting.Workers}, setting.Text)

	list = setting.List{required, lifetime, secret, open, colour, items, listen, binding}
)

type env = map[string]string

func readFile(name string) ([]byte, error) {
	switch name {
	case "/secret":
		return []byte(" s3cret\n"), nil
	case "/empty":
		return []byte("\n"), nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// result is what was found: the settings' values, and the lines about them.
func result(e env, o setting.Options) (r *setting.Reader, lines []string) {
	r = list.Open(e, o)
	r.Parse()
	warnings, err := r.Close()
	for _, f := range append(warnings, fault.Of(err)...) {
		lines = append(lines, f.Error())
	}
	return r, lines
}

func TestValues(t *testing.T) {
	r, lines := result(env{
		"REQUIRED_NAME": " “a-1” ", "LIFETIME": "5", "DOOR_SECRET_FILE": "/secret", "DOOR_OPEN": "TRUE",
		"COLOUR": "Blue", "ITEMS": " a ,, b", "PORT": "80",
	}, setting.Options{ReadFile: readFile})
	want := []string{"REQUIRED_NAME: its value stands in quotes, which were left out; remove the quotes"}
	if !slices.Equal(lines, want) {
		t.Errorf("it said %q", lines)
	}
	if required.Get(r) != "a-1" || lifetime.Get(r) != 5*time.Second || secret.Get(r).Reveal() != "s3cret" ||
		!open.Get(r) ||
		colour.Get(r) != "blue" || !slices.Equal(items.Get(r), []string{"a", "b"}) || listen.Get(r) != "80" {
		t.Error("a value is wrong")
	}
	if !r.IsSet(listen) || r.Variable(listen) != "PORT" || r.Variable(secret) != "DOOR_SECRET_FILE" || r.IsSet(binding) {
		t.Error("it does not know what set a setting")
	}
	if want := []string{"BINDING"}; !slices.Equal(r.Unread(), want) {
		t.Errorf("unread: %q", r.Unread())
	}
}

// A whole line stands where the value alone belongs.
func TestTheNameBeforeTheValue(t *testing.T) {
	file := setting.Options{ReadFile: func(string) ([]byte, error) { return []byte("DOOR_SECRET=s\n"), nil }}
	for _, e := range []env{
		{"REQUIRED_NAME": "REQUIRED_NAME=a", "DOOR_SECRET": "DOOR_SECRET: s"},
		{"REQUIRED_NAME": "export REQUIRED_NAME=a", "DOOR_SECRET": "export DOOR_SECRET=s"},
		{"OLD_NAME": "OLD_NAME=\"a\"", "DOOR_SECRET_FILE": "/f"},
	} {
		r, lines := result(e, file)
		if required.Get(r) != "a" || secret.Get(r).Reveal() != "s" ||
			!strings.Contains(strings.Join(lines, "\n"), "was left out") {
			t.Errorf("%q and %q; it said %q", required.Get(r), secret.Get(r).Reveal(), lines)
		}
	}
	if r, lines := result(env{"REQUIRED_NAME": "REQUIRED_NAMES=a"}, file); required.Get(r) != "REQUIRED_NAMES=a" ||
		len(lines) > 0 {
		t.Errorf("it said %q", lines)
	}
}

func TestDefaults(t *testing.T) {
	for _, o := range []setting.Options{{}, {Workers: true}} {
		r, lines := result(env{"OLD_NAME": "a", "LIFETIME": " ", "LISTEN": ""}, o)
		want := time.Minute
		if o.Workers {
			want = 30 * time.Second
		}
		if len(lines) > 0 || lifetime.Get(r) != want || colour.Get(r) != "red" || open.Get(r) || r.IsSet(lifetime) {
			t.Errorf("%q, lifetime %v", lines, lifetime.Get(r))
		}
	}
}

func TestFaults(t *testing.T) {
	key := "-----BEGIN PRIVATE KEY-----\nAAAA"
	for name, c := range map[string]struct {
		env     env
		options setting.Options
		want    []string // the beginnings of the lines
	}{
		"missing": {env{}, setting.Options{}, []string{"REQUIRED_NAME: is not set; choose one"}},
		"empty": {
			env{"REQUIRED_NAME": ""}, setting.Options{},
			[]string{"REQUIRED_NAME: is empty; choose one"},
		},
		"misspelt": {
			env{"REQUIRED_NAMES": "a"}, setting.Options{},
			[]string{"REQUIRED_NAME: is not set, but REQUIRED_NAMES is"},
		},
		"another name": {
			env{"TITLE": "a"}, setting.Options{Mistaken: env{"TITLE": "REQUIRED_NAME"}},
			[]string{"REQUIRED_NAME: is not set, but TITLE is"},
		},
		"perhaps there": {env{}, setting.Options{Partial: true}, nil},
		"two names": {
			env{"OLD_NAME": "b", "REQUIRED_NAME": "a"}, setting.Options{},
			[]string{"OLD_NAME: is ignored, because REQUIRED_NAME is set"},
		},
		"the same": {env{"OLD_NAME": "a", "REQUIRED_NAME": "a"}, setting.Options{}, nil},
		"secret twice": {
			env{"OLD_NAME": "a", "DOOR_SECRET": "s", "DOOR_SECRET_FILE": "/secret"}, setting.Options{},
			[]string{"DOOR_SECRET: DOOR_SECRET_FILE is set too"},
		},
		"no files": {
			env{"OLD_NAME": "a", "DOOR_SECRET_FILE": "/secret"}, setting.Options{},
			[]string{"DOOR_SECRET_FILE: names a file, and this host has no files"},
		},
		"no such file": {
			env{"OLD_NAME": "a", "DOOR_SECRET_FILE": "/x"}, setting.Options{ReadFile: readFile},
			[]string{`DOOR_SECRET_FILE: there is no file "/x"`},
		},
		"empty file": {
			env{"OLD_NAME": "a", "DOOR_SECRET_FILE": "/empty"}, setting.Options{ReadFile: readFile},
			[]string{"DOOR_SECRET_FILE: the file it names is empty"},
		},
		"a key": {
			env{"OLD_NAME": key}, setting.Options{},
			[]string{"OLD_NAME: holds what looks like a private key"},
		},
		"no text": {
			env{"OLD_NAME": "a", "DOOR_OPEN": "\x00"}, setting.Options{NotText: "\x00"},
			[]string{"DOOR_OPEN: is bound to something that is no text"},
		},
		"bounds": {
			env{"OLD_NAME": "a", "LIFETIME": "601"}, setting.Options{},
			[]string{"LIFETIME: is 601, above the maximum of 600; use a whole number of seconds from 1 to 600"},
		},
		"not a number": {
			env{"OLD_NAME": "a", "LIFETIME": "2m"}, setting.Options{},
			[]string{`LIFETIME: is "2m", not a whole number of seconds; use a whole number of seconds from 1 to 600: 2m is 120`},
		},
		"many digits": {
			env{"OLD_NAME": "a", "LIFETIME": "99999999999999999999"}, setting.Options{},
			[]string{"LIFETIME: is \"99999999999999999999\", out of range"},
		},
		"choice": {
			env{"OLD_NAME": "a", "COLOUR": "green"}, setting.Options{},
			[]string{`COLOUR: is "green", which is not one of its values; use red or blue`},
		},
		"empty list": {
			env{"OLD_NAME": "a", "ITEMS": ","}, setting.Options{},
			[]string{"ITEMS: is a list with nothing in it"},
		},
		"native only": {
			env{"OLD_NAME": "a", "LISTEN": ":1", "PORT": "1"}, setting.Options{Workers: true},
			[]string{"LISTEN: this host cannot heed it"},
		},
		"Workers only": {
			env{"OLD_NAME": "a", "BINDING": "B"}, setting.Options{},
			[]string{"BINDING: is for Cloudflare Workers"},
		},
		"hint": {
			env{"OLD_NAME": "a", "LIFETIMES": "1", "FOREIGN": "x"}, setting.Options{Foreign: []string{"FOREIGN"}},
			[]string{"LIFETIMES: is not a setting; did you mean LIFETIME?"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, lines := result(c.env, c.options)
			if len(lines) != len(c.want) {
				t.Fatalf("it said %q", lines)
			}
			for i, line := range lines {
				if !strings.HasPrefix(line, c.want[i]) || strings.Contains(line, "AAAA") {
					t.Errorf("it said %q, want %q", line, c.want[i])
				}
			}
		})
	}
}

// An app has the service's settings by their scopes, and those of a group all or none.
func TestApp(t *testing.T) {
	r := list.Open(env{"REQUIRED_NAME": "a", "LIFETIME": "5", "DOOR_SECRET": "s", "COLOUR": "blue"}, setting.Options{})
	r.Parse()
	a := r.App("APPS.shop.", env{"REQUIRED_NAME": "b"})
	if required.Get(a) != "b" || lifetime.Get(a) != 5*time.Second || secret.Get(a).Reveal() != "s" || colour.Get(a) != "" {
		t.Error("the app inherits what it should not, or does not inherit what it should")
	}
	if !a.IsOwn(required) || a.IsOwn(lifetime) || a.Call(required) != "APPS.shop.required_name" ||
		a.Call(lifetime) != "LIFETIME" {
		t.Error("it does not know what is the app's own")
	}
	b := r.App("APPS.sales.", env{"DOOR_OPEN": "on", "LIFETIME": "0"})
	if secret.Get(b).Reveal() != "" || !open.Get(b) {
		t.Error("an app has half of a group from the service")
	}
	a.Fault(lifetime, "is odd", "make it even")
	b.Fault(secret, "is missing", "add it")
	a.Fault(lifetime, "is odd", "make it even")
	_, err := r.Close()
	want := []string{
		"APPS.sales.required_name: is not set; choose one",
		"APPS.sales.lifetime: is 0, below the minimum of 1; use a whole number of seconds from 1 to 600",
		"LIFETIME: is odd; make it even",
		"APPS.sales.door_secret: is missing; add it",
	}
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("it said\n%v", err)
	}
}

func TestExposedFiles(t *testing.T) {
	for exposed, want := range map[bool]int{true: 1, false: 0} {
		o := setting.Options{ReadFile: readFile, Exposed: func(string) bool { return exposed }}
		_, lines := result(env{"OLD_NAME": "a", "DOOR_SECRET_FILE": "/secret"}, o)
		if len(lines) != want || want == 1 && !strings.HasPrefix(lines[0], "DOOR_SECRET_FILE: every user of this machine") {
			t.Errorf("it said %q", lines)
		}
	}
}

func TestFile(t *testing.T) {
	file := setting.File{Name: "c.json", Members: map[string]setting.Member{
		"OLD_NAME": {Name: "name", Text: setting.NewSecret("<a>")},
		"COLOUR":   {Name: "colour", Text: setting.NewSecret("blue"), Unless: "PAINT"},
	}}
	r, lines := result(nil, setting.Options{File: file})
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "name in c.json: is ") || colour.Get(r) != "blue" {
		t.Errorf("it said %q", lines)
	}
	r, lines = result(env{"REQUIRED_NAME": "b", "PAINT": "x"}, setting.Options{File: file})
	if len(lines) > 0 || required.Get(r) != "b" || colour.Get(r) != "red" {
		t.Errorf("it said %q", lines)
	}
}

func TestTogether(t *testing.T) {
	r := list.Open(env{"OLD_NAME": "a", "ITEMS": "a"}, setting.Options{})
	r.Parse()
	if r.Together(secret, items, "set both") || !r.Together(required, items, "") || !r.Together(secret, listen, "") {
		t.Error("it does not see which is set")
	}
	r.ReportNamed(fault.List{fault.New("is taken", "choose another").Of("REQUIRED_NAME")})
	r.Report(items, errors.New("is bad"))
	_, err := r.Close()
	want := "ITEMS: is set without DOOR_SECRET; set both\nOLD_NAME: is taken; choose another\nITEMS: is bad; correct it"
	if err == nil || err.Error() != want {
		t.Errorf("it said\n%v", err)
	}
}
