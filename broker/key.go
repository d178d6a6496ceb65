package broker

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"
	"unique"

	"coze-token/coze"
)

// A key is a grant as the table knows it. Two keys are equal exactly if their grants ask for the same token.
type key struct {
	app     identity
	session string
	seconds int32
}

// An identity stands for everything in an app that shapes its tokens: the parts, each with its length before it. It is there for
// as long as an app or a remembered grant has it.
type identity = unique.Handle[string]

// identify writes down what shapes an app's tokens. Its keys do not: any of them makes the same tokens. Whether an
// assertion's lifetime bounds the token's is not documented, so it counts.
func identify(app *coze.App) identity {
	lifetime := app.AssertionLifetime
	if lifetime == 0 {
		lifetime = coze.DefaultAssertionLifetime
	}
	var b []byte
	for _, part := range []string{
		app.ClientID,
		app.Audience,
		app.Endpoint,
		app.AccountID,
		app.EnterpriseID,
		string(app.Scope),
		app.SessionContext.DeviceID,
		app.SessionContext.CustomConsumer,
		app.SessionContext.ConnectorID,
		lifetime.String(),
	} {
		b = appendPart(b, part)
	}
	return unique.Make(string(b))
}

// appendPart appends s behind its length, so that no two lists of parts are the same bytes.
func appendPart(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// An app is what is known of one *coze.App. When a host replaces an app by one with other keys, the identity, and so the remembered
// tokens, stay, while what was held against the old keys does not.
type app struct {
	id   identity
	hash uint64 // the identity's
	box  *box   // seals the app's values in the shared store; nil if it is not shared
	trouble
}

// maxApps bounds the register of a program that does not say which apps there are, and may make new ones all the time.
const maxApps = 1024

// The register knows the apps in use.
type register struct {
	byPointer sync.Map // :: *coze.App → *app
	mu        sync.Mutex
	count     int
	declared  bool // by use
	newApp    func(*coze.App) *app
}

func (r *register) app(of *coze.App) *app {
	if known, ok := r.byPointer.Load(of); ok {
		return known.(*app)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.byPointer.Load(of); ok {
		return known.(*app)
	}
	known := r.newApp(of)
	if r.declared {
		return known // for a request that began with the apps of before
	}
	if r.count++; r.count > maxApps {
		r.byPointer.Clear()
		r.count = 1
	}
	r.byPointer.Store(of, known)
	return known
}

// use says that the apps are these, all of them.
func (r *register) use(apps []*coze.App) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := make([]any, len(apps))
	for i, of := range apps {
		var ok bool
		if known[i], ok = r.byPointer.Load(of); !ok {
			known[i] = r.newApp(of)
		}
	}
	r.byPointer.Clear()
	for i, of := range apps {
		r.byPointer.Store(of, known[i])
	}
	r.declared = true
}

// key is the grant's key, with its app and its duration in whole seconds, which is what Coze is asked for.
func (b *Broker) key(grant coze.TokenRequest) (key, *app, error) {
	duration := grant.Duration
	if duration == 0 {
		duration = coze.DefaultDuration
	}
	if grant.App == nil {
		return key{}, nil, &coze.Error{Kind: coze.InvalidRequest, Err: fmt.Errorf("the grant has no app")}
	}
	if duration < coze.MinDuration || duration > coze.MaxDuration {
		return key{}, nil, &coze.Error{Kind: coze.InvalidRequest, Err: fmt.Errorf("a token's duration is from %v to %v, not %v",
			coze.MinDuration, coze.MaxDuration, duration)}
	}
	known := b.apps.app(grant.App)
	return key{known.id, grant.Session, int32(duration / time.Second)}, known, nil
}
