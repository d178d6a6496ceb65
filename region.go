package cozetoken

import (
	"cmp"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"coze-token/coze"
	"coze-token/internal/message"
	"coze-token/internal/quote"
	"coze-token/internal/setting"
)

// Coze's two regions share nothing. An app of one that is used at the other is the first cause of
// "kid not been registred". Therefore COZE_REGION sets all that tells them apart, and a mixture is
// a fault.

// regionScope is the group of settings that an app has all from the service, or none.
const regionScope setting.Scope = "region"

// cozeAPIBase is a URL without the path of the token endpoint.
const cozeAPIBase = "COZE_API_BASE"

var (
	cozeRegion = setting.New(setting.Row{Name: "COZE_REGION", App: regionScope},
		setting.Choice(coze.China.Name, coze.Global.Name))
	audience = setting.New(setting.Row{
		Name: "AUDIENCE", App: regionScope, Default: coze.China.Audience,
	}, parseAudience)
	tokenEndpoint = setting.New(setting.Row{
		Name: "TOKEN_ENDPOINT", App: regionScope, Default: coze.China.Endpoint,
		Others: []setting.Other{{Name: cozeAPIBase, Agrees: func(own, base string) bool {
			return strings.HasPrefix(own, strings.TrimRight(base, "/")+"/")
		}}},
	}, parseEndpoint)
)

// custom is the name of what is neither region. Unlike theirs, it is a word with a translation.
const custom message.Format = "custom"

var regions = []*coze.Region{&coze.China, &coze.Global}

// readRegion makes audience and endpoint fit each other, and returns the region's name: cn, com, or
// custom where they are not both of one region.
//
// What is set says which region is meant: COZE_REGION, else AUDIENCE, else TOKEN_ENDPOINT, if it
// names one. What is not set follows it. Settings of different regions are a fault, because Coze
// would refuse every assertion. A host of neither region, such as a proxy, says nothing about the
// region. AUDIENCE keeps its value then.
func readRegion(r *setting.Reader) (host, endpoint, name string) {
	host, endpoint = audience.Get(r), tokenEndpoint.Get(r)
	named := []struct {
		by     setting.Setting
		region *coze.Region
	}{
		{cozeRegion, findRegion(func(region *coze.Region) bool { return region.Name == cozeRegion.Get(r) })},
		{audience, regionOf(host)},
		{tokenEndpoint, regionOf(hostOf(endpoint))},
	}
	first := named[0]
	for _, n := range named {
		switch {
		case n.region == nil || !r.IsSet(n.by):
		case first.region == nil:
			first = n
		case n.region != first.region:
			r.Fault(n.by, "is of coze.%s, and %s is of coze.%s"+
				": the two share neither apps nor keys",
				"keep COZE_REGION, set to the one in which the app was made, and remove AUDIENCE and TOKEN_ENDPOINT",
				n.region.Name, r.Call(first.by), first.region.Name)
		}
	}
	if first.region != nil {
		if !r.IsSet(audience) {
			host = first.region.Audience
		}
		if !r.IsSet(tokenEndpoint) {
			endpoint = first.region.Endpoint
		}
	}
	warnOfCustom(r, host, endpoint)
	if region := regionOf(host); region != nil && region == regionOf(hostOf(endpoint)) {
		return host, endpoint, region.Name
	}
	return host, endpoint, string(custom)
}

func warnOfCustom(r *setting.Reader, host, endpoint string) {
	at := hostOf(endpoint)
	if at == "" || isLoopback(at) {
		return
	}
	if r.IsSet(audience) && host != "" && regionOf(host) == nil {
		r.Warn(audience, "is %s; Coze documents api.coze.cn and api.coze.com only",
			"behind a proxy, AUDIENCE stays that of Coze", quote.Text(host))
	}
	if regionOf(at) == nil && siteOf(at) == nil && !r.IsSet(audience) && !r.IsSet(cozeRegion) {
		r.Warn(tokenEndpoint, "is no host of Coze's, so the region is taken to be cn",
			"set COZE_REGION to the region of the app, cn or com")
	}
}

func findRegion(is func(*coze.Region) bool) *coze.Region {
	for _, region := range regions {
		if is(region) {
			return region
		}
	}
	return nil
}

// regionOf is the region whose API is at the host. It is nil for a proxy.
func regionOf(host string) *coze.Region {
	return findRegion(func(region *coze.Region) bool { return host == region.Audience })
}

// siteOf is the region whose website, not API, is at the host.
func siteOf(host string) *coze.Region {
	return findRegion(func(region *coze.Region) bool {
		site := strings.TrimPrefix(region.Audience, "api.")
		return host == site || host == "www."+site
	})
}

// parseAudience takes a bare host. A URL is a fault and is not repaired, so that the setting says
// what is sent.
func parseAudience(v *setting.Value) string {
	text := v.Text()
	_, rest, hasScheme := strings.Cut(text, "://")
	if !hasScheme {
		rest = text
	}
	host, _, hasPath := strings.Cut(rest, "/")
	host, _, hasPort := strings.Cut(host, ":")
	host = strings.ToLower(host)
	remedy := message.New("use the bare host of Coze's API: api.coze.cn or api.coze.com")
	if site := siteOf(host); site != nil {
		host = site.Audience
	}
	if isHostName(host) && strings.Contains(host, ".") {
		remedy = message.New("write %s", host)
	}
	switch {
	case hasScheme:
		v.Fault("has a scheme, and the audience is a bare host", "%s", remedy)
	case hasPath:
		v.Fault("has a path, and the audience is a bare host", "%s", remedy)
	case hasPort:
		v.Fault("has a port, and the audience is a bare host", "%s", remedy)
	case !isHostName(host):
		v.Fault("is %s, which is not a host name", "%s", quote.Text(text), remedy)
	case host != strings.ToLower(text):
		v.Fault("is %s, Coze's website rather than its API", "%s", quote.Text(text), remedy)
	}
	return host
}

// parseEndpoint takes the URL of the token endpoint, or its base. Assertions are sent there, so
// nobody on the way may be able to read them (security check 4). The text is not quoted, because it
// may hold a password.
func parseEndpoint(v *setting.Value) string {
	text := v.Text()
	base := v.Name == cozeAPIBase
	example := coze.China.Endpoint
	if base {
		example = "https://" + coze.China.Audience
	}
	if !strings.Contains(text, "://") {
		remedy := message.New("write a URL such as %s", example)
		if host, _, _ := strings.Cut(text, "/"); isHostName(strings.ToLower(host)) && strings.Contains(host, ".") {
			remedy = message.New("put https:// in front of it")
		}
		v.Fault("has no scheme", "%s", remedy)
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || !isHost(u.Hostname()) || !isPort(u.Port()) || u.Port() == "" && strings.HasSuffix(u.Host, ":") {
		v.Fault("is not a valid URL", "write a URL such as %s", example)
		return ""
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		v.Fault("is http to another machine, so anyone on the way could read the tokens",
			"use https; http is for a sandbox on this machine only")
	case u.Scheme != "http":
		v.Fault("has the scheme %s", "use https", quote.Text(u.Scheme))
	}
	if u.User != nil {
		v.Fault("has a user name or password in it",
			"remove what stands before the @: Coze is shown the signed JWT and nothing else")
	}
	if u.RawQuery != "" || u.ForceQuery {
		v.Fault("has a query", "remove the ? and what follows it")
	}
	if strings.Contains(text, "#") {
		v.Fault("has a fragment", "remove the # and what follows it")
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	switch {
	case base && strings.HasSuffix(path, coze.TokenPath):
		v.Fault("is the whole token endpoint", "remove "+coze.TokenPath+" from it, or put it into TOKEN_ENDPOINT")
	case base && path != "" && !strings.Contains(path, "/account/") && regionOf(strings.ToLower(u.Hostname())) != nil:
		v.Fault("has a path, and the token endpoint is not below it", "use https://%s", strings.ToLower(u.Host))
	case base:
		path += coze.TokenPath
	case path == "":
		v.Fault("has no path", "append "+coze.TokenPath)
	}
	if !base && path != "" && !strings.HasSuffix(path, "/token") && regionOf(strings.ToLower(u.Hostname())) != nil {
		v.Warn("has another path than Coze's token endpoints, which end in /token",
			"append "+coze.TokenPath+" to the host alone")
	}
	// No endpoint of Coze's has a slash at its end. This is the only thing that is repaired.
	endpoint := u.Scheme + "://" + strings.ToLower(u.Host) + path
	if site := siteOf(hostOf(endpoint)); site != nil && v.OK() {
		v.Warn("is on Coze's website rather than its API", "use %s", site.Endpoint)
	}
	return endpoint
}

func isHost(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || isHostName(strings.ToLower(host))
}

func isHostName(host string) bool {
	if host == "" || len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

func isPort(port string) bool {
	_, err := strconv.ParseUint(cmp.Or(port, "0"), 10, 16)
	return err == nil
}

// isLoopback reports whether the host is this machine beyond doubt. No name but localhost is.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

func hostOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
