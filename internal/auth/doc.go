// Package caller answers two questions about a request: who asks, and for whom may they ask?
//
// There are four ways to be somebody, and an [Authenticator] has any of them:
//
//   - Key: an API key, of a backend that speaks for its own users.
//   - Login: a JWT from the users' own login, any OIDC provider or Cloudflare Access. The session is what the token says.
//   - Visitor: somebody who is not logged in, and gets a random identity that is nobody else's.
//   - Open: anybody, which is what the original Worker had.
//
// The first that the request has a credential for decides. A credential that is wrong is refused, even where the request
// would have passed without it: whoever sends one means to be somebody, and must not become another unawares.
//
// A refusal is an [*Error]. It says what to answer, what to tell a person, and what to record.
//
// # Rules
//
// Nothing is read from a URL: not a key, not a token (security check 9). Nothing secret is in any error, or in what
// any type here prints as (check 26). What a stranger can make this package do is bounded: the work by caps on every input,
// the fetches of keys by a cooldown (check 12).
//
// Requests to providers go through an http.RoundTripper that is called directly, so no redirect is followed, and
// nothing here links http.Client, which the Worker could not use. No goroutine outlives the fetch it makes, and nothing
// random is drawn before the first request.
package auth
