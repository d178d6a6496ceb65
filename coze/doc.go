// Package coze obtains access tokens from Coze (扣子) with the OAuth JWT flow.
//
// # The flow
//
// A Coze OAuth app of type "JWT" has a client id and up to three RSA key pairs. To call Coze's API on behalf of the
// app, its owner signs a short JSON Web Token, the assertion, with one of the private keys and exchanges it at
// Coze's token endpoint for an access token. The assertion may name a session: the token that comes back then sees
// only that session's conversations, which is the one way to keep the end users of a bot apart.
//
// # The types
//
// An [App] is the registration at Coze with its keys. A [TokenRequest] is what one caller wants: an app, a session, a
// duration. A [Token] is the answer. A [Source] turns grants into tokens; [Client] is the one that asks Coze, and
// other sources (a cache, a limiter) wrap it.
//
//	key, err := coze.ParseKey(pem)
//	if err != nil { … }
//	app := &coze.App{
//		ClientID: "1133483935040",
//		Keys:     []coze.Key{{ID: "aP…", Signer: key}},
//		Audience: coze.China.Audience,
//		Endpoint: coze.China.Endpoint,
//	}
//	client := &coze.Client{Transport: http.DefaultTransport}
//	token, err := client.Token(ctx, coze.TokenRequest{App: app, Session: "user-1", Duration: 15 * time.Minute})
//
// # What comes from where
//
// Names, bounds and messages are those of Coze's documentation ("OAuth JWT 授权") and of its official SDKs.
// Where neither says anything, for instance how much clock skew Coze bears, nothing is assumed here.
package coze
