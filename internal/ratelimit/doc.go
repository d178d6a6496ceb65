// Package ratelimit decides how often somebody may make requests.
//
// A [Limiter] counts the requests of each key of one kind: an address, a caller, a session, an app.
// It keeps its counts in memory of a fixed size and also asks a [Counter] that several processes
// share, if there is one. [AllowAll] applies several limits to one request. [Decision.WriteHeader]
// tells the client.
//
// # The algorithm
//
// It is the generic cell rate algorithm (GCRA, ITU-T I.371), a token bucket in one number: the
// theoretical arrival time (TAT). Each request moves the key's TAT by the emission interval,
// Per/Requests. A request is refused if that would put the TAT more than the burst tolerance, Per,
// ahead of now. So an idle key can use its whole quota at once and then goes on at the steady rate:
// in no span of length Per more than 2 × Requests. A refused request is not counted: a client that
// asks too often is slowed down, not shut out.
//
// # Memory, and what a flood of keys can do
//
// A limiter has Size slots of 16 bytes: a key's fingerprint and its TAT. A keyed hash gives each
// key a set of 16 slots. Its secret is random, so nobody outside can find keys that share a set. If
// all 16 are in use, a new key replaces the one with the earliest TAT: an idle key, which loses
// nothing, or else the key that has used least, usually one request. So a flood of new keys
// replaces its own keys, and to reset one counter an attacker has to use about Size other keys as
// much.
//
// This holds among keys of one rate, so each kind of key has its own limiter. Security checks 22
// and 23.
package ratelimit
