package cors

import "coze-token/internal/setting"

// AllowedOrigins are the pages that may ask.
var AllowedOrigins = setting.New(setting.Row{Name: "ALLOWED_ORIGINS", App: setting.Shared}, parseSetting)

// Settings are this package's settings.
var Settings = setting.List{AllowedOrigins}

// Read returns what settings say of a policy: the origins.
func Read(r *setting.Reader) Policy { return Policy{Origins: AllowedOrigins.Get(r)} }

func parseSetting(v *setting.Value) *Set {
	set, warnings, err := Parse(v.Text())
	for _, w := range warnings {
		v.Warn(w.Problem, w.Remedy)
	}
	v.Report(err)
	if err == nil && set.Empty() {
		v.Empty()
	}
	return set
}
