// Package auth answers two questions about a request: who sends it, and for whom may they ask?
//
// There are these ways to be known. Each is a [Method] in a file of its own:
//
//   - apikey.go: an API key, of a backend that names its own users.
//   - login.go: a JWT of the users' own login, from any OIDC provider or Cloudflare Access. The
//     session is what the token says.
//   - proxyuser.go: the user whom a trusted proxy in front has logged in.
//   - wechat.go: a user of a WeChat mini program.
//   - visitor.go: somebody who is not logged in, with a random identity that is nobody else's.
//   - open.go: anybody, as with the original Worker.
//
// The first method for which a request carries a credential decides. A wrong credential is refused,
// even where the request would have passed without it: its sender must not become another caller
// unawares.
//
// # Rules
//
// Nothing is read from a URL: no key, no token (security check 9). No error and no printed value
// holds a secret (check 26). Every input is capped, and fetches of a provider's keys are limited
// (check 12), so that a stranger causes little work.
//
// Requests to providers go through an [http.RoundTripper] that is called directly: no redirect is
// followed, and no http.Client is linked. Nothing random is drawn before the first request.
package auth
