package cozetoken

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"coze-token/internal/fault"
	"coze-token/internal/quote"
	"coze-token/internal/setting"
	"coze-token/internal/strictjson"
)

// APPS has no grammar of its own. The members of an app are the settings that an app can have, in
// lower case. Each app is read as an environment is, by the same parsers and with the same
// messages, except for an empty member. Platforms pass "not set" as an empty variable. In a file,
// an empty list of callers more likely means that nobody is let in.

// maxApps bounds mistakes, not use.
const maxApps = 1000

// isAppName reports whether a name can stand in a path as it is.
func isAppName(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	return name != "" && len(name) <= 40 && !strings.ContainsAny(name[:1], "_-") && strings.Trim(name, letters+"_-") == ""
}

// reservedNames are paths of the service's own.
var reservedNames = []string{"healthz", "readyz", "metrics"}

// apps are further apps by name, each with its environment.
type apps map[string]map[string]string

var appList = setting.New(setting.Row{Name: "APPS", Secret: true, HoldsKey: true}, parseApps)

func parseApps(v *setting.Value) apps {
	const remedy = "use an object of names and settings, such as " +
		`{"shop": {"client_id": "…", "kid": "…", "private_key": "…"}}`
	text, err := v.JSON()
	if f, ok := errors.AsType[fault.Fault](err); ok {
		v.Report(f)
		return nil
	} else if err != nil { // its words may quote the text
		v.Fault("is neither JSON nor YAML, or has a name in it twice", remedy)
		return nil
	}
	var members map[string]map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		v.Fault("%s", remedy, setting.NotJSON(err, text, "a JSON object of objects"))
		return nil
	}
	v.NoDuplicates(strictjson.Duplicate(text))
	switch {
	case len(members) == 0:
		v.Fault("names no app", remedy)
	case len(members) > maxApps:
		v.Fault("names %d apps, and %d is the most", "run several services", len(members), maxApps)
	}
	v.Keep()
	found := apps{}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		switch {
		case !isAppName(name):
			v.Fault("has an app named %s, which cannot stand in a path",
				"use 1 to 40 letters a-z, digits, - and _, with a letter or digit first", quote.Name(name))
		case slices.Contains(reservedNames, name):
			v.Fault("has an app named %s, which is a path of the service's own", "give the app another name", name)
		default:
			found[name] = parseMembers(v.Part(name), members[name])
		}
	}
	return found
}

// parseMembers turns the members of an app into the environment that it is read from. v stands for
// the app.
func parseMembers(v *setting.Value, members map[string]json.RawMessage) map[string]string {
	env := map[string]string{}
	for _, member := range slices.Sorted(maps.Keys(members)) {
		text, ok := memberText(members[member])
		switch {
		case member != strings.ToLower(member) || !v.IsMember(strings.ToUpper(member)):
			v.Fault("has a member %s, which no app has",
				"the members are: %s", quote.Name(member), strings.Join(v.Members(), ", "))
		case !ok:
			v.Part(member).Fault("is of a type that is no setting's", "write a text, a number, true or false, a list of "+
				"texts, or, for scope, an object and for logins a list of them")
		case strings.TrimSpace(text) == "":
			v.Part(member).Fault("is empty", "write what it is to be, or remove it")
		default:
			env[strings.ToUpper(member)] = text
		}
	}
	return env
}

// memberText writes a member as the environment would have it. null, [] and "" are empty.
func memberText(raw json.RawMessage) (text string, ok bool) {
	if text, ok := scalarText(raw); ok {
		return text, true
	}
	var truth bool
	var list []string
	var numbers []json.Number
	var objects []map[string]json.RawMessage
	switch {
	case json.Unmarshal(raw, &truth) == nil:
		return map[bool]string{true: "on", false: "off"}[truth], true
	case json.Unmarshal(raw, &numbers) == nil && numbers != nil: // ids are often written as numbers
		for _, n := range numbers {
			list = append(list, n.String())
		}
		return strings.Join(list, ","), true
	case json.Unmarshal(raw, &list) == nil:
		return strings.Join(list, ","), true
	case bytes.HasPrefix(raw, []byte("{")), json.Unmarshal(raw, &objects) == nil:
		return string(raw), true
	}
	return "", false
}

// scalarText is a member that is a string, or a number as an id may be written. null is empty.
func scalarText(raw json.RawMessage) (text string, ok bool) {
	if json.Unmarshal(raw, &text) == nil {
		return text, true
	}
	var number json.Number
	err := json.Unmarshal(raw, &number)
	return number.String(), err == nil
}
