package setting

import (
	"maps"
	"slices"
)

// A File is what a configuration file says, the layer under the environment. Its zero value says
// nothing.
type File struct {
	Name    string            // what messages call the file
	Members map[string]Member // :: the variable that says the same → the member
}

// A Member is one member of a configuration file.
type Member struct {
	Name string
	Text Secret
	// Unless is a variable that replaces the member where the environment has it, beside those of
	// its own setting.
	Unless string
}

// under is env laid over the file, and what messages call the variables that only the file sets. A
// setting that the environment sets, by any of its names, is not taken from the file.
func (f File) under(l List, env map[string]string) (merged, names map[string]string) {
	if len(f.Members) == 0 {
		return env, nil
	}
	merged, names = map[string]string{}, map[string]string{}
	maps.Copy(merged, env)
	for variable, m := range f.Members {
		i := slices.IndexFunc(l.Rows(), func(row *Row) bool { return slices.Contains(row.Names(), variable) })
		if i < 0 || l[i].row().setIn(env) || !blank(env[m.Unless]) {
			continue
		}
		merged[variable] = m.Text.Reveal()
		names[variable] = m.Name + " in " + f.Name
	}
	return merged, names
}
