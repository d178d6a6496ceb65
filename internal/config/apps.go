package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"coze-token/coze"
	"coze-token/internal/quote"
	"coze-token/internal/strictjson"
)

// An app of APPS takes the settings of the table that an app can have, by their names in lower case. So APPS has no
// grammar of its own: each app is read as an environment, by the same parsers and with the same messages. One thing
// differs. Platforms pass "not set" as an empty variable; in a file nobody has to write an empty member, and who empties a
// list of callers means that nobody is let in, and not everybody.

// maxApps bounds what one service is set up for. It is a bound on mistakes, not on use.
const maxApps = 1000

// appName is what can stand in a path as it is.
var appName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`)

// reservedNames are paths of the service's own.
var reservedNames = []string{"healthz", "readyz", "metrics"}

// onlyApps says whether apps are set and none is for /, so that the settings of that one are not missed.
func onlyApps(env map[string]string) bool {
	if blank(env["APPS"]) && blank(env["APPS_FILE"]) {
		return false
	}
	return !slices.ContainsFunc(Table, func(s Setting) bool { return s.Required && s.setIn(env) })
}

// readApps takes APPS apart, into what is set for each app.
func readApps(d *draft, v value) {
	text := []byte(v.text.Reveal())
	const remedy = `use an object of names and settings, such as {"shop": {"client_id": "…", "kid": "…", "private_key": "…"}}`
	if d.options.YAML != nil && !bytes.HasPrefix(text, []byte("{")) {
		var err error
		if text, err = d.options.YAML(text); err != nil {
			d.fault(v.name, "is neither JSON nor YAML, or has a name in it twice", remedy) // the library's words would quote the text
			return
		}
	}
	var apps map[string]map[string]json.RawMessage
	if err := json.Unmarshal(text, &apps); err != nil {
		d.fault(v.name, notJSON(err, text, "a JSON object of objects"), remedy)
		return
	}
	d.noDuplicates(v, text, strictjson.Duplicate)
	switch {
	case len(apps) == 0:
		d.fault(v.name, "names no app", remedy)
	case len(apps) > maxApps:
		d.fault(v.name, fmt.Sprintf("names %d apps, and %d is the most", len(apps), maxApps), "run several services")
	}
	d.apps = map[string]map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(apps)) {
		switch {
		case !appName.MatchString(name):
			d.fault(v.name, "has an app named "+quote.Name(name)+", which cannot stand in a path", "use 1 to 40 letters a-z, digits, - and _, with a letter or digit first")
		case slices.Contains(reservedNames, name):
			d.fault(v.name, "has an app named "+name+", which is a path of the service's own", "give the app another name")
		default:
			d.apps[name] = d.members(v.name, name, apps[name])
		}
	}
}

// members turns an app's members into the environment that it is read from.
func (d *draft) members(variable, app string, members map[string]json.RawMessage) map[string]string {
	env := map[string]string{}
	for _, member := range slices.Sorted(maps.Keys(members)) {
		name := strings.ToUpper(member)
		where := variable + "." + app
		text, ok := memberAsText(members[member])
		switch {
		case member != strings.ToLower(member) || !d.appSetting(name):
			d.fault(where, "has a member "+quote.Name(member)+", which no app has", "the members are: "+strings.Join(d.appMembers(), ", "))
		case !ok:
			d.fault(where+"."+member, "is of a type that is no setting's", "write a text, a number, true or false, a list of texts, or, for scope, an object and for logins a list of them")
		case blank(text):
			d.fault(where+"."+member, "is empty", "write what it is to be, or remove it")
		default:
			env[name] = text
		}
	}
	return env
}

// memberAsText writes a member as the environment would have it. null, [] and "" are empty.
func memberAsText(raw json.RawMessage) (string, bool) {
	if text, ok := memberText(raw); ok {
		return text, true
	}
	var truth bool
	var list []string
	var objects []map[string]json.RawMessage
	switch {
	case json.Unmarshal(raw, &truth) == nil:
		return map[bool]string{true: on, false: off}[truth], true
	case json.Unmarshal(raw, &list) == nil:
		return strings.Join(list, ","), true
	case bytes.HasPrefix(raw, []byte("{")), json.Unmarshal(raw, &objects) == nil:
		return string(raw), true
	default:
		return "", false
	}
}

// appSetting says whether name is a variable of a setting that an app can have.
func (d *draft) appSetting(name string) bool {
	for i := range d.table {
		s := &d.table[i]
		if s.App != service && (name == s.Name || s.Secret && name == s.Name+"_FILE") {
			return true
		}
	}
	return false
}

func (d *draft) appMembers() []string {
	var names []string
	for i := range d.table {
		if d.table[i].App != service {
			names = append(names, strings.ToLower(d.table[i].Name))
		}
	}
	return names
}

// settleApps reads each app of APPS: its own members, and of what is shared, what the service has.
func (d *draft) settleApps(env map[string]string) {
	for _, app := range slices.Sorted(maps.Keys(d.apps)) {
		inner := newDraft(d.options)
		inner.name, inner.apps, inner.rootless = app, d.apps, d.rootless
		inner.called, inner.where = d.called, d.from["APPS"]+"."+app+"."
		merged := inner.inherit(d.apps[app], env)
		for i := range Table {
			if Table[i].App != service {
				inner.read(&Table[i], merged, nil)
			}
		}
		inner.settleRegion()
		inner.settleApp()
		inner.settleSession()
		inner.settleAccess()
		for _, f := range inner.faults {
			if !slices.Contains(d.faults, f) { // nor was it reported as the service's
				d.faults = append(d.faults, f)
			}
		}
		for _, w := range inner.warnings {
			if !slices.Contains(d.warnings, w) {
				d.warnings = append(d.warnings, w)
			}
		}
		if d.settings.Apps == nil {
			d.settings.Apps = map[string]AppSettings{}
		}
		d.settings.Apps[app] = inner.settings.AppSettings
		if inner.isOwn("TOKEN_DURATION") {
			d.minTTLFits(inner.call("TOKEN_DURATION"), inner.settings.Duration)
		}
	}
}

// inherit lays an app's members over what it shares with the service.
func (d *draft) inherit(members, env map[string]string) map[string]string {
	apart := map[appScope]bool{service: true, own: true}
	for i := range Table {
		if s := &Table[i]; s.App != shared && s.setIn(members) {
			apart[s.App] = true
		}
	}
	merged := maps.Clone(members)
	for i := range Table {
		s := &Table[i]
		if apart[s.App] || s.setIn(members) {
			continue
		}
		for _, name := range s.Names() {
			d.inherited[name] = true
			if !blank(env[name]) {
				merged[name] = env[name]
			}
		}
	}
	return merged
}

// readBots makes the scope that Coze documents for a channel app's tokens.
func readBots(d *draft, v value) {
	var bots []string
	for bot := range strings.SplitSeq(v.text.Reveal(), ",") {
		if bot = d.word(value{v.name, NewSecret(strings.TrimSpace(bot))}); bot == "" {
			return
		}
		bots = append(bots, bot)
	}
	d.app.Scope = coze.BotScope(bots...)
}
