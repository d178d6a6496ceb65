package version

import (
	"regexp"
	"runtime/debug"
	"testing"
)

// product is a product version as a User-Agent may have it (RFC 9110, sections 5.6.2 and 10.1.5).
var product = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func TestVersion(t *testing.T) {
	of := func(info *debug.BuildInfo) string {
		version := of(info)
		if !product.MatchString(version) {
			t.Errorf("%q cannot stand in a User-Agent", version)
		}
		return version
	}
	for stamped, want := range map[string]string{
		"v1.2.0":                             "v1.2.0",
		"v1.2.0+dirty":                       "v1.2.0+dirty",
		"v0.0.0-20261123100713-bf56703f4cd7": "v0.0.0-20261123100713-bf56703f4cd7",
		"v0.0.0-20261123100713-bf56703f4cd7+dirty": "v0.0.0-20261123100713-bf56703f4cd7+dirty",
		"(devel)": "devel",
		"":        "devel",
	} {
		own := &debug.BuildInfo{Main: debug.Module{Path: module, Version: stamped}}
		imported := &debug.BuildInfo{
			Main: debug.Module{Path: "example.com/shop", Version: "v9.9.9"},
			Deps: []*debug.Module{{Path: "golang.org/x/net", Version: "v0.1.0"}, {Path: module, Version: stamped}},
		}
		if got := of(own); got != want {
			t.Errorf("%q is shown as %q, not %q", stamped, got, want)
		}
		if got := of(imported); got != want {
			t.Errorf("imported, %q is shown as %q, not %q", stamped, got, want)
		}
	}
	for _, info := range []*debug.BuildInfo{nil, {}, {Main: debug.Module{Path: "example.com/shop", Version: "v9.9.9"}}} {
		if got := of(info); got != "devel" {
			t.Errorf("%v: %q", info, got)
		}
	}
}
