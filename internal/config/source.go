package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"coze-token/internal/quote"
)

// Environ turns what os.Environ returns into a map. Of a variable that stands there twice the first counts, as for
// os.Getenv.
func Environ(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, text, ok := strings.Cut(entry, "=")
		if _, again := env[name]; !ok || name == "" || again { // "=C:=…" is how Windows keeps its current directories
			continue
		}
		env[name] = text
	}
	return env
}

// A File is what a configuration file says, the lower layer under the environment. The zero value says nothing.
type File struct {
	name    string
	members map[string]member // :: the variable that says the same → the member
}

type member struct {
	name string
	text Secret
}

// under is env laid over the file, and what messages call the variables that the file has set, which the user never did:
// a setting that the environment sets, by any of its names, is not taken from the file. COZE_REGION and TOKEN_ENDPOINT in
// the environment replace the file's coze_api_base, since each says where Coze is.
func (f File) under(env map[string]string) (merged, called map[string]string) {
	if len(f.members) == 0 {
		return env, nil
	}
	merged, called = map[string]string{}, map[string]string{}
	maps.Copy(merged, env)
	for i := range Table {
		names := Table[i].Names()
		if Table[i].setIn(env) || slices.Contains(names, baseName) && !blank(env["COZE_REGION"]) {
			continue
		}
		for _, name := range names {
			if m, ok := f.members[name]; ok {
				merged[name] = m.text.Reveal()
				called[name] = m.name + " in " + f.name
			}
		}
	}
	return merged, called
}

// The members of coze_oauth_config.json and the variables that say the same. An empty variable: read by Coze's
// samples, of no use here.
var fileMembers = map[string]string{
	"client_type":   "",
	"client_id":     "COZE_JWT_OAUTH_CLIENT_ID",
	"private_key":   "COZE_JWT_OAUTH_PRIVATE_KEY",
	"public_key_id": "COZE_JWT_OAUTH_PUBLIC_KEY_ID",
	"coze_api_base": baseName,
	"coze_www_base": "",
}

// FromFile reads coze_oauth_config.json, the file of Coze's own samples, for [Options]. name is what messages call it.
//
// The error is [Faults], each named after the member. It never quotes the file, only line and column. Members that are
// not known are warnings.
func FromFile(name string, data []byte) (File, []Warning, error) {
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	if len(bytes.TrimSpace(data)) == 0 {
		return File{}, nil, Faults{{name, "is empty", "use the coze_oauth_config.json of Coze's console or samples"}}
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		return File{}, nil, Faults{badFile(name, data, err)}
	}
	var (
		file     = File{name, map[string]member{}}
		warnings []Warning
		faults   Faults
	)
	for _, m := range slices.Sorted(maps.Keys(members)) {
		variable, known := fileMembers[m]
		text, isText := memberText(members[m])
		where := m + " in " + name
		switch {
		case !known:
			warnings = append(warnings, unknownMember(m, name))
		case m == "client_type" && (!isText || text != "jwt"):
			faults = append(faults, Fault{where, "is " + quote.Text(text) + ", and only an OAuth app of the type JWT can mint tokens by itself",
				`create an OAuth app of the type JWT (服务类应用) in Coze's console and use its file, with "client_type": "jwt"`})
		case variable == "":
		case !isText:
			faults = append(faults, Fault{where, "is not a text", "write it in double quotes"})
		case !blank(text):
			file.members[variable] = member{m, NewSecret(text)}
		}
	}
	if len(faults) > 0 {
		return File{}, warnings, faults
	}
	return file, warnings, nil
}

// memberText is a member that is a string, or a number as an id might be written. Null counts as an empty text.
func memberText(raw json.RawMessage) (text string, ok bool) {
	if json.Unmarshal(raw, &text) == nil {
		return text, true
	}
	var number json.Number
	if json.Unmarshal(raw, &number) == nil {
		return number.String(), true
	}
	return "", false
}

func unknownMember(name, file string) Warning {
	shown := name + " in " + file
	if quote.Name(name) != `"`+name+`"` || len(name) > 60 {
		shown = "a member of " + file
	}
	remedy := "remove it; settings beyond the app are environment variables"
	var read []string
	for known, variable := range fileMembers {
		if variable != "" {
			read = append(read, known)
		}
	}
	slices.Sort(read)
	if right := nearest(name, read); right != "" {
		remedy = "did you mean " + right + "?"
	}
	return Warning{shown, "is not a member that is read", remedy}
}

// badFile says where a file stops being JSON. encoding/json's own words are kept out: they quote the character.
func badFile(name string, data []byte, err error) Fault {
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return Fault{name, "is not a JSON object", `use the coze_oauth_config.json of Coze's samples: {"client_type": "jwt", "client_id": …}`}
	}
	at := min(max(int(syntax.Offset)-1, 0), len(data)-1)
	line := 1 + bytes.Count(data[:at], []byte("\n"))
	column := at - bytes.LastIndexByte(data[:at], '\n')
	fault := Fault{name, fmt.Sprintf("is not valid JSON: wrong at line %d, column %d", line, column), "correct it there: a missing quote or comma, or one too many"}
	switch {
	case strings.Contains(syntax.Error(), "unexpected end"):
		fault.Remedy = "it is cut off: copy the whole file"
	case (data[at] == '\n' || data[at] == '\r') && strings.Contains(syntax.Error(), "string literal"):
		fault.Remedy = `write line ends inside a text as \n: in JSON, private_key stands on one line`
	}
	return fault
}
