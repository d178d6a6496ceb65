package auth

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// LoginOptions say whose tokens a login takes, and what in them is the session. They can be read from JSON.
type LoginOptions struct {
	// Issuer is the token's iss, to the letter: with a slash at the end if the provider's discovery document has one.
	Issuer string `json:"issuer"`
	// Audiences are the values of aud that are meant for this service: the client id, usually. A token has to have one.
	Audiences []string `json:"audiences"`
	// JWKSURL is where the provider's keys are. Optional: discovery, at Issuer/.well-known/openid-configuration.
	JWKSURL string `json:"jwks_url"`
	// SessionClaim is the claim that says who the user is. It has to be one that users cannot choose. Optional: sub.
	SessionClaim string `json:"session_claim"`
	// Algorithms are those that the provider signs with. Optional: RS256, ES256 and EdDSA, which is all that there is.
	Algorithms []string `json:"algorithms"`
	// Header is a header that carries the token beside Authorization: Bearer, which every login reads: one that a proxy in front
	// sets, and none that is read for something else. Optional.
	Header string `json:"header"`
	// Name is for records, and, where it is set, the beginning of each session: the name, "|" and the claim. Without it the
	// session of a service with one login is the claim alone, and with several begins with the issuer's host and path. So
	// who may have a second login one day sets names from the first, because a session that is called something else is
	// another conversation. Optional.
	Name string `json:"name"`

	// KeysOf is a login whose provider's keys this one shares, if it is of the same Issuer and JWKSURL: what it knows of them, how it
	// fetches them, and when it may do so again. Thus several apps make the fetches of one, and a login that is made anew need
	// not find its provider up. Optional: keys of its own.
	KeysOf *Login `json:"-"`
	// Transport fetches the provider's keys. It is called directly.
	Transport http.RoundTripper `json:"-"`
	// Now is the clock. Optional: time.Now.
	Now func() time.Time `json:"-"`
	// Go starts a goroutine that lives as long as one fetch, of 5 s at most. A host that stops when no request is open keeps
	// itself awake until the function returns. Optional: the go statement.
	Go func(func()) `json:"-"`
	// Log is told when keys cannot be fetched. Optional: nothing is logged.
	Log *slog.Logger `json:"-"`
}

// algorithms are those that a login can allow (RFC 8725, section 3.1): asymmetric ones only. An HMAC with a public key as its
// secret is the oldest trick there is.
var algorithms = []string{"RS256", "ES256", "EdDSA"}

const headerLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"

// otherHeaders are read elsewhere in the service, or taken away on the way to it.
var otherHeaders = []string{"X-User-Id", "Origin", "Host", "Content-Type", "Content-Length", "Connection", "Transfer-Encoding"}

// CloudflareAccess are the options of a login through Cloudflare Access. team is its domain, team.cloudflareaccess.com
// or the first part of it, and audiences the application's AUD tags. The error, if there is one, is [Faults].
func CloudflareAccess(team string, audiences ...string) (LoginOptions, error) {
	const domain = ".cloudflareaccess.com"
	team = strings.TrimSuffix(strings.TrimPrefix(strings.ToLower(team), "https://"), "/")
	team = strings.TrimSuffix(team, domain)
	// With a slash or a dot in it, the keys would be somebody else's.
	if team == "" || len(team) > 63 || strings.Trim(team, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return LoginOptions{}, Faults{{"the team is not one", "use the team domain that Cloudflare's dashboard shows, such as my-team.cloudflareaccess.com"}}
	}
	issuer := "https://" + team + domain
	return LoginOptions{
		Issuer:     issuer,
		Audiences:  audiences,
		JWKSURL:    issuer + "/cdn-cgi/access/certs",
		Algorithms: []string{"RS256"},
		Header:     AccessHeader,
	}, nil
}

// A Login takes the tokens of one issuer.
type Login struct {
	issuer    string
	claim     string
	algs      []string
	header    string
	name      string // as set, or ""
	place     string // the issuer without its scheme
	parser    *jwt.Parser
	keys      *keySet
	audiences []string
}

// NewLogin makes a login. Nothing is fetched before the first token comes. The error, if there is one, is [Faults].
func NewLogin(o LoginOptions) (*Login, error) {
	var faults Faults
	issuer, err := checkURL(o.Issuer)
	switch {
	case err != nil:
		faults.add("the issuer "+err.Error(), "use the https URL that the provider's discovery document has as issuer")
		issuer = &url.URL{}
	case issuer.RawQuery != "" || strings.Contains(o.Issuer, "|"):
		faults.add(`the issuer has a query or a "|" in it`, "use the https URL that the provider's discovery document has as issuer")
	}
	if o.JWKSURL != "" {
		keys, err := checkURL(o.JWKSURL)
		if err != nil {
			faults.add("the address of the keys (JWKS) "+err.Error(), "use an https URL, or leave it out: the issuer's discovery document has it")
		} else if keys.Scheme == "http" && issuer.Scheme == "https" {
			faults.add("the address of the keys (JWKS) is not https, and the issuer's is", "use an https URL")
		}
	}
	if len(o.Audiences) == 0 {
		faults.add("there is no audience, so a token that is meant for any other service would do", "set it to the client id (or API identifier) that the provider writes into aud")
	}
	if slices.Contains(o.Audiences, "") {
		faults.add("an audience is empty", "remove it")
	}
	if len(o.SessionClaim) > 256 {
		faults.add("the session claim has a name that is too long", "use sub, or another claim that the provider sets")
	}
	if slices.Contains([]string{"iss", "aud", "exp", "nbf", "iat", "azp"}, o.SessionClaim) {
		faults.add("the session claim "+o.SessionClaim+" does not tell users apart", "use sub, or another claim that is each user's own")
	}
	for _, alg := range o.Algorithms {
		if !slices.Contains(algorithms, alg) {
			faults.add("an algorithm is not one of "+strings.Join(algorithms, ", "), "have the provider sign with one of these")
			break
		}
	}
	switch header := http.CanonicalHeaderKey(o.Header); {
	case o.Header == "":
	case len(header) > 64 || strings.Trim(header, headerLetters) != "":
		faults.add("the header's name is not one", "name it alone, with up to 64 letters, digits and hyphens, such as X-Auth-Token")
	case header != AccessHeader && (slices.Contains(RequestHeaders, header) || slices.Contains(otherHeaders, header)):
		faults.add("the header "+header+" has another meaning", "leave it out, as every login reads Authorization: Bearer; or have the proxy put the token into a header of its own, such as X-Auth-Token")
	}
	if o.Name != "" && !isName(o.Name, maxKeyName) {
		faults.add("the login's name is not one", `name it with 1 to 31 letters, digits, ".", "_", "-" or "@"`)
	}
	if o.Transport == nil {
		faults.add("there is no transport to fetch keys with", "set LoginOptions.Transport")
	}
	if len(faults) > 0 {
		return nil, faults
	}
	if len(o.Algorithms) == 0 {
		o.Algorithms = algorithms
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Go == nil {
		o.Go = func(f func()) { go f() }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &Login{
		issuer:    o.Issuer,
		claim:     cmp.Or(o.SessionClaim, "sub"),
		algs:      slices.Clone(o.Algorithms),
		header:    http.CanonicalHeaderKey(o.Header),
		name:      o.Name,
		place:     strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(o.Issuer, "https://"), "http://"), "/"),
		audiences: slices.Clone(o.Audiences),
		keys:      &keySet{issuer: o.Issuer, url: o.JWKSURL, loopback: issuer.Scheme == "http", transport: o.Transport, now: o.Now, spawn: o.Go, log: o.Log},
	}
	if other := o.KeysOf; other != nil && other.keys.issuer == o.Issuer && other.keys.url == o.JWKSURL {
		l.keys = other.keys
	}
	l.parser = jwt.NewParser(
		jwt.WithValidMethods(l.algs),
		jwt.WithStrictDecoding(),
		jwt.WithJSONNumber(),
		jwt.WithIssuer(l.issuer),
		jwt.WithAudience(l.audiences...),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(leeway),
		jwt.WithTimeFunc(o.Now),
	)
	return l, nil
}

// Name is what the login is called in records.
func (l *Login) Name() string { return cmp.Or(l.name, l.place) }

// Check fetches the provider's keys, for a person who wants to know whether that works. It returns how many of them can be
// used.
func (l *Login) Check(ctx context.Context) (keys int, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	set, _, err := l.keys.fetch(ctx)
	return len(set), err
}

// checkURL reads the URL of a provider: https, or http to this very machine, for tests.
func checkURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return nil, fmt.Errorf("is missing")
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		return nil, fmt.Errorf("is not a URL")
	case u.User != nil || u.Fragment != "" || strings.Contains(text, "#"):
		return nil, fmt.Errorf("has a user or a fragment in it")
	case u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Host)):
		return nil, fmt.Errorf("is not https")
	}
	return u, nil
}

func isLoopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
