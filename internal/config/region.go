package config

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"coze-token/coze"
	"coze-token/internal/quote"
)

// Coze's two installations share nothing, and an app of one used at the other is the first cause of "kid not been
// registred". Hence COZE_REGION, which sets both of what tells them apart, and the refusal of any mixture.

var regions = []*coze.Region{&coze.China, &coze.Global}

func readRegion(d *draft, v value) {
	switch d.choice(v, coze.China.Name, coze.Global.Name) {
	case coze.China.Name:
		d.region = &coze.China
	case coze.Global.Name:
		d.region = &coze.Global
	}
}

// readAudience takes a bare host. One written as a URL is not repaired but shown, so that the setting says what is sent.
func readAudience(d *draft, v value) {
	text := v.text.Reveal()
	host := text
	if _, rest, ok := strings.Cut(host, "://"); ok {
		host = rest
	}
	host, path, hasPath := strings.Cut(host, "/")
	host, _, hasPort := strings.Cut(host, ":")
	host = strings.ToLower(host)
	remedy := "use the bare host of Coze's API: api.coze.cn or api.coze.com"
	if site := siteOf(host); site != nil {
		host = site.Audience
	}
	if hostName(host) && strings.Contains(host, ".") {
		remedy = "write " + host
	}
	switch {
	case strings.Contains(text, "://"):
		d.fault(v.name, "has a scheme, and the audience is a bare host", remedy)
	case hasPath || path != "":
		d.fault(v.name, "has a path, and the audience is a bare host", remedy)
	case hasPort:
		d.fault(v.name, "has a port, and the audience is a bare host", remedy)
	case !hostName(host):
		d.fault(v.name, "is "+quote.Text(text)+", which is not a host name", remedy)
	case host != strings.ToLower(text):
		d.fault(v.name, "is "+quote.Text(text)+", Coze's website rather than its API", remedy)
	default:
		d.app.Audience = host
	}
}

func hostName(host string) bool {
	if host == "" || len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || strings.ContainsFunc(label, func(r rune) bool {
			return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '_')
		}) {
			return false
		}
	}
	return true
}

// siteOf is the region whose website, not API, host is.
func siteOf(host string) *coze.Region {
	for _, region := range regions {
		if site := strings.TrimPrefix(region.Audience, "api."); host == site || host == "www."+site {
			return region
		}
	}
	return nil
}

// readEndpoint takes the URL of the token endpoint, or its base. It is where assertions are sent, so it must be one that
// nobody on the way can read (security check 4). The text itself is not quoted, because it may hold a password.
func readEndpoint(d *draft, v value) {
	text := v.text.Reveal()
	base := v.name == baseName
	example := coze.China.Endpoint
	if base {
		example = "https://" + coze.China.Audience
	}
	if !strings.Contains(text, "://") {
		remedy := "write a URL such as " + example
		if host, _, _ := strings.Cut(text, "/"); hostName(strings.ToLower(host)) && strings.Contains(host, ".") {
			remedy = "put https:// in front of it"
		}
		d.fault(v.name, "has no scheme", remedy)
		return
	}
	u, err := url.Parse(text)
	if err != nil || !validHost(u.Hostname()) || !validPort(u.Port()) || u.Port() == "" && strings.HasSuffix(u.Host, ":") {
		d.fault(v.name, "is not a valid URL", "write a URL such as "+example)
		return
	}
	before := len(d.faults)
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && !loopback(u.Hostname()):
		d.fault(v.name, "is http to another machine, so anyone on the way could read the tokens", "use https; http is for a sandbox on this machine only")
	case u.Scheme != "http":
		d.fault(v.name, "has the scheme "+quote.Text(u.Scheme), "use https")
	}
	if u.User != nil {
		d.fault(v.name, "has a user name or password in it", "remove what stands before the @: Coze is shown the signed JWT and nothing else")
	}
	if u.RawQuery != "" || u.ForceQuery {
		d.fault(v.name, "has a query", "remove the ? and what follows it")
	}
	if strings.Contains(text, "#") {
		d.fault(v.name, "has a fragment", "remove the # and what follows it")
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	switch {
	case base && strings.HasSuffix(path, coze.TokenPath):
		d.fault(v.name, "is the whole token endpoint", "remove "+coze.TokenPath+" from it, or put it into TOKEN_ENDPOINT")
	case !base && path == "":
		d.fault(v.name, "has no path", "append "+coze.TokenPath)
	}
	if len(d.faults) > before {
		return
	}
	// A trailing slash is the one thing that is repaired: no endpoint of Coze's has one.
	endpoint := u.Scheme + "://" + strings.ToLower(u.Host) + path
	if base {
		endpoint += coze.TokenPath
	}
	if site := siteOf(hostOf(endpoint)); site != nil {
		d.warn(v.name, "is on Coze's website rather than its API", "use "+site.Endpoint)
	}
	d.app.Endpoint = endpoint
}

func validHost(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || hostName(strings.ToLower(host))
}

func validPort(port string) bool {
	if port == "" {
		return true
	}
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil
}

// loopback says whether the host is this machine beyond doubt. Names other than localhost are not looked up.
func loopback(host string) bool {
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

// regionOf is the region whose API host is. Nil: neither's, a proxy for instance.
func regionOf(host string) *coze.Region {
	for _, region := range regions {
		if host == region.Audience {
			return region
		}
	}
	return nil
}

// settleRegion makes audience and endpoint fit each other. What is set says which region is meant: COZE_REGION, else
// AUDIENCE, else TOKEN_ENDPOINT, each as far as it names one. What is not set follows it. Two that name different
// regions are a fault, for Coze would refuse every assertion. A host that is neither region's, a proxy, says nothing
// about the region, so AUDIENCE keeps its own value whatever the endpoint is.
func (d *draft) settleRegion() {
	type claim struct {
		name   string
		region *coze.Region
	}
	claims := []claim{{d.from["COZE_REGION"], d.region}}
	if name := d.from["AUDIENCE"]; name != "" {
		claims = append(claims, claim{name, regionOf(d.app.Audience)})
	}
	if name := d.from["TOKEN_ENDPOINT"]; name != "" {
		claims = append(claims, claim{name, regionOf(hostOf(d.app.Endpoint))})
	}
	var first claim
	for _, c := range claims {
		switch {
		case c.region == nil:
		case first.region == nil:
			first = c
		case c.region != first.region:
			d.fault(c.name, "is of coze."+c.region.Name+", and "+d.call(first.name)+" is of coze."+first.region.Name+": the two share neither apps nor keys",
				"keep COZE_REGION, set to the one in which the app was made, and remove AUDIENCE and TOKEN_ENDPOINT")
		}
	}
	if first.region != nil {
		if !d.isSet("AUDIENCE") {
			d.app.Audience = first.region.Audience
		}
		if !d.isSet("TOKEN_ENDPOINT") {
			d.app.Endpoint = first.region.Endpoint
		}
	}
	d.warnOfCustom()
	d.settings.Region = "custom"
	if region := regionOf(d.app.Audience); region != nil && region == regionOf(hostOf(d.app.Endpoint)) {
		d.settings.Region = region.Name
	}
}

func (d *draft) warnOfCustom() {
	host := hostOf(d.app.Endpoint)
	if host == "" || loopback(host) {
		return
	}
	if d.isSet("AUDIENCE") && d.app.Audience != "" && regionOf(d.app.Audience) == nil {
		d.warn("AUDIENCE", "is "+quote.Text(d.app.Audience)+"; Coze documents api.coze.cn and api.coze.com only", "behind a proxy, AUDIENCE stays that of Coze")
	}
	if regionOf(host) == nil && siteOf(host) == nil && !d.isSet("AUDIENCE") && !d.isSet("COZE_REGION") {
		d.warn(d.from["TOKEN_ENDPOINT"], "is no host of Coze's, so the region is taken to be cn", "set COZE_REGION to the region of the app, cn or com")
	}
}
