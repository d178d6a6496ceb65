// Package limit says how often somebody may ask, and from which address they ask.
//
// A [Limiter] counts the requests of each key of one kind: an address, a caller, a session, an app. It keeps one
// number per key in memory of a fixed size, and asks a [Counter] that several processes share where there is one.
// [All] asks several limiters about one request. [Decision.WriteHeader] tells the client.
//
// [Proxies.Client] is the address that a request comes from, and [Key] what that address is counted as.
//
//	addresses := limit.New(limit.Options{Name: "address"})
//	d := addresses.Allow(ctx, limit.Key(proxies.Client(r)), limit.Rate{Requests: 300, Per: time.Minute})
//	d.WriteHeader(w.Header())
//	if !d.OK {
//		// 429, and the request ends here
//	}
//
// # How it counts
//
// By the generic cell rate algorithm (ITU-T I.371), which is a token bucket kept as one moment: the one at which the
// key's whole quota will be back. Each request moves it by Per/Requests, and is refused if that would take it more
// than Per ahead. So a key that was idle may spend its whole quota at once, and then goes on at the steady rate: in
// no span as long as Per are more than 2 × Requests let through, and in the long run never more than the rate. A
// refused request is not counted, so who asks too often is slowed down and not shut out. golang.org/x/time/rate
// counts alike and keeps about 80 bytes and a mutex for each key; a count per fixed window takes as little memory as
// this and lets all of two windows' quota through at the moment between them, for every key at once.
//
// # What it keeps, and what a flood can do
//
// Size slots of 16 bytes, made at the start and never more: a fingerprint of the key, and the moment. A key can be in
// sixteen of the slots, which a hash with a secret of the process chooses; nobody outside can tell which keys meet.
// When all sixteen are taken, a newcomer takes one of a key that has its whole quota back, of which nothing is lost.
// If there is none, it takes the one that is nearest to that: the key that has used least. So a flood of new keys
// pushes out its own, and never a counter that has more on it than some other of the sixteen. An attacker who wants
// to be rid of a counter has to charge Size other keys as high, and those would have served as well. In other words a
// flood gives back no more than what the least used of sixteen keys had used: usually one request.
//
// This holds among keys of one rate. Where an app with 10,000 a minute shared its slots with addresses with 300, one
// of its requests would weigh less than one of theirs, and any flood of addresses would keep the app's counter at
// nothing. Therefore each kind has a limiter of its own.
//
// There is no goroutine or timer of the package's own, and nothing random is drawn before the first request: on
// Cloudflare Workers neither would work.
package ratelimit
