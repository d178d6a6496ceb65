// Package sandbox emulates Coze's token endpoint, so that programs which use it can be tested
// without an account, a key or a network. It is strict: what Coze's documentation asks for is
// checked, and what is wrong is refused in Coze's own shapes and words. It fails on demand, and it
// remembers what it was asked and what it issued.
//
//	sb, err := sandbox.New(sandbox.Options{})
//	if err != nil { … }
//	server := httptest.NewServer(sb)
//	client := &coze.Client{Transport: http.DefaultTransport}
//	token, err := client.Token(ctx, coze.TokenRequest{App: sb.App(server.URL), Session: "user-1"})
//	issue, _ := sb.Issued(token.AccessToken) // issue.Session == "user-1"
//
// # What is emulated
//
//	POST /api/permission/oauth2/token
//	POST /api/permission/oauth2/account/{id}/token
//	POST /api/permission/oauth2/enterprise_id/{id}/token
//	GET  /v1/users/me
//	POST /v1/conversation/create
//	GET  /v1/conversations               the caller's own with a bot
//	POST /v1/conversation/message/list
//	POST /v3/chat                        plain, and with "stream": true as events
//	GET  /v3/chat/retrieve, /v3/chat/message/list
//	GET  /v1/bot/get_online_info, /v1/bots/{id}
//
// The first three exchange an assertion for a token. The others
// are what an official SDK needs for a conversation with a token that it got. They answer 401 and
// code 4100 to a token that is unknown or has expired. The first names the token's session as the
// user's name. The bot, whichever id it is given, answers with what it was told, by whom, and what
// came before. A conversation belongs to an app, a bot and a session: others get 404. Of the last
// 1000 conversations the last 200 messages are kept. The bots 4100, 4101 and 4015 fail with these
// codes: a token that is invalid, a permission that is missing, a bot that is not published. Pages
// of any origin may call all this. Every other path is a 404. Every answer has an X-Tt-Logid header.
//
// # Where the rules come from
//
// Names, bounds and texts are those of Coze's documentation and official SDKs. What neither says,
// the sandbox had to choose; each such choice is marked "our guess" where it is made (refusal.go
// lists statuses and texts, verify.go the rules). Chiefly: how Coze words the refusal of a single
// claim, which status goes with access_deny and invalid_request, and how far clocks may differ.
// Where Coze advises, the sandbox insists: a jti has at least 32 bytes, and an unknown member of
// the body is refused, because it is nearly always a misspelt one. [Options] loosens some of it.
//
// A program that passes here keeps to the documentation. That is not proof that Coze accepts it.
//
// # Faults
//
// [Sandbox.SetFaults] makes exchanges fail, and [ParseFault] reads a fault from text, for flags and
// other languages:
//
//	429,retry-after=3,every=2     every second exchange is answered with 429 and Retry-After: 3
//	503,times=2                   the next two exchanges are, later ones are not
//	latency=1500ms                every answer comes 1.5 s late
//	expires-in=relative           expires_in is relative, as other OAuth servers have it
//
// [FaultUsage] lists them all. A fault changes the answer, not the judgement: the request is
// verified first and its assertion counts as used, so a client that repeats it after a 503 is found
// out. With several faults, every latency that is due is added up, and the first other fault that
// is due acts; those after it are not used up. So "503,times=1" and then "429,times=2" is a script
// of three failures.
//
// # Over HTTP
//
// Tests in other languages drive the sandbox over the same address:
//
//	PUT    /sandbox/faults      body: a fault on each line, # begins a comment; replaces all faults, and an empty body clears them. 204, or 400 and what is wrong
//	GET    /sandbox/faults      the faults in force, in the same form
//	GET    /sandbox/issued      what the token stands for, as JSON; 404 if it was never issued. The token in an
//	                            Authorization: Bearer header, which keeps it out of access logs, or as ?token=
//	DELETE /sandbox/issued      revokes the token of the Authorization header: the API refuses it from now on. 204
//	GET    /sandbox/exchanges   {"count": n, "requests": […]}: how many exchanges were asked for, and the last 256
//
// Whoever can reach the sandbox can do this, so it belongs on a loopback address.
// [Options.NoControl] leaves it out.
//
// # Secrets
//
// Tokens, assertions and keys are never logged; a token shows as eight hexadecimal digits of its
// SHA-256. Issued tokens are kept as hashes. All memory is bounded: 10,000 tokens, 65,536 assertion
// ids, 256 requests.
package sandbox
