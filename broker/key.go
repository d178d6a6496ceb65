package broker

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"coze-token/coze"
)

// A key is a cache key: everything in a request that shapes its token.
type key struct {
	app     identity
	session string
	quota   string // the device and the consumer that the request names; empty: neither
	seconds int32
}

// duration is how long the token shall live, in nanoseconds.
func (k key) duration() int64 { return int64(k.seconds) * int64(time.Second) }

// key returns a request's cache key, and its app.
func (b *Broker) key(request coze.TokenRequest) (key, *app, error) {
	if request.App == nil {
		return key{}, nil, &coze.Error{Kind: coze.InvalidRequest, Err: errors.New("the request has no app")}
	}
	duration := cmp.Or(request.Duration, coze.DefaultDuration)
	if duration < coze.MinDuration || duration > coze.MaxDuration {
		return key{}, nil, &coze.Error{
			Kind: coze.InvalidRequest,
			Err: fmt.Errorf("a token's duration is from %v to %v, not %v",
				coze.MinDuration, coze.MaxDuration, duration),
		}
	}
	a := b.apps.app(request.App)
	quota := ""
	if request.DeviceID != "" || request.CustomConsumer != "" {
		quota = string(appendPart(appendPart(nil, request.DeviceID), request.CustomConsumer))
	}
	return key{a.id, request.Session, quota, int32(duration / time.Second)}, a, nil
}

// An identity stands for everything in an app that shapes its tokens.
type identity = unique.Handle[string]

// identify lists what shapes an app's tokens. Its keys do not: any of them makes the same tokens.
// Coze does not say whether an assertion's lifetime bounds the token's, so it counts.
func identify(app *coze.App) identity {
	c := app.SessionContext
	var b []byte
	for _, part := range []string{
		app.ClientID, app.Audience, app.Endpoint, app.AccountID, app.EnterpriseID, string(app.Scope),
		c.DeviceID, c.CustomConsumer, c.ConnectorID,
		cmp.Or(app.AssertionLifetime, coze.DefaultAssertionLifetime).String(),
	} {
		b = appendPart(b, part)
	}
	return unique.Make(string(b))
}

// appendPart appends s with its length before it, so that different parts are never the same bytes.
func appendPart(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// An app is what is known of one *coze.App. An app with other keys in its place has the same
// identity, and so the same tokens, but not the same breaker.
type app struct {
	id     identity
	hash   uint64                   // the identity's
	sealer *sealer                  // nil: its tokens are not shared
	own    atomic.Pointer[capacity] // nil: it has no part of its own
	breaker
}

// maxApps bounds the register of a program that does not call [Broker.Use] and may make new apps
// all the time.
const maxApps = 1024

// A register has the apps in use.
type register struct {
	known    sync.Map // :: *coze.App → *app
	mu       sync.Mutex
	learnt   int
	declared bool // by use
	newApp   func(*coze.App) *app
}

func (r *register) app(of *coze.App) *app {
	if a, ok := r.known.Load(of); ok {
		return a.(*app)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.find(of)
	if r.declared { // the request began before use, and its app is forgotten
		return a
	}
	if r.learnt++; r.learnt > maxApps {
		r.known.Clear()
		r.learnt = 1
	}
	r.known.Store(of, a)
	return a
}

func (r *register) find(of *coze.App) *app {
	if a, ok := r.known.Load(of); ok {
		return a.(*app)
	}
	return r.newApp(of)
}

// use returns the apps by identity.
func (r *register) use(apps []*coze.App) map[identity][]*app {
	r.mu.Lock()
	defer r.mu.Unlock()
	used := map[*coze.App]*app{}
	for _, of := range apps {
		used[of] = r.find(of)
	}
	r.known.Clear()
	same := map[identity][]*app{}
	for of, a := range used {
		r.known.Store(of, a)
		same[a.id] = append(same[a.id], a)
	}
	r.declared = true
	return same
}
