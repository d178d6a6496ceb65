// Package broker remembers access tokens: it is a [coze.Source] over another coze.Source.
//
// A token lives for minutes and is asked for before each call to Coze's API. Nearly every time it
// has been asked for already. A [Broker] keeps tokens in bounded memory and goes to the source
// behind it only when it must.
//
// # What it promises
//
//   - A caller gets a token of exactly the request it made. All that shapes a token is part of the
//     cache key, and keys are compared whole. No session is a session of its own.
//   - A token has at least the promised life left ([Options.MinTTL], [GetOptions.MinTTL]).
//   - Callers who want the same token at the same time share one exchange. It goes on when the
//     first of them leaves, and none waits longer than its own context lasts.
//   - A token in steady use is exchanged anew in the background, before it runs short.
//   - A token is not exchanged more often than every ten seconds, or a tenth of its duration if
//     that is less, whatever callers ask for. All exchanges together keep to a budget.
//   - A failure is remembered for some seconds. Failures in a row that may be the app's own open
//     its circuit breaker. All its requests fail at once then, except one every two seconds that
//     tries.
//   - Memory is bounded by the number of entries. What expired goes first, then what was used least
//     recently.
//
// [GetOptions] let a caller ask for more life, replace a token that Coze says is dead, and limit
// its wait. [Result] says where a token came from.
//
// # How it works
//
// The table of entries is split into shards, each with a map, a list in the order of use and a heap
// in the order of expiry. A hit takes a shard's lock for reading, and once a second for writing.
// Calls that go on are beside the entries, under the same lock (package internal/call).
//
// While no call goes on there is no goroutine, timer or finalizer: on Cloudflare Workers nothing
// would run it. Expired entries are removed when others come.
//
// # Several processes
//
// Brokers in several processes share tokens through a [Store]. It sees values sealed with an AEAD
// (AES-256-GCM) under hashed keys. It may fail in any way: that costs its short timeout and one
// line in the log a minute, and its breaker opens. With a [Claimer], one broker exchanges a token
// and the others wait for it.
package broker
