package clientip

import "coze-token/internal/setting"

var (
	proxies = setting.New(setting.Row{Name: "TRUSTED_PROXIES", Host: setting.Native}, setting.Text)
	header  = setting.New(setting.Row{Name: "TRUSTED_PROXY_HEADER", Host: setting.Native}, setting.Text)
)

// Settings are this package's settings.
var Settings = setting.List{proxies, header}

// Read returns the proxies whose word for a client's address is taken. It is nil where there are
// none.
func Read(r *setting.Reader) *Proxies {
	list, name := proxies.Get(r), header.Get(r)
	if !r.IsSet(proxies) {
		if r.IsSet(header) {
			r.Fault(header, "is set without TRUSTED_PROXIES", "set TRUSTED_PROXIES to the addresses of the proxies")
		}
		return nil
	}
	trusted, err := ParseProxies(list, name)
	r.Report(proxies, err)
	return trusted
}
