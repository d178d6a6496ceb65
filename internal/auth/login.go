package auth

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"coze-token/coze"
	"coze-token/internal/fault"
	"coze-token/internal/message"
	"coze-token/internal/setting"
	"coze-token/internal/strictjson"
)

// LoginOptions say whose tokens a login takes, and what in them is the session. They are an entry
// of LOGINS in JSON.
type LoginOptions struct {
	// Issuer is the token's iss, to the letter. Required.
	Issuer string `json:"issuer"`
	// Audiences are the values of aud that are meant for this service: the client id, usually. A
	// token has to have one of them. Required.
	Audiences []string `json:"audiences"`
	// JWKSURL is where the provider's keys are. Optional: it is found by discovery, at
	// Issuer/.well-known/openid-configuration.
	JWKSURL string `json:"jwks_url"`
	// SessionClaim is the claim that says who the user is. Users must not be able to choose it.
	// Optional: sub.
	SessionClaim string `json:"session_claim"`
	// Algorithms are those that the provider signs with. Optional: all that are taken, which are
	// RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 and EdDSA.
	Algorithms []string `json:"algorithms"`
	// Header is a header that carries the token beside Authorization: Bearer, which every login
	// reads: one that a proxy in front sets. Optional.
	Header string `json:"header"`
	// Name is for records. If it is set, each session begins with the name and "|". Without it, the
	// session of the only login is the claim alone, and the sessions of several begin with the
	// issuer. A session of another name is another conversation, so a name that may be needed one day
	// is best set from the first. Optional.
	Name string `json:"name"`
}

// Label is what the login is called in records: its name, or the issuer without its scheme.
func (o LoginOptions) Label() string {
	place := strings.TrimPrefix(strings.TrimPrefix(o.Issuer, "https://"), "http://")
	return cmp.Or(o.Name, strings.TrimSuffix(place, "/"))
}

// otherHeaders have another meaning in the service, or are removed on the way to it.
var otherHeaders = []string{
	"X-User-Id", "Origin", "Host", "Content-Type", "Content-Length", "Connection", "Transfer-Encoding",
	"X-Device-Id", "X-Custom-Consumer",
}

// CloudflareAccess is a login through Cloudflare Access. team is its domain,
// team.cloudflareaccess.com or the first part of it. audiences are the application's AUD tags.
func CloudflareAccess(team string, audiences ...string) (LoginOptions, error) {
	const domain = ".cloudflareaccess.com"
	team = strings.TrimSuffix(strings.TrimPrefix(strings.ToLower(team), "https://"), "/")
	team = strings.TrimSuffix(team, domain)
	// With a slash or a dot in it, the keys would be somebody else's.
	if team == "" || len(team) > 63 || strings.Trim(team, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return LoginOptions{}, fault.New("the team is not one",
			"use the team domain that Cloudflare's dashboard shows, such as my-team.cloudflareaccess.com")
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

var (
	jwtIssuer       = setting.New(row("JWT_ISSUER"), setting.Text)
	jwtAudience     = setting.New(row("JWT_AUDIENCE"), setting.Items)
	jwksURL         = setting.New(row("JWKS_URL"), setting.Text)
	jwtSessionClaim = setting.New(row("JWT_SESSION_CLAIM"), setting.Word)
	loginList       = setting.New(row("LOGINS"), parseLogins)
	cfAccessTeam    = setting.New(row("CF_ACCESS_TEAM"), setting.Word)
	cfAccessAud     = setting.New(row("CF_ACCESS_AUD"), setting.Items)

	loginSettings = setting.List{
		jwtIssuer, jwtAudience, jwksURL, jwtSessionClaim, loginList, cfAccessTeam, cfAccessAud,
	}
)

// readLogins reads the three ways to set a login, and checks each beside those before.
func readLogins(r *setting.Reader) (list []LoginOptions) {
	add := func(s setting.Setting, o LoginOptions, err error) {
		if err == nil {
			err = CheckLogin(o, list)
		}
		if err != nil {
			r.Report(s, err)
			return
		}
		list = append(list, o)
	}
	for _, o := range loginList.Get(r) {
		add(loginList, o, nil)
	}
	login := LoginOptions{
		Issuer: jwtIssuer.Get(r), Audiences: jwtAudience.Get(r), JWKSURL: jwksURL.Get(r),
		SessionClaim: jwtSessionClaim.Get(r),
	}
	if r.IsSet(jwtIssuer) {
		const remedy = "set JWT_AUDIENCE to the client id (or API identifier) that the provider writes into aud, " +
			"so that no token for another service is taken"
		if r.Together(jwtIssuer, jwtAudience, remedy) && login.Issuer != "" && login.Audiences != nil {
			add(jwtIssuer, login, nil)
		}
	} else {
		for _, s := range []setting.Setting{jwtAudience, jwksURL, jwtSessionClaim} {
			if r.IsSet(s) {
				r.Fault(s, "is set without JWT_ISSUER", "set JWT_ISSUER to the iss of the tokens, or remove it")
			}
		}
	}
	team, audiences := cfAccessTeam.Get(r), cfAccessAud.Get(r)
	if r.Together(cfAccessTeam, cfAccessAud, "set both, or neither") && team != "" && audiences != nil {
		o, err := CloudflareAccess(team, audiences...)
		add(cfAccessTeam, o, err)
	}
	return list
}

// parseLogins parses a list of logins. Only the fact that it is none is told: there is no secret in
// it, but people mix up variables.
func parseLogins(v *setting.Value) (list []LoginOptions) {
	decoder := json.NewDecoder(strings.NewReader(v.Text()))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&list)
	if _, end := decoder.Token(); err != nil || end != io.EOF {
		v.Fault("is not a JSON list of logins", `use [{"issuer": "https://login.example.com", "audiences": ["my-page"]}], `+
			"with no members but those that the documentation lists")
		return nil
	}
	if len(list) == 0 { // [] and null
		v.Empty()
	}
	v.NoDuplicates(strictjson.DuplicateFold([]byte(v.Text())))
	return list
}

// CheckLogin says what is wrong with a login by itself and beside others. The error is a
// [fault.List].
func CheckLogin(o LoginOptions, others []LoginOptions) error {
	var faults fault.List
	const issuerRemedy = "use the https URL that the provider's discovery document has as issuer"
	issuer, err := checkURL(o.Issuer)
	switch {
	case err != nil && (o.JWKSURL == "" || coze.CheckSession(o.Issuer) != nil):
		faults.Add("the issuer %s", issuerRemedy, err)
		issuer = &url.URL{}
	case err != nil: // nothing is fetched from it, so it is only compared
		issuer = &url.URL{RawQuery: strings.Repeat("?", strings.Count(o.Issuer, "?"))}
	case issuer.RawQuery != "" || strings.Contains(o.Issuer, "|"):
		faults.Add(`the issuer has a query or a "|" in it`, issuerRemedy)
	}
	if o.JWKSURL != "" {
		if keys, err := checkURL(o.JWKSURL); err != nil {
			faults.Add("the address of the keys (JWKS) %s",
				"use an https URL, or leave it out: the issuer's discovery document has it", err)
		} else if keys.Scheme == "http" && issuer.Scheme == "https" {
			faults.Add("the address of the keys (JWKS) is not https, and the issuer's is", "use an https URL")
		}
	}
	if len(o.Audiences) == 0 {
		faults.Add("there is no audience, so a token that is meant for any other service would do",
			"set it to the client id (or API identifier) that the provider writes into aud")
	}
	if slices.Contains(o.Audiences, "") {
		faults.Add("an audience is empty", "remove it")
	}
	if len(o.SessionClaim) > 256 {
		faults.Add("the session claim has a name that is too long", "use sub, or another claim that the provider sets")
	}
	if slices.Contains([]string{"iss", "aud", "exp", "nbf", "iat", "azp"}, o.SessionClaim) {
		faults.Add("the session claim %s does not tell users apart",
			"use sub, or another claim that is each user's own", o.SessionClaim)
	}
	if slices.ContainsFunc(o.Algorithms, func(alg string) bool { return !slices.Contains(algorithms, alg) }) {
		faults.Add("an algorithm is not one of %s", "have the provider sign with one of these",
			strings.Join(algorithms, ", "))
	}
	switch header := http.CanonicalHeaderKey(o.Header); {
	case o.Header == "":
	case len(header) > 64 || strings.Trim(header, letters+"-") != "":
		faults.Add("the header's name is not one",
			"name it alone, with up to 64 letters, digits and hyphens, such as X-Auth-Token")
	case header != AccessHeader && slices.Contains(slices.Concat(requestHeaders, otherHeaders), header):
		faults.Add("the header %s has another meaning", "leave it out, as every login reads Authorization: Bearer; "+
			"or have the proxy put the token into a header of its own, such as X-Auth-Token", header)
	}
	if o.Name != "" && !isName(o.Name, maxKeyName) {
		faults.Add("the login's name is not one", `name it with 1 to 31 letters, digits, ".", "_", "-" or "@"`)
	}
	if len(faults) > 0 {
		return faults
	}
	for _, other := range others {
		switch {
		case other.Issuer == o.Issuer:
			faults.Add("two logins have the issuer %s", "make one of them, with the audiences of both", o.Issuer)
		case other.Label() == o.Label():
			faults.Add("two logins are both called %s, so their users would share sessions",
				"give each a name of its own", o.Label())
		}
	}
	return faults.Err()
}

// checkURL reads the URL of a provider: https, or http to this very machine, for tests.
func checkURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return nil, message.New("is missing")
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return nil, message.New("is not a URL")
	case u.User != nil || strings.Contains(text, "#"):
		return nil, message.New("has a user or a fragment in it")
	case u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Host)):
		return nil, message.New("is not https")
	}
	return u, nil
}

func isLoopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// logins is the [Method] of users who are logged in at a provider.
type logins []*login

// A login takes the tokens of one issuer.
type login struct {
	LoginOptions
	prefix string // before each session
	now    func() time.Time
	keys   *keySet
}

func newLogins(list []LoginOptions, o Options) logins {
	var all logins
	for _, l := range list {
		if len(l.Algorithms) == 0 {
			l.Algorithms = algorithms
		}
		l.SessionClaim = cmp.Or(l.SessionClaim, "sub")
		l.Header = http.CanonicalHeaderKey(l.Header)
		prefix := ""
		if l.Name != "" || len(list) > 1 {
			prefix = l.Label() + "|" // no name and no issuer has it, so sessions of two logins never meet
		}
		all = append(all, &login{l, prefix, o.Now, o.KeySets.of(l)})
	}
	return all
}

// Scheme implements [Method].
func (logins) Scheme() string { return bearerScheme }

// Accepts implements [Method].
func (logins) Accepts() message.Format {
	return "the token of the user's login, as Authorization: Bearer"
}

// Identify implements [Method].
func (all logins) Identify(ctx context.Context, c *Credentials) (Caller, bool, *Error) {
	if c.Sent != "" {
		if c.keyHeader || strings.HasPrefix(c.Sent, KeyPrefix) {
			return Caller{}, false, nil
		}
		return all.take(ctx, c.Sent)
	}
	for _, l := range all {
		if l.Header == "" {
			continue
		}
		token, present, e := single(c.Header, l.Header)
		if e != nil && e.Reason == TooLarge {
			e = tokenTooLarge()
		}
		if e != nil {
			return Caller{}, false, e
		}
		if present { // a token in a login's own header can be of no other
			return slices.DeleteFunc(slices.Clone(all), func(other *login) bool { return other.Header != l.Header }).take(ctx,
				token)
		}
	}
	return Caller{}, false, nil
}

// take verifies a token of one of the logins.
func (all logins) take(ctx context.Context, raw string) (Caller, bool, *Error) {
	t, e := readToken(raw)
	if e != nil {
		return Caller{}, false, e
	}
	at := slices.IndexFunc(all, func(l *login) bool { return l.Issuer == t.issuer })
	if at < 0 {
		return Caller{}, false, unauthenticated(UnknownIssuer,
			"the token is of an issuer that this service does not take", "send the token of a login that it takes")
	}
	l := all[at]
	claims, e := l.verify(ctx, t)
	if e != nil {
		return Caller{}, false, e
	}
	subject, e := l.subject(claims)
	if e != nil {
		return Caller{}, false, e
	}
	return Caller{Mode: ModeLogin, Name: l.Label(), Session: l.prefix + subject, Subject: subject}, true, nil
}
