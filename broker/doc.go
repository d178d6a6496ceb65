// Package broker remembers tokens: it is a [coze.Source] over a coze.Source.
//
// A token lives for minutes and is asked for before every single call to Coze, so most questions have been answered
// already. A [Broker] keeps the answers in bounded memory and goes to the source behind it only when it must.
//
// # What it promises
//
//   - A caller receives a token of exactly the grant it asked for. Every input that shapes a token is part of the key,
//     keys are compared whole, and no session is a grant of its own.
//   - A token has at least the promised life left ([Options.MinTTL], [GetOptions.MinTTL]).
//   - Any number of simultaneous callers of one grant cost one exchange. It does not end when the first of them
//     leaves, and none waits longer than its own context.
//   - A grant in steady use is exchanged anew in the background, before its token runs short.
//   - One grant is not exchanged more often than every ten seconds (a tenth of the duration, if that is less),
//     whatever its callers ask for; a refused one rests for some seconds; all grants together keep to a budget.
//   - Memory is bounded by the number of grants. What has expired goes first, then what was used least recently.
//
// # How it is built
//
// The table of grants is split into shards, each a map with a list in the order of use and a heap in the order of
// expiry (table.go). A hit takes a shard's lock for reading, and for writing once a second at most. What is under way
// is a flight (flight.go): it belongs to nobody, so that it outlives its first caller. Failures are remembered for
// the grant and, when they keep coming or concern all grants alike, for the app (failure.go).
//
// There is no goroutine, timer or finalizer when no flight is under way: on Cloudflare Workers nothing would run it. Expired
// grants are removed when others come.
//
// Brokers in several processes share what they know through a [Store], which sees sealed values under hashed names
// (seal.go) and may fail in any way: it then costs its short timeout, and one line in the log a minute.
package broker
