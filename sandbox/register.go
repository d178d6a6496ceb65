package sandbox

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"coze-token/coze"
)

// A Kind is what sort of app was registered, or the state it is in: it decides whether Coze gives
// it tokens.
type Kind int

// The kinds of app.
const (
	// Ordinary apps get tokens, and may not send a scope.
	Ordinary Kind = iota
	// Channel (渠道) apps get tokens and may send a scope.
	Channel
	// UnboundChannel is a channel app that is bound to no channel: "connector app should bind
	// connector id".
	UnboundChannel
	// WrongType is an app of another type than JWT: "invalid app type".
	WrongType
	// Deactivated by its owner: "app: {name} is currently deactivated by the owner".
	Deactivated
	// SessionInvalid is an app whose authorisation lapsed: "login session invalid".
	SessionInvalid
)

// MaxKeys is how many key pairs an app can have at a time. [doc]
const MaxKeys = 3

const (
	minKeyBits = 2048
	maxKeyBits = 8192
)

// A Registration is an OAuth app as Coze knows it.
type Registration struct {
	// Name stands in the message for a deactivated app. Optional: the client id.
	Name string
	// ClientID is the app's id. Optional: 13 digits are made up.
	ClientID string
	// Keys are its key pairs, of which the sandbox uses the public halves. Optional: one is made up.
	Keys []coze.Key
	// Kind is the sort of app. Optional: Ordinary.
	Kind Kind
	// Accounts and Enterprises are the ids that it may ask for tokens of. Optional: none.
	Accounts    []string
	Enterprises []string
}

// registered is an app as the handler sees it. The keys are in the sandbox's own map.
type registered struct {
	name        string
	kind        Kind
	accounts    []string
	enterprises []string
}

type key struct {
	public   *rsa.PublicKey
	clientID string
}

// Register adds an app, and returns its registration with what was made up filled in.
func (s *Sandbox) Register(r Registration) (Registration, error) {
	r.ClientID = cmp.Or(r.ClientID, makeClientID())
	r.Name = cmp.Or(r.Name, r.ClientID)
	if len(r.Keys) == 0 {
		private, err := makeKey()
		if err != nil {
			return r, err
		}
		r.Keys = []coze.Key{{ID: makeKeyID(), Signer: private}}
	}
	r.Keys = slices.Clone(r.Keys)
	if r.Kind < Ordinary || r.Kind > SessionInvalid {
		return r, fmt.Errorf("there is no kind of app %d", r.Kind)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.apps[r.ClientID] != nil {
		return r, fmt.Errorf("an app %s is registered already", r.ClientID)
	}
	for i, key := range r.Keys {
		if err := s.addKey(r.ClientID, key); err != nil {
			for _, added := range r.Keys[:i] {
				delete(s.keys, added.ID)
			}
			return r, err
		}
	}
	s.apps[r.ClientID] = &registered{r.Name, r.Kind, slices.Clone(r.Accounts), slices.Clone(r.Enterprises)}
	return r, nil
}

// AddKey gives an app another key, as when keys are rotated.
func (s *Sandbox) AddKey(clientID string, key coze.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.apps[clientID] == nil {
		return fmt.Errorf("no app %s is registered", clientID)
	}
	return s.addKey(clientID, key)
}

func (s *Sandbox) addKey(clientID string, k coze.Key) error {
	if k.ID == "" || k.Signer == nil {
		return errors.New("a key needs an id and a signer")
	}
	public, ok := k.Signer.Public().(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("key %s is not an RSA key", k.ID)
	}
	if bits := public.N.BitLen(); bits < minKeyBits || bits > maxKeyBits {
		return fmt.Errorf("key %s has %d bits, and must have from %d to %d", k.ID, bits, minKeyBits, maxKeyBits)
	}
	if _, exists := s.keys[k.ID]; exists {
		return fmt.Errorf("a key %s is registered already", k.ID)
	}
	count := 0
	for _, other := range s.keys {
		if other.clientID == clientID {
			count++
		}
	}
	if count >= MaxKeys {
		return fmt.Errorf("app %s has %d keys, and Coze allows no more", clientID, MaxKeys)
	}
	s.keys[k.ID] = key{public, clientID}
	return nil
}

// RemoveKey deletes a key, and says whether there was one. Its assertions are refused from then on;
// tokens stay valid.
func (s *Sandbox) RemoveKey(kid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.keys[kid]
	delete(s.keys, kid)
	return ok
}

// SetKind changes what an app is, for instance to deactivate it, and says whether there is such an
// app.
func (s *Sandbox) SetKind(clientID string, kind Kind) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	app := s.apps[clientID]
	if app != nil {
		app.kind = kind
	}
	return app != nil
}

func makeKey() (*rsa.PrivateKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, minKeyBits)
	if err != nil {
		return nil, fmt.Errorf("making up a key: %w", err)
	}
	return private, nil
}

// makeKeyID is 43 base64url characters, like those of Coze, and like them may begin with - or _.
// How Coze computes them from the key is not known; these are random.
func makeKeyID() string { return randomText(32) }

// makeClientID is 13 digits, as in every sample.
func makeClientID() string {
	n, err := rand.Int(rand.Reader, big.NewInt(9e12))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return n.Add(n, big.NewInt(1e12)).String()
}

func randomText(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
