package sandbox

import (
	"cmp"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"coze-token/coze"
)

// Options are a sandbox's settings. The zero value is good.
type Options struct {
	// Now is the clock that assertions and tokens are judged by. Optional: time.Now.
	Now func() time.Time
	// Audience is the only aud that is accepted. Optional: api.coze.cn. Official SDKs that take the
	// audience from the base URL (coze-go, coze-py) need the sandbox's own host and port here.
	Audience string
	// Log receives a line for each exchange that is asked for, without secrets. Optional: none are
	// written.
	Log *slog.Logger
	// ClientID, KeyID and Key are those of the ready app. Optional: made up. The key has at least 2048
	// bits.
	ClientID string
	KeyID    string
	Key      *rsa.PrivateKey
	// Leeway is how far an assertion's iat may lie ahead of the clock and its exp behind it. Optional:
	// none. What Coze tolerates is not known, so a client should need nothing.
	Leeway time.Duration
	// MinJTI is the least length of a jti in bytes. Optional: 32, as Coze advises. coze-py sends 16.
	MinJTI int
	// NoTokenType leaves token_type out of the answer, as Coze may.
	NoTokenType bool
	// NoControl leaves out the HTTP interface under /sandbox/.
	NoControl bool
}

// What the ready app may use besides its own tokens. Made up, in the form of the ids in Coze's
// documentation.
const (
	Account    = "7300000000000000001"
	Enterprise = "volcano_2100000001"
)

// A Sandbox is an emulator of Coze's token API. It is an [http.Handler] and safe for concurrent
// use.
type Sandbox struct {
	options Options
	ready   Registration

	mu        sync.Mutex
	apps      map[string]*registered // :: client id → app
	keys      map[string]key         // :: kid → public half and owner
	used      *used
	issued    *issued
	faults    []*activeFault
	exchanges int
	requests  []Request // the last maxRequests, oldest first
	bearer    string    // of the last request to the API

	conversations []*conversation // the oldest first
}

// New makes a sandbox with one app that is ready for use: see [Sandbox.App] and [Sandbox.Settings].
// Making up a key takes some tenths of a second; tests that make many sandboxes share one in
// [Options.Key].
func New(options Options) (*Sandbox, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	options.Audience = cmp.Or(options.Audience, coze.China.Audience)
	options.MinJTI = cmp.Or(options.MinJTI, 32)
	if strings.Contains(options.Audience, "/") {
		return nil, fmt.Errorf("the audience is a bare host, without scheme or path: %q", options.Audience)
	}
	if options.Leeway < 0 || options.MinJTI < 0 {
		return nil, fmt.Errorf("neither leeway (%v) nor the least length of a jti (%d) can be negative", options.Leeway,
			options.MinJTI)
	}
	s := &Sandbox{
		options: options,
		apps:    map[string]*registered{},
		keys:    map[string]key{},
		used:    newUsed(),
		issued:  newIssued(),
	}
	private := options.Key
	if private == nil {
		var err error
		if private, err = makeKey(); err != nil {
			return nil, err
		}
	}
	var err error
	s.ready, err = s.Register(Registration{
		Name:        "sandbox",
		ClientID:    options.ClientID,
		Keys:        []coze.Key{{ID: cmp.Or(options.KeyID, makeKeyID()), Signer: private}},
		Accounts:    []string{Account},
		Enterprises: []string{Enterprise},
	})
	return s, err
}

// App is the ready app, for use with a [coze.Client]. BaseURL is where the sandbox is served, such
// as http://127.0.0.1:8080.
func (s *Sandbox) App(baseURL string) *coze.App { return s.AppFor(s.ready, baseURL) }

// AppFor is the same for an app that was registered.
func (s *Sandbox) AppFor(r Registration, baseURL string) *coze.App {
	return &coze.App{
		ClientID: r.ClientID,
		Keys:     slices.Clone(r.Keys),
		Audience: s.options.Audience,
		Endpoint: endpoint(baseURL),
	}
}

// Settings is the ready app in the form of coze-token's settings. PRIVATE_KEY is PKCS#8 in PEM, as
// Coze's console makes it.
func (s *Sandbox) Settings(baseURL string) map[string]string {
	key := s.ready.Keys[0]
	der, err := x509.MarshalPKCS8PrivateKey(key.Signer)
	if err != nil {
		panic("sandbox: the ready app's key is not an RSA private key: " + err.Error()) // New took an *rsa.PrivateKey
	}
	return map[string]string{
		"CLIENT_ID":      s.ready.ClientID,
		"PRIVATE_KEY":    string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"KID":            key.ID,
		"AUDIENCE":       s.options.Audience,
		"TOKEN_ENDPOINT": endpoint(baseURL),
	}
}

func endpoint(baseURL string) string { return strings.TrimSuffix(baseURL, "/") + coze.TokenPath }

// ServeHTTP answers as Coze would. A path is taken as it is: nothing is cleaned, redirected or
// matched in another case.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.options.NoControl && strings.HasPrefix(r.URL.Path, controlPrefix) {
		s.control(w, r)
		return
	}
	logID := makeLogID(s.options.Now())
	w.Header().Set("X-Tt-Logid", logID)
	target, ok := parseTarget(r.URL.EscapedPath())
	switch {
	case ok && r.Method == http.MethodPost:
		s.exchange(w, r, target, logID)
	case ok:
		w.Header().Set("Allow", http.MethodPost)
		writeAPIError(w, http.StatusMethodNotAllowed, codeParameter, "the method is not allowed", logID)
	case apiMethods(r.URL.Path) != "":
		s.api(w, r, logID)
	default:
		writeAPIError(w, http.StatusNotFound, codeNotFound, "the requested resource does not exist", logID)
	}
}
