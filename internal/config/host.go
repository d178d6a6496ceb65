package config

import "cmp"

// askHost adds what only the host can tell is wrong.
func (d *draft) askHost() {
	if d.options.Look == nil {
		return
	}
	for _, f := range d.options.Look(&d.settings) {
		d.fault(cmp.Or(d.from[f.Name], f.Name), f.Problem, f.Remedy)
	}
}
