// Package coze gets access tokens from Coze (扣子) with the OAuth JWT flow.
//
// # The flow
//
// Whoever calls Coze's API sends an access token. It lives for minutes, a day at most. An OAuth app
// of type "JWT" (服务类应用) gets new ones without anybody logging in: it has a client id and up to
// three RSA key pairs, whose public halves are in Coze's console. Its owner signs a short JSON Web
// Token, the assertion, with a private key and exchanges it at Coze's token endpoint for an access
// token (RFC 7523). There are no refresh tokens.
//
// The assertion may name a session. The token then sees the conversations of that session only. It
// is the one way to keep the end users of a bot apart.
//
// # The types
//
// An [App] is a registration at Coze with its keys; [ParseKey] reads one. A [TokenRequest] says
// what a token is asked for: an app, a session, a duration. A [Source] answers it with a [Token].
//
// [Client] is the source that asks Coze, each time anew. It tries again when that can help, and no
// longer than the context lasts. It calls an [http.RoundTripper] and signs with a [crypto.Signer],
// so it runs wherever these two do. Package broker has a source that remembers tokens, over any
// other.
//
// [Auth] is one request and its source. Coze's official Go SDK takes it as it is and asks it before
// each call:
//
//	api := coze_sdk.NewCozeAPI(coze.Auth{Source: source, Request: request})
//
// # Failures
//
// The error of a source is an [*Error]. Its Kind says who can do something: the person who set the
// app up (Rejected, InvalidRequest), or time (Unavailable, Busy, Timeout). LogID is what Coze's
// support asks for. Neither the error nor its text has a secret in it.
//
// # Time
//
// Assertions are valid from now on, and tokens expire at a moment. Both are Coze's time. A [Clock]
// learns it from Coze's answers. The client and whatever compares tokens with the time share one.
//
// # Where the rules come from
//
// Names, bounds and messages are those of Coze's documentation ("OAuth JWT 授权") and of its official
// SDKs. Where neither says anything, nothing is assumed: how much clock skew Coze allows, for
// instance.
package coze
