package config

import (
	"cmp"
	"crypto/rsa"
	"slices"
	"strings"

	"coze-token/coze"
	"coze-token/internal/auth"
)

// Parse reads the settings in env, and under them those of the file in options. The error, if there is one, is [Faults]
// and holds every fault; the settings are then nil. Warnings come in either case.
func Parse(env map[string]string, options Options) (*Settings, []Warning, error) {
	d := newDraft(options)
	env, d.called = options.File.under(env)
	misspelt := nearMisses(env)
	d.rootless = !options.Partial && onlyApps(env) // what could not be read sets the app at /
	for i := range Table {
		setting := &Table[i]
		if setting.Native && options.Edge {
			d.refuseNative(setting, env)
			continue
		}
		if setting.Edge && !options.Edge {
			d.refuseEdge(setting, env)
			continue
		}
		if d.rootless && setting.App == own {
			continue
		}
		if options.Partial && setting.Required && !setting.setIn(env) {
			continue
		}
		d.read(setting, env, misspelt)
	}
	if !d.rootless {
		d.settleRegion()
		d.settleApp()
	}
	d.settleSession()
	d.settleCache()
	d.settleTLS()
	d.settleAccess()
	d.settleProxies()
	d.settleApps(env)
	d.askHost()
	d.warnings = append(d.warnings, misspelt.warnings()...)
	if len(d.faults) > 0 {
		return nil, d.warnings, d.faults
	}
	return &d.settings, d.warnings, nil
}

// read puts one setting into the draft: what is set for it, or its default.
func (d *draft) read(s *Setting, env map[string]string, misspelt misses) {
	v, state := d.lookUp(s, env)
	switch {
	case state == ambiguous:
	case state == present:
		s.read(d, v)
	case s.Required:
		d.missing(s, env, misspelt)
	case s.EdgeDefault != "" && d.options.Edge:
		s.read(d, value{name: s.Name, text: NewSecret(s.EdgeDefault)})
	case s.Default != "":
		s.read(d, value{name: s.Name, text: NewSecret(s.Default)})
	}
}

// A draft is settings in the making, with what the rules between them need to know.
type draft struct {
	table    []Setting // is Table, which cannot be named by the parsers that it names
	options  Options
	settings Settings
	app      coze.App
	key      *rsa.PrivateKey
	keyID    string
	spare    [2]struct {
		id  string
		key *rsa.PrivateKey
	}
	sessionHash     bool
	login           auth.LoginOptions // of JWT_ISSUER and what belongs to it
	logins          []*auth.Login     // those found good so far
	accessTeam      string
	accessAudiences []string
	closed          bool // OPEN_ACCESS says so
	proxies         value
	proxyHeader     value
	name            string                       // of the app that this is a draft for; that of the service has none
	apps            map[string]map[string]string // :: name → what is set for it
	rootless        bool                         // there is no app but those of APPS
	where           string                       // goes before the names of this app's members
	inherited       map[string]bool              // variables that this app has from the service, where that has them
	region          *coze.Region                 // as COZE_REGION says
	from            map[string]string            // :: setting → variable that sets it; defaults are absent
	called          map[string]string            // :: variable → what messages call it, where that is not its name
	faults          Faults
	warnings        []Warning
}

func newDraft(options Options) *draft {
	return &draft{table: Table, options: options, inherited: map[string]bool{}, from: map[string]string{}}
}

// A value is a variable's text, trimmed. Its text is a Secret whatever the setting, so that no path of printing a draft
// can show one.
type value struct {
	name string // the variable it stands in
	text Secret
}

func (d *draft) fault(name, problem, remedy string) {
	d.faults = append(d.faults, Fault{d.call(name), problem, remedy})
}

func (d *draft) warn(name, problem, remedy string) {
	d.warnings = append(d.warnings, Warning{d.call(name), problem, remedy})
}

// call is what messages call a variable: one that nobody set is called by the member of the file, or of the app, that did.
// What an app has from the service is called as the service's.
func (d *draft) call(name string) string {
	if d.where != "" && !d.inherited[name] {
		return d.where + strings.ToLower(name)
	}
	return cmp.Or(d.called[name], name)
}

// isSet says whether any variable sets the setting, rightly or wrongly.
func (d *draft) isSet(setting string) bool { return d.from[setting] != "" }

// isOwn says whether the setting is set for this app and not only for the service.
func (d *draft) isOwn(setting string) bool {
	return d.isSet(setting) && !d.inherited[d.from[setting]]
}

// together says whether two settings that need each other are both set or both not, and reports the one that stands alone.
func (d *draft) together(a, b, remedy string) bool {
	switch {
	case d.isSet(a) == d.isSet(b):
		return true
	case d.isSet(b):
		a, b = b, a
	}
	d.fault(a, "is set without "+b, remedy)
	return false
}

type state int

const (
	absent state = iota
	present
	ambiguous // or unreadable: reported already
)

// lookUp finds the variable that sets the setting.
func (d *draft) lookUp(s *Setting, env map[string]string) (v value, found state) {
	for _, rank := range s.ranks() {
		set := slices.DeleteFunc(slices.Clone(rank), func(f Fallback) bool { return blank(env[f.Name]) })
		switch {
		case len(set) == 0:
		case found != absent:
			d.shadowed(s, v, set, env)
		case len(set) > 1:
			d.from[s.Name] = set[0].Name
			d.fault(set[0].Name, set[1].Name+" is set too", "keep one of the two")
			found = ambiguous
		default:
			d.from[s.Name] = set[0].Name
			if v, found = d.load(s, set[0], env[set[0].Name]); found == ambiguous {
				continue
			}
		}
	}
	return v, found
}

// load takes the text of one variable, or of the file that it names.
func (d *draft) load(s *Setting, source Fallback, text string) (value, state) {
	if text == d.options.NotText { // which no variable that is set is, where it is empty
		d.fault(source.Name, "is bound to something that is no text, such as a secret of a Secrets Store, or is a number of too many digits",
			"set it as text, in quotes, or with wrangler secret put "+source.Name+"; if it is no setting, give the binding another name")
		return value{}, ambiguous
	}
	if !source.File {
		if !s.key && holdsKey(text) {
			d.fault(source.Name, "holds what looks like a private key", "put the key into PRIVATE_KEY, and correct this one")
			return value{}, ambiguous
		}
		if s.Secret { // its parser knows better what belongs to it
			return value{source.Name, NewSecret(strings.TrimSpace(text))}, present
		}
		return value{source.Name, NewSecret(d.bare(source.Name, text))}, present
	}
	content, ok := d.readFile(source.Name, s.Name, d.bare(source.Name, text))
	if !ok {
		return value{}, ambiguous
	}
	switch content = strings.TrimSpace(content); {
	case content == "":
		d.fault(source.Name, "the file it names is empty", "write the value of "+s.Name+" into it")
		return value{}, ambiguous
	case !s.key && holdsKey(content):
		d.fault(source.Name, "the file it names holds what looks like a private key", "name it in PRIVATE_KEY_FILE, and here the file with "+s.Name)
		return value{}, ambiguous
	}
	return value{source.Name, NewSecret(content)}, present
}

// shadowed warns of a fallback that says something else than the name that wins over it. PORT is set by platforms
// without anyone's asking, so it may differ.
func (d *draft) shadowed(s *Setting, winner value, set []Fallback, env map[string]string) {
	for _, source := range set {
		if source.Name == portName || source.File || strings.TrimSpace(env[source.Name]) == winner.text.Reveal() {
			continue
		}
		if source.Name == baseName && strings.HasPrefix(winner.text.Reveal(), strings.TrimRight(strings.TrimSpace(env[baseName]), "/")+"/") {
			continue
		}
		d.warn(source.Name, "is ignored, because "+d.from[s.Name]+" is set", "remove one of the two")
	}
}

// refuseNative reports a native setting on a host that cannot heed it. PORT is passed over: it is not ours alone.
func (d *draft) refuseNative(s *Setting, env map[string]string) {
	for _, name := range s.Names() {
		if name != portName && !blank(env[name]) {
			d.fault(name, "this host cannot heed it: only the native server (coze-token serve) has a listener and files", "remove it here")
		}
	}
}

// refuseEdge reports a setting for Workers on the native server.
func (d *draft) refuseEdge(s *Setting, env map[string]string) {
	if !blank(env[s.Name]) {
		d.fault(s.Name, "is for Cloudflare Workers, and this is the native server", "remove it here; replicas share through REDIS_URL")
	}
}

// missing reports a required setting, with the misspelt variable that was probably meant for it.
func (d *draft) missing(s *Setting, env map[string]string, misspelt misses) {
	if wrong, right := misspelt.take(s); wrong != "" {
		d.fault(s.Name, "is not set, but "+wrong+" is, which is not a setting", "rename "+wrong+" to "+right)
		return
	}
	problem := "is not set"
	if _, ok := env[s.Name]; ok {
		problem = "is empty"
	}
	remedy := s.missing
	switch {
	case s.Secret && d.options.Edge:
		remedy += " (wrangler secret put " + s.Name + ")"
	case s.Secret && d.options.ReadFile != nil:
		remedy += ", or " + s.Name + "_FILE to the name of that file"
	}
	d.fault(s.Name, problem, remedy)
}

func blank(text string) bool { return strings.TrimSpace(text) == "" }
