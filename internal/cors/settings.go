package cors

import (
	"net/http"
	"strings"

	"coze-token/internal/quote"
	"coze-token/internal/setting"
)

// AllowedOrigins are the pages that may ask.
var AllowedOrigins = setting.New(setting.Row{Name: "ALLOWED_ORIGINS", App: setting.Shared}, parseSetting)

// allowedHeaders are further headers that those pages may send.
var allowedHeaders = setting.New(setting.Row{Name: "ALLOWED_HEADERS", App: setting.Shared}, parseHeaders)

// Settings are this package's settings.
var Settings = setting.List{AllowedOrigins, allowedHeaders}

// Read returns what settings say of a policy: the origins and further request headers.
func Read(r *setting.Reader) Policy {
	headers := allowedHeaders.Get(r)
	if r.IsSet(allowedHeaders) && !r.IsSet(AllowedOrigins) {
		r.Fault(allowedHeaders, "is set without ALLOWED_ORIGINS, and no page may ask",
			"set ALLOWED_ORIGINS to the pages that send these headers, or remove it")
	}
	return Policy{Origins: AllowedOrigins.Get(r), Headers: headers}
}

func parseHeaders(v *setting.Value) []string {
	const token = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" // RFC 9110 section 5.6.2
	headers := setting.Items(v)
	for i, header := range headers {
		if len(header) > 64 || header == "*" || strings.Trim(header, token) != "" {
			v.Fault("has %s, which is not the name of a header",
				"name each header that your pages send, such as traceparent, with commas between", quote.Text(header))
			return nil
		}
		headers[i] = http.CanonicalHeaderKey(header)
	}
	return headers
}

func parseSetting(v *setting.Value) *Set {
	set, warnings, err := Parse(v.Text())
	v.ReportWarnings(warnings)
	v.Report(err)
	if err == nil && set.Empty() {
		v.Empty()
	}
	return set
}
