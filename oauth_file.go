package cozetoken

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"coze-token/internal/fault"
	"coze-token/internal/message"
	"coze-token/internal/quote"
	"coze-token/internal/setting"
)

// fileMembers are the members of coze_oauth_config.json, the file of Coze's samples, with the
// variables that say the same. The samples read those without a variable too. They have no use
// here.
var fileMembers = map[string]string{
	"client_type":   "",
	"client_id":     "COZE_JWT_OAUTH_CLIENT_ID",
	"private_key":   "COZE_JWT_OAUTH_PRIVATE_KEY",
	"public_key_id": "COZE_JWT_OAUTH_PUBLIC_KEY_ID",
	"coze_api_base": cozeAPIBase,
	"coze_www_base": "",
}

// A File is what a configuration file says. Its zero value says nothing.
type File struct{ layer setting.File }

// ParseFile reads coze_oauth_config.json, for [Options.File]. name is what messages call it.
//
// The error is a list of faults, each named after its member. It quotes nothing of the file and
// gives line and column. Unknown members are warnings.
func ParseFile(name string, data []byte) (File, fault.List, error) {
	decoded, err := setting.DecodeText(data)
	if err != nil {
		return File{}, nil, fault.List{fault.Of(err)[0].Of(name)}
	}
	data = []byte(decoded)
	if len(bytes.TrimSpace(data)) == 0 {
		return File{}, nil, fault.List{
			fault.New("is empty", "use the coze_oauth_config.json of Coze's console or samples").Of(name)}
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		return File{}, nil, fault.List{badFile(name, data, err)}
	}
	layer := setting.File{Name: name, Members: map[string]setting.Member{}}
	var warnings, faults fault.List
	for _, m := range slices.Sorted(maps.Keys(members)) {
		variable, known := fileMembers[m]
		text, isText := scalarText(members[m])
		var f fault.Fault
		switch {
		case !known:
			warnings = append(warnings, unknownMember(m, name))
			continue
		case m == "client_type" && (!isText || text != "jwt"):
			f = fault.New("is %s, and only an OAuth app of the type JWT can mint tokens by itself",
				"create an OAuth app of the type JWT (服务类应用) in Coze's console and use its file, with "+
					`"client_type": "jwt"`, quote.Text(text))
		case variable == "":
			continue
		case !isText:
			f = fault.New("is not a text", "write it in double quotes")
		case strings.TrimSpace(text) == "":
			continue
		default:
			member := setting.Member{Name: m, Text: setting.NewSecret(text)}
			if variable == cozeAPIBase { // each of the two says where Coze is
				member.Unless = "COZE_REGION"
			}
			layer.Members[variable] = member
			continue
		}
		faults = append(faults, f.Of(m+" in "+name))
	}
	if len(faults) > 0 {
		return File{}, warnings, faults
	}
	return File{layer}, warnings, nil
}

func unknownMember(name, file string) fault.Fault {
	shown := name + " in " + file
	if quote.Name(name).String() != `"`+name+`"` || len(name) > 60 {
		shown = string(aMember) + " in " + file
	}
	f := fault.New("is not a member that is read", "remove it; settings beyond the app are environment variables")
	var known []string
	for member, variable := range fileMembers {
		if variable != "" {
			known = append(known, member)
		}
	}
	slices.Sort(known)
	if right := setting.Nearest(name, known); right != "" {
		f.Remedy = message.New("did you mean %s?", right)
	}
	return f.Of(shown)
}

const aMember message.Format = "a member"

// badFile says where a file stops being JSON. The words of encoding/json would quote a character of
// it.
func badFile(name string, data []byte, err error) fault.Fault {
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return fault.New("is not a JSON object",
			`use the coze_oauth_config.json of Coze's samples: {"client_type": "jwt", "client_id": …}`).Of(name)
	}
	at := min(max(int(syntax.Offset)-1, 0), len(data)-1)
	line := 1 + bytes.Count(data[:at], []byte("\n"))
	column := at - bytes.LastIndexByte(data[:at], '\n')
	remedy := message.Format("correct it there: a missing quote or comma, or one too many")
	switch {
	case strings.Contains(syntax.Error(), "unexpected end"):
		remedy = "it is cut off: copy the whole file"
	case (data[at] == '\n' || data[at] == '\r') && strings.Contains(syntax.Error(), "in string"):
		remedy = `write line ends inside a text as \n: in JSON, private_key stands on one line`
	}
	return fault.New("is not valid JSON: wrong at line %d, column %d", remedy, line, column).Of(name)
}
