package clientip

import (
	"strings"

	"coze-token/internal/quote"
	"coze-token/internal/setting"
)

var (
	proxies = setting.New(setting.Row{Name: "TRUSTED_PROXIES", Host: setting.Native}, setting.Text)
	header  = setting.New(setting.Row{Name: "TRUSTED_PROXY_HEADER", Host: setting.Native}, parseHeader)
)

// Settings are this package's settings.
var Settings = setting.List{proxies, header}

// Read returns the proxies whose word for a client's address is taken. It is nil where there are
// none.
func Read(r *setting.Reader) *Proxies {
	list, rfc7239 := proxies.Get(r), header.Get(r)
	if !r.IsSet(proxies) {
		if r.IsSet(header) {
			r.Fault(header, "is set without TRUSTED_PROXIES", "set TRUSTED_PROXIES to the addresses of the proxies")
		}
		return nil
	}
	trusted, err := ParseProxies(list, rfc7239)
	r.Report(proxies, err)
	return trusted
}

// parseHeader reports whether the header is Forwarded, and not X-Forwarded-For.
func parseHeader(v *setting.Value) (rfc7239 bool) {
	switch {
	case strings.EqualFold(v.Text(), forwarded):
		return true
	case !strings.EqualFold(v.Text(), xForwardedFor):
		v.Fault("names the header %s", "use the one that your proxy sets, X-Forwarded-For or Forwarded; "+
			"no other can be walked from proxy to proxy", quote.Text(v.Text()))
	}
	return false
}
