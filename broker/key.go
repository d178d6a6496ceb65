package broker

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"coze-token/coze"
)

// A key is a grant as the table knows it. Two keys are equal exactly if their grants ask for the same token: identities are equal
// as pointers exactly if everything in the app that shapes a token is equal.
type key struct {
	app     *identity
	session string
	seconds int32
}

// An identity stands for everything in an app that shapes its tokens.
type identity struct {
	text string // the parts, each with its length before it
	hash uint64
}

// identify writes down what shapes an app's tokens. Its keys do not: any of them makes the same tokens. Whether an
// assertion's lifetime bounds the token's is not documented, so it counts.
func identify(app *coze.App) string {
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
	return string(b)
}

// appendPart appends s behind its length, so that no two lists of parts are the same bytes.
func appendPart(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// An app is what is known of one *coze.App. When a host replaces an app by one with other keys, the identity, and so the remembered
// tokens, stay, while what was held against the old keys does not.
type app struct {
	id  *identity
	box *box // seals the app's values in the shared store; nil if it is not shared
	trouble
}

// maxApps bounds the register. Apps come from settings, so a program that has more makes new ones all the time.
const maxApps = 1024

// The register knows the apps in use.
type register struct {
	byPointer sync.Map // :: *coze.App → *app
	count     atomic.Int32
	mu        sync.Mutex
	byText    map[string]*identity
	seed      maphash.Seed
	newBox    func(*coze.App, *identity) *box
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
	if r.count.Add(1) > maxApps {
		// Starting over costs an exchange for each grant in use, and merges nothing: new identities are new pointers.
		r.byPointer.Clear()
		clear(r.byText)
		r.count.Store(1)
	}
	text := identify(of)
	id := r.byText[text]
	if id == nil {
		id = &identity{text, maphash.String(r.seed, text)}
		r.byText[text] = id
	}
	known := &app{id: id, box: r.newBox(of, id)}
	r.byPointer.Store(of, known)
	return known
}

// key is the grant's key, with its app and its duration in whole seconds, which is what Coze is asked for.
func (b *Broker) key(grant coze.Grant) (key, *app, error) {
	duration := grant.Duration
	if duration == 0 {
		duration = coze.DefaultDuration
	}
	if grant.App == nil {
		return key{}, nil, &coze.Error{Kind: coze.Unsigned, Err: fmt.Errorf("the grant has no app")}
	}
	if duration < coze.MinDuration || duration > coze.MaxDuration {
		return key{}, nil, &coze.Error{Kind: coze.Unsigned, Err: fmt.Errorf("a token's duration is from %v to %v, not %v",
			coze.MinDuration, coze.MaxDuration, duration)}
	}
	known := b.apps.app(grant.App)
	return key{known.id, grant.Session, int32(duration / time.Second)}, known, nil
}
