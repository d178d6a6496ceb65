package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	cozetoken "coze-token"
	"coze-token/internal/native"
)

var background = context.Background()

// The contenders, by the names that they are started with.
const (
	exchanging = "exchanging"
	remembered = "remembered"
	quiet      = "quiet"
	plain      = "plain"
	dressed    = "dressed"
	bare       = "bare"
	signing    = "signing"
)

// does says in a line what each contender does for one request.
var does = map[string]string{
	exchanging: "this service, CACHE=off: signs and exchanges for each request; default settings, one log record each",
	remembered: "this service, remembering: 1,000 sessions whose tokens are known; default settings, one log record each",
	quiet:      "the same with LOG_LEVEL=warn",
	plain:      "a plain Go handler with golang-jwt and http.Client: key parsed once, signs and exchanges each time",
	dressed:    "a fixed body with the service's headers and its server's timeouts: what HTTP alone costs so",
	bare:       "net/http and a handler that writes a fixed body of the same length, nothing else",
	signing:    "RSA-2048 signatures in Go, no HTTP at all",
}

// settings are the contenders' environment, the service's own settings.
func settings() (*cozetoken.Settings, error) {
	s, _, err := cozetoken.Read(cozetoken.Environ(os.Environ()), cozetoken.Options{ReadFile: os.ReadFile})
	return s, err
}

// ours is the handler that coze-token serves. Whether it remembers is a setting, CACHE.
func ours(s *cozetoken.Settings, transport http.RoundTripper, log *slog.Logger) (http.Handler, error) {
	return cozetoken.Build(s, cozetoken.Options{Transport: transport, Log: log}), nil
}

// plainHandler is what public token servers written in Go look like, at their best: the key is
// parsed once, connections are kept, there is a timeout, and expires_in is passed on as it came.
func plainHandler(s *cozetoken.Settings) http.Handler {
	app, _ := s.App("")
	key, client := app.OAuth.Keys[0], &http.Client{Timeout: 10 * time.Second, Transport: native.Transport()}
	private := key.Signer.(*rsa.PrivateKey)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Now()
		claims := jwt.MapClaims{
			"iss": app.OAuth.ClientID, "aud": app.OAuth.Audience, "jti": rand.Text() + rand.Text(),
			"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		}
		if session := r.Header.Get("X-User-ID"); session != "" {
			claims["session_name"] = session
		}
		token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
		token.Header["kid"] = key.ID
		assertion, err := token.SignedString(private)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		body, _ := json.Marshal(map[string]any{
			"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "duration_seconds": int(app.Duration / time.Second),
		})
		request, err := http.NewRequestWithContext(r.Context(), http.MethodPost, app.OAuth.Endpoint,
			strings.NewReader(string(body)))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		request.Header.Set("Authorization", "Bearer "+assertion)
		request.Header.Set("Content-Type", "application/json")
		response, err := client.Do(request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		var answer struct {
			AccessToken string `json:"access_token"`
			ExpiresIn   int64  `json:"expires_in"`
		}
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
			http.Error(w, "no token", http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		json.NewEncoder(w).Encode(answer)
	})
}

// fixed is a body as long as the service's own.
var fixed = []byte(fmt.Sprintf(`{"access_token":"czs_%060d","expires_in":1795429307,"token_type":"Bearer",`+
	`"token":"czs_%060d","ttl":899}`+"\n", 0, 0))

func bareHandler(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Write(fixed)
}

// dressedHandler writes the same with the headers that the service's answers have.
func dressedHandler(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", fixedLength)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Request-Id", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	h["Ratelimit"], h["Ratelimit-Policy"] = fixedLimit[:1:1], fixedLimit[1:]
	w.Write(fixed)
}

var (
	fixedLength = strconv.Itoa(len(fixed))
	fixedLimit  = []string{`"address";r=999999;t=1`, `"address";q=1000000;w=1`}
)

// usage is what a contender says of itself, since it started.
type usage struct {
	URL     string        `json:"url,omitempty"`
	CPU     time.Duration `json:"cpu"`
	Mallocs uint64        `json:"mallocs"`
	Bytes   uint64        `json:"bytes"` // allocated
	Signed  int64         `json:"signed,omitempty"`
	Took    time.Duration `json:"took,omitempty"`
	Error   string        `json:"error,omitempty"`
}

// serveContender is a contender's process: it says where it serves, and then answers each line that
// it reads with its usage; "sign" and a duration makes signatures first. It ends with its input.
func serveContender(name string) error {
	s, err := settings()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	level := s.LogLevel
	if name == quiet {
		level = slog.LevelWarn
	}
	queue := native.NewQueue(os.Stderr, func(int, error) {}) // as coze-token serve does
	log := native.Logger(queue, level, "json")
	switch name {
	case exchanging, remembered, quiet:
		h, err := ours(s, native.Transport(), log)
		if err != nil {
			return err
		}
		go native.Serve(background, l, h, native.Options{MaxConnections: s.Native.MaxConnections, Log: log})
	case plain:
		go http.Serve(l, plainHandler(s))
	case dressed:
		go native.Serve(background, l, http.HandlerFunc(dressedHandler),
			native.Options{MaxConnections: s.Native.MaxConnections, Log: log})
	case bare, signing:
		go http.Serve(l, http.HandlerFunc(bareHandler))
	default:
		return fmt.Errorf("there is no contender %q", name)
	}
	if err := json.NewEncoder(os.Stdout).Encode(usage{URL: "http://" + l.Addr().String()}); err != nil {
		return err
	}
	return answerLines(os.Stdin, os.Stdout, func(line []byte) (any, error) {
		var u usage
		if text, ok := strings.CutPrefix(string(line), "sign "); ok {
			app, _ := s.App("")
			d, err := time.ParseDuration(text)
			if err == nil {
				u.Signed, u.Took, err = sign(app.OAuth.Keys[0].Signer, d)
			}
			if err != nil {
				return nil, err
			}
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		u.CPU, u.Mallocs, u.Bytes = cpuTime(), m.Mallocs, m.TotalAlloc
		return u, nil
	})
}

// sign counts the signatures that this process makes in a while, with as many goroutines as it may
// run at once.
func sign(key crypto.Signer, d time.Duration) (n int64, took time.Duration, err error) {
	message := []byte(strings.Repeat("x", 400)) // about as long as an assertion
	var (
		wg     sync.WaitGroup
		count  atomic.Int64
		failed atomic.Bool
		began  = time.Now()
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for time.Since(began) < d {
				if _, err := crypto.SignMessage(key, rand.Reader, message, crypto.SHA256); err != nil {
					failed.Store(true)
					return
				}
				count.Add(1)
			}
		})
	}
	wg.Wait()
	if failed.Load() {
		return 0, 0, errors.New("signing failed")
	}
	return count.Load(), time.Since(began), nil
}
