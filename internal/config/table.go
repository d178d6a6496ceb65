package config

import (
	"slices"
	"strconv"
	"time"

	"coze-token/broker"
	"coze-token/coze"
)

// A Setting is one row of [Table].
type Setting struct {
	Name string
	// Group puts the row under a heading in the reference.
	Group Group
	// Default is the value of a setting that is not set, as it would be written. Empty: none.
	Default string
	// EdgeDefault takes Default's place on hosts with little memory. Optional.
	EdgeDefault string
	// Required settings have no default and must be set.
	Required bool
	// Secret settings are never shown, and can be read from the file that Name_FILE names.
	Secret bool
	// Native settings are for the native server only.
	Native bool
	// Edge settings are for Cloudflare Workers only.
	Edge bool
	// App says whether an app of APPS can have it, under its name in lower case.
	App appScope
	// Fallbacks are other names that are read when this one is not set, in order.
	Fallbacks []Fallback
	// English and Chinese say what it does, its bounds and its unit, in Markdown, whole sentences.
	English, Chinese string

	key     bool                // may hold a private key: read says what is wrong with one
	missing string              // the remedy when a required setting is not set
	read    func(*draft, value) // puts a value into the draft, or reports what is wrong with it
}

// An appScope says what a setting is to the apps of APPS.
type appScope int

const (
	service appScope = iota // one for the whole service
	own                     // an app that does not set it has none
	shared                  // an app that does not set it has the service's

	// As shared, but together: an app that sets one of them has nothing of the service's for the others. Half of one region and
	// half of another is never meant; nor is a way to be let in that the app's own list of ways does not have.
	sharedRegion
	sharedCallers
)

// A Fallback is another name of a setting. File says that it names a file with the value.
type Fallback struct {
	Name string
	File bool
}

// A Group is a heading of the reference.
type Group struct{ English, Chinese string }

var (
	groupApp    = Group{"The OAuth app", "OAuth 应用"}
	groupRegion = Group{"Region and endpoint", "区域与接口地址"}
	groupToken  = Group{"Tokens", "访问令牌"}
	groupAccess = Group{"Who may ask", "谁可以请求"}
	groupLimits = Group{"How often", "请求频率"}
	groupApps   = Group{"Keys and apps", "密钥与多个应用"}
	groupSess   = Group{"Session names", "会话名"}
	groupCache  = Group{"Remembering tokens", "令牌缓存"}
	groupScope  = Group{"Organisations, enterprises, channels", "组织、企业与渠道"}
	groupServer = Group{"Native server", "原生服务器"}
	groupLog    = Group{"Logs", "日志"}
)

// Bounds of the settings that Coze does not bound.
const (
	minAssertionLifetime = time.Minute // shorter ones die of clock skew
	maxAssertionLifetime = 24 * time.Hour
	defaultTimeout       = 10 * time.Second
	maxTimeout           = time.Minute // nobody waits longer; Coze's own SDKs give up after 3 to 5 s
	maxCacheSize         = 10_000_000
	maxBudget            = 1_000_000
	defaultConnections   = 1024 // within the usual limit of open files
	maxConnections       = 1_000_000
	maxText              = 256     // bytes of a session, device, consumer or account id
	maxScope             = 8 << 10 // bytes
)

// Table holds every setting, in the order in which they are read, reported and documented.
var Table = []Setting{
	{
		Name: "CLIENT_ID", App: own, Group: groupApp, Required: true,
		Fallbacks: []Fallback{{Name: "COZE_JWT_OAUTH_CLIENT_ID"}},
		English:   "The OAuth app's id, as Coze's console shows it.",
		Chinese:   "OAuth 应用的 ID，在扣子控制台的应用详情里可以看到。",
		missing:   "set it to the OAuth app's id, as Coze's console shows it",
		read:      readClientID,
	},
	{
		Name: "PRIVATE_KEY", App: own, Group: groupApp, Required: true, Secret: true, key: true,
		Fallbacks: []Fallback{{Name: "COZE_JWT_OAUTH_PRIVATE_KEY"}, {Name: "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH", File: true}},
		English:   "The private key that Coze's console let you download (`private_key.pem`): RSA, 2048 to 8192 bits, not encrypted.",
		Chinese:   "在扣子控制台创建密钥时下载的私钥（`private_key.pem`）：RSA，2048～8192 位，不能带密码。",
		missing:   "set it to the whole private_key.pem that Coze's console let you download",
		read:      readPrivateKey,
	},
	{
		Name: "KID", App: own, Group: groupApp, Required: true,
		Fallbacks: []Fallback{{Name: "COZE_JWT_OAUTH_PUBLIC_KEY_ID"}},
		English:   "The fingerprint of the public key that belongs to `PRIVATE_KEY`, as Coze's console lists it: 43 characters.",
		Chinese:   "与 `PRIVATE_KEY` 对应的公钥指纹，在扣子控制台的公钥列表里可以看到，共 43 个字符。",
		missing:   "set it to the public key's fingerprint, as Coze's console lists it next to the key",
		read:      readKeyID,
	},
	{
		Name: "KID_2", App: own, Group: groupApps,
		English: "The fingerprint of a second public key of the same app. Coze allows three at once, and the next is tried when it does not know one: so a key can be replaced without an interruption.",
		Chinese: "同一应用的第二把公钥的指纹。扣子允许同时存在三把密钥；当扣子不认识前一把时，会自动尝试下一把，因此更换密钥不会中断服务。",
		read:    func(d *draft, v value) { d.spare[0].id = d.keyIDOf(v) },
	},
	{
		Name: "PRIVATE_KEY_2", App: own, Group: groupApps, Secret: true, key: true,
		English: "The private key that `KID_2` names.",
		Chinese: "与 `KID_2` 对应的私钥。",
		read:    func(d *draft, v value) { d.spare[0].key = d.keyOf("PRIVATE_KEY_2", v) },
	},
	{
		Name: "KID_3", App: own, Group: groupApps,
		English: "The fingerprint of a third public key of the same app. Coze allows three at once, and the next is tried when it does not know one: so a key can be replaced without an interruption.",
		Chinese: "同一应用的第三把公钥的指纹。扣子允许同时存在三把密钥；当扣子不认识前一把时，会自动尝试下一把，因此更换密钥不会中断服务。",
		read:    func(d *draft, v value) { d.spare[1].id = d.keyIDOf(v) },
	},
	{
		Name: "PRIVATE_KEY_3", App: own, Group: groupApps, Secret: true, key: true,
		English: "The private key that `KID_3` names.",
		Chinese: "与 `KID_3` 对应的私钥。",
		read:    func(d *draft, v value) { d.spare[1].key = d.keyOf("PRIVATE_KEY_3", v) },
	},
	{
		Name: "BOTS", App: own, Group: groupApps,
		English: "The ids of the only bots that tokens may be used for, separated by commas. They become the scope of the exchange, which Coze heeds for channel apps only. Excludes `SCOPE`.",
		Chinese: "令牌只允许用于哪些智能体：智能体 ID，用逗号分隔。它们会写入换取令牌时的权限范围，仅对渠道应用有效。不能与 `SCOPE` 同时设置。",
		read:    readBots,
	},
	{
		Name: "APPS", Group: groupApps, Secret: true, key: true,
		English: "Further apps, each served at `/NAME`: a JSON object of names and settings, see [Several apps](#several-apps). The file may be YAML.",
		Chinese: "更多应用，每个应用的地址为 `/名称`：一个 JSON 对象，成员名为应用名，值为该应用的配置，见[多个应用](#多个应用)。文件也可以用 YAML 编写。",
		read:    readApps,
	},
	{
		Name: "COZE_REGION", App: sharedRegion, Group: groupRegion,
		English: "`cn` (coze.cn) or `com` (coze.com). Sets `AUDIENCE` and `TOKEN_ENDPOINT` together. Not set: what those two say, otherwise `cn`.",
		Chinese: "`cn`（coze.cn）或 `com`（coze.com），同时决定 `AUDIENCE` 和 `TOKEN_ENDPOINT`。不设置时由这两项推断，都没有则为 `cn`。",
		read:    readRegion,
	},
	{
		Name: "AUDIENCE", App: sharedRegion, Group: groupRegion, Default: coze.China.Audience,
		English: "The bare host of Coze's API, without scheme, port or path. Needed only behind a proxy. The default follows `COZE_REGION` and `TOKEN_ENDPOINT`.",
		Chinese: "扣子 API 的域名，不带协议、端口和路径。只有经过代理访问时才需要设置。默认值随 `COZE_REGION` 和 `TOKEN_ENDPOINT` 而定。",
		read:    readAudience,
	},
	{
		Name: "TOKEN_ENDPOINT", App: sharedRegion, Group: groupRegion, Default: coze.China.Endpoint,
		Fallbacks: []Fallback{{Name: baseName}},
		English: "The URL of the token endpoint: `https`, or `http` to this machine itself (the sandbox). The default follows `COZE_REGION` and `AUDIENCE`. " +
			"`COZE_API_BASE` has only what stands before `" + coze.TokenPath + "`.",
		Chinese: "换取访问令牌的接口地址：必须是 `https`，只有指向本机（沙箱）时才能用 `http`。默认值随 `COZE_REGION` 和 `AUDIENCE` 而定。" +
			"`COZE_API_BASE` 只写 `" + coze.TokenPath + "` 之前的部分。",
		read: readEndpoint,
	},
	{
		Name: "TOKEN_DURATION", App: shared, Group: groupToken, Default: seconds(coze.DefaultDuration),
		English: "How long a token lives: whole seconds, 1 to 86399 (Coze's maximum).",
		Chinese: "访问令牌的有效期：以秒为单位的整数，1～86399（扣子允许的最大值）。",
		read:    readDuration,
	},
	{
		Name: "DEFAULT_SESSION", App: shared, Group: groupToken,
		English: "The session of callers that send no `X-User-ID`: 1 to 256 bytes, no control characters. They then share one conversation space. Not set: no session is sent for them.",
		Chinese: "请求没有带 `X-User-ID` 时使用的会话名：1～256 字节，不含控制字符。这些调用方会共用同一个会话空间。不设置则不发送会话名。",
		read:    readDefaultSession,
	},
	{
		Name: "ASSERTION_LIFETIME", App: shared, Group: groupToken, Default: seconds(coze.DefaultAssertionLifetime),
		English: "How long the signed JWT may be used for the exchange: whole seconds, 60 to 86400. Rarely changed.",
		Chinese: "签发的 JWT 可用于换取令牌的时间：以秒为单位的整数，60～86400。一般无需修改。",
		read:    readAssertionLifetime,
	},
	{
		Name: "UPSTREAM_TIMEOUT", Group: groupToken, Default: seconds(defaultTimeout),
		English: "How long a caller waits for Coze at most, retries included: whole seconds, 1 to 60. The Chat SDK itself waits 3 s, the Web SDK 5 s.",
		Chinese: "一次请求最多等待扣子多久（含重试）：以秒为单位的整数，1～60。Chat SDK 自身只等 3 秒，Web SDK 只等 5 秒。",
		read:    readTimeout,
	},
	{
		Name: "API_KEYS", App: sharedCallers, Group: groupAccess, Secret: true,
		English: "The keys of backends that may ask for their own users: `name=key` or `name=sha256:hex`, separated by commas or line ends. `coze-token key` makes one. A key may be limited: `name=key apps=shop origins=https://www.example.com`; the app at `/` is `apps=/`.",
		Chinese: "允许为自己的用户请求令牌的后端所用的密钥：`名称=密钥` 或 `名称=sha256:十六进制`，用逗号或换行分隔。`coze-token key` 可生成密钥。可以限制密钥的用途：`名称=密钥 apps=shop origins=https://www.example.com`；`/` 上的应用写作 `apps=/`。",
		read:    readKeys,
	},
	{
		Name: "JWT_ISSUER", App: sharedCallers, Group: groupAccess,
		English: "Who issues the tokens of your users' own login: the `iss` of an OIDC provider, to the letter. Several providers: `LOGINS`.",
		Chinese: "你的用户登录系统（OIDC 提供方）的签发者，即令牌中的 `iss`，须完全一致。有多个提供方时用 `LOGINS`。",
		read:    func(d *draft, v value) { d.login.Issuer = v.text.Reveal() },
	},
	{
		Name: "JWT_AUDIENCE", App: sharedCallers, Group: groupAccess,
		English: "The values of `aud` that are meant for this service, separated by commas; usually the client id of your page. Required with `JWT_ISSUER`.",
		Chinese: "哪些 `aud` 是发给本服务的，用逗号分隔，通常是页面的客户端 ID。设置 `JWT_ISSUER` 时必填。",
		read:    func(d *draft, v value) { d.login.Audiences = d.list(v) },
	},
	{
		Name: "JWKS_URL", App: sharedCallers, Group: groupAccess,
		English: "Where the provider's public keys are. Not set: found by discovery at the issuer.",
		Chinese: "提供方公钥（JWKS）的地址。不设置则通过签发者的发现文档查找。",
		read:    func(d *draft, v value) { d.login.JWKSURL = v.text.Reveal() },
	},
	{
		Name: "JWT_SESSION_CLAIM", App: sharedCallers, Group: groupAccess,
		English: "The claim that says who the user is. Not set: `sub`. It must be one that users cannot choose.",
		Chinese: "用哪个声明（claim）标识用户，默认 `sub`。不能是用户可以自行修改的声明。",
		read:    func(d *draft, v value) { d.login.SessionClaim = d.word(v) },
	},
	{
		Name: "LOGINS", App: sharedCallers, Group: groupAccess,
		English: "Several logins, as a JSON list of objects with `issuer`, `audiences`, and if needed `jwks_url`, `session_claim`, `algorithms`, `header`, `name`.",
		Chinese: "多个登录提供方：JSON 数组，每项含 `issuer`、`audiences`，可选 `jwks_url`、`session_claim`、`algorithms`、`header`、`name`。",
		read:    readLogins,
	},
	{
		Name: "CF_ACCESS_TEAM", App: sharedCallers, Group: groupAccess,
		English: "The team domain of Cloudflare Access, `team.cloudflareaccess.com`: its users are taken as logged in. Needs `CF_ACCESS_AUD`.",
		Chinese: "Cloudflare Access 的团队域名 `team.cloudflareaccess.com`：通过其登录的用户视为已登录。须与 `CF_ACCESS_AUD` 一起设置。",
		read:    func(d *draft, v value) { d.accessTeam = d.word(v) },
	},
	{
		Name: "CF_ACCESS_AUD", App: sharedCallers, Group: groupAccess,
		English: "The AUD tags of the Access applications, separated by commas.",
		Chinese: "Access 应用的 AUD 标签，用逗号分隔。",
		read:    func(d *draft, v value) { d.accessAudiences = d.list(v) },
	},
	{
		Name: "VISITOR_SECRET", App: sharedCallers, Group: groupAccess, Secret: true,
		English: "Lets in people who are not logged in, each as a session of their own: what their identities are signed under, 32 characters or more. Several, the newest first, separated by commas: to change it.",
		Chinese: "允许未登录的访客使用，每个访客一个独立会话：用于签名访客身份的密钥，至少 32 个字符。更换时用逗号分隔多个，新的在前。",
		read:    readVisitorSecret,
	},
	{
		Name: "TURNSTILE_SECRET", App: sharedCallers, Group: groupAccess, Secret: true,
		English: "The secret key of a Cloudflare Turnstile widget, which a new visitor then has to pass. Needs `VISITOR_SECRET`.",
		Chinese: "Cloudflare Turnstile 的密钥。设置后，新访客须先通过人机验证。须同时设置 `VISITOR_SECRET`。",
		read:    readTurnstileSecret,
	},
	{
		Name: "OPEN_ACCESS", App: sharedCallers, Group: groupAccess, Default: off,
		English: "`on` lets in whoever has no credential as well; beside logins, they cannot name a user. Beside visitors it has no effect: such callers are visitors. Where neither this nor any of the above is set, anybody is let in, for any `X-User-ID`.",
		Chinese: "`on`：没有任何凭证的请求也放行；与登录同时使用时，这些请求不能指定用户。与访客同时使用时不起作用：没有凭证的都是访客。本项和上面几项都未设置时，任何人都可使用任意 `X-User-ID`。",
		read:    readOpenAccess,
	},
	{
		Name: "ALLOWED_ORIGINS", App: shared, Group: groupAccess,
		English: "The pages that may ask from a browser: origins such as `https://www.example.com`, or with a wildcard as the first label, separated by commas. All other pages are then refused. Not set: `Origin` is not looked at, and no CORS header is sent.",
		Chinese: "允许哪些网页在浏览器中请求：如 `https://www.example.com`，第一段可用通配符，用逗号分隔。设置后其他网页一律拒绝。不设置则不检查 `Origin`，也不发送 CORS 头。",
		read:    readOrigins,
	},
	{
		Name: "RATE_LIMIT", Group: groupLimits, Default: "300",
		English: "How often one address may ask: requests a minute, or `100/10s`, or `off`. An IPv6 address counts by its first 64 bits. Callers with an API key are not counted.",
		Chinese: "单个地址的请求频率上限：每分钟次数，或写成 `100/10s`，或 `off`。IPv6 按前 64 位计。使用 API 密钥的调用方不计入。",
		read:    func(d *draft, v value) { d.settings.AddressRate = d.rate(v) },
	},
	{
		Name: "RATE_LIMIT_CALLER", App: shared, Group: groupLimits, Default: off,
		English: "How often one API key may ask.",
		Chinese: "单个 API 密钥的请求频率上限。",
		read:    func(d *draft, v value) { d.settings.CallerRate = d.rate(v) },
	},
	{
		Name: "RATE_LIMIT_SESSION", App: shared, Group: groupLimits, Default: off,
		English: "How often may be asked for one session.",
		Chinese: "单个会话的请求频率上限。",
		read:    func(d *draft, v value) { d.settings.SessionRate = d.rate(v) },
	},
	{
		Name: "RATE_LIMIT_APP", App: shared, Group: groupLimits, Default: off,
		English: "How often all callers of an app together may ask.",
		Chinese: "一个应用所有调用方合计的请求频率上限。",
		read:    func(d *draft, v value) { d.settings.Rate = d.rate(v) },
	},
	{
		Name: "TRUSTED_PROXIES", Group: groupLimits, Native: true,
		English: "The reverse proxies in front, as addresses or CIDR ranges separated by commas, or `private` for this machine and all private networks: their word for the client's address is taken. Not set: the other end of the connection is the client.",
		Chinese: "前面的反向代理：地址或 CIDR 网段，用逗号分隔；`private` 表示本机和所有私有网段。只采信它们转发的客户端地址。不设置则以连接的对端为客户端。",
		read:    func(d *draft, v value) { d.proxies = v },
	},
	{
		Name: "TRUSTED_PROXY_HEADER", Group: groupLimits, Native: true,
		English: "The header in which they give it: `X-Forwarded-For` (the default) or `Forwarded`.",
		Chinese: "反向代理用哪个请求头传递地址：`X-Forwarded-For`（默认）或 `Forwarded`。",
		read:    func(d *draft, v value) { d.proxyHeader = v },
	},
	{
		Name: "RATE_LIMIT_BINDING", Group: groupLimits, Edge: true,
		English: "The name of a rate-limit binding in `wrangler.jsonc`, which then counts the requests of each address for all instances of a location, by its own limit and beside `RATE_LIMIT`.",
		Chinese: "`wrangler.jsonc` 中速率限制绑定的名称。设置后由它为同一地点的所有实例统计每个地址的请求，按绑定自身的上限，与 `RATE_LIMIT` 同时生效。",
		read:    func(d *draft, v value) { d.settings.RateLimitBinding = d.word(v) },
	},
	{
		Name: "SESSION_REQUIRED", App: shared, Group: groupSess, Default: off,
		English: "`on` refuses callers that name no session, instead of giving them a token without one.",
		Chinese: "`on`：拒绝没有会话的请求，而不是发出不带会话的令牌。",
		read:    func(d *draft, v value) { d.settings.SessionRequired = d.isOn(v) },
	},
	{
		Name: "SESSION_PREFIX", App: shared, Group: groupSess,
		English: "Goes before every session name that is sent to Coze, 128 bytes at most, so that systems which share an app keep apart. Changing it gives every user a new, empty session.",
		Chinese: "加在发给扣子的每个会话名之前，最多 128 字节，供共用同一应用的多个系统互相隔离。修改后所有用户都会得到全新的会话。",
		read:    readSessionPrefix,
	},
	{
		Name: "SESSION_HASH", App: shared, Group: groupSess, Default: off,
		English: "`on` sends Coze a hash of each session name (HMAC-SHA-256 under `SESSION_SECRET`), so that it never sees user ids.",
		Chinese: "`on`：发给扣子的是会话名的哈希（以 `SESSION_SECRET` 为密钥的 HMAC-SHA-256），扣子看不到用户 ID。",
		read:    func(d *draft, v value) { d.sessionHash = d.isOn(v) },
	},
	{
		Name: "SESSION_SECRET", App: shared, Group: groupSess, Secret: true,
		English: "What `SESSION_HASH` hashes under: 32 characters or more. Changing it gives every user a new, empty session.",
		Chinese: "`SESSION_HASH` 使用的密钥，至少 32 个字符。修改后所有用户都会得到全新的会话。",
		read:    readSessionSecret,
	},
	{
		Name: "CACHE", Group: groupCache, Default: on,
		English: "`on` remembers tokens and hands them out again while they are good; `off` makes one exchange for each request, as the original did.",
		Chinese: "`on`：记住令牌，在有效期内重复使用；`off`：每个请求都换取一次，与原来的 Worker 相同。",
		read:    func(d *draft, v value) { d.settings.CacheOff = !d.isOn(v) },
	},
	{
		Name: "CACHE_SIZE", Group: groupCache, Default: strconv.Itoa(broker.DefaultSize), EdgeDefault: "10000",
		English: "How many grants (one for each app and session) are remembered at most, 1 to 10000000; on Workers 10000 unless set. One takes about 260 bytes besides the token. What is used least goes first.",
		Chinese: "最多记住多少个授权（每个应用的每个会话算一个），1～10000000；在 Workers 上默认 10000。每个除令牌本身外约占 260 字节。超出时先淘汰最久未用的。",
		read:    func(d *draft, v value) { d.settings.CacheSize = int(d.whole(v, 1, maxCacheSize, "")) },
	},
	{
		Name: "MIN_TTL", Group: groupCache,
		English: "How many seconds a token that is handed out still lives at least, 1 up to nine tenths of `TOKEN_DURATION`. Not set: 300 or a third of `TOKEN_DURATION`, whichever is less.",
		Chinese: "发出的令牌至少还剩多少秒有效期，1 到 `TOKEN_DURATION` 的十分之九。不设置时取 300 秒与 `TOKEN_DURATION` 三分之一中较小的一个。",
		read:    func(d *draft, v value) { d.settings.MinTTL = d.seconds(v, time.Second, coze.MaxDuration) },
	},
	{
		Name: "MINT_BUDGET", Group: groupCache, Default: strconv.Itoa(broker.DefaultBudget),
		English: "How many exchanges are made a minute at most, for all callers together, 1 to 1000000, or `off`. While Coze fails, an exchange is up to three attempts. Past it, callers whose token is remembered still get it.",
		Chinese: "每分钟最多向扣子换取多少次令牌（所有调用方合计），1～1000000，或 `off` 表示不限。扣子出错时，换取一次最多尝试三次。超出后，已记住的令牌仍可使用。",
		read:    readBudget,
	},
	{
		Name: "REDIS_URL", Group: groupCache, Native: true, Secret: true,
		English: "A Redis or Valkey in which replicas share tokens, sealed, and their counts of requests: `redis://[[user]:password@]host[:port][/db]`, `rediss://` for TLS, or `unix://`. While it is down, each replica goes by itself.",
		Chinese: "多个副本通过 Redis 或 Valkey 共享令牌（加密保存）和请求计数：`redis://[[用户]:密码@]主机[:端口][/库]`，TLS 用 `rediss://`，也可用 `unix://`。它不可用时，各副本独立工作。",
		read:    func(d *draft, v value) { d.settings.RedisURL = v.text },
	},
	{
		Name: "SHARED_STORE", Group: groupCache, Default: "cache", Edge: true,
		English: "Where the instances of a Worker share tokens, sealed: `cache`, the data centre's cache, which is free and has no effect on a `*.workers.dev` address; `kv:NAME`, the KV namespace bound as NAME, for all data centres but with few free writes a day; or `off`.",
		Chinese: "Worker 的各个实例在哪里共享令牌（加密保存）：`cache` 为数据中心缓存，免费，但在 `*.workers.dev` 地址上不起作用；`kv:名称` 为以该名称绑定的 KV 命名空间，各数据中心通用，但每天的免费写入次数很少；`off` 为不共享。",
		read:    readSharedStore,
	},
	{
		Name: "ACCOUNT_ID", App: own, Group: groupScope,
		English: "Mint tokens for this organisation: its id, or the uid of the workspace's owner. Excludes `ENTERPRISE_ID`.",
		Chinese: "为指定组织签发令牌：填组织 ID，或工作空间所有者的 UID。不能与 `ENTERPRISE_ID` 同时设置。",
		read:    func(d *draft, v value) { d.app.AccountID = d.word(v) },
	},
	{
		Name: "ENTERPRISE_ID", App: own, Group: groupScope,
		English: "Mint tokens for this enterprise, with an app that was given that privilege. Excludes `ACCOUNT_ID`.",
		Chinese: "为指定企业签发令牌，应用须已获得企业授权。不能与 `ACCOUNT_ID` 同时设置。",
		read:    func(d *draft, v value) { d.app.EnterpriseID = d.word(v) },
	},
	{
		Name: "SCOPE", App: own, Group: groupScope,
		English: "What tokens are limited to, as a JSON object that is sent to Coze as it is. Coze heeds it for channel apps only.",
		Chinese: "令牌的权限范围，写成 JSON 对象，原样发给扣子。仅对渠道应用有效。",
		read:    readScope,
	},
	{
		Name: "DEVICE_ID", App: own, Group: groupScope,
		English: "The device that quota and billing are put down to (enterprise edition). Excludes `CUSTOM_CONSUMER`.",
		Chinese: "用于统计额度和计费的设备 ID（企业版）。不能与 `CUSTOM_CONSUMER` 同时设置。",
		read:    func(d *draft, v value) { d.app.SessionContext.DeviceID = d.text(v) },
	},
	{
		Name: "CUSTOM_CONSUMER", App: own, Group: groupScope,
		English: "The business entity that quota and billing are put down to (enterprise edition). Excludes `DEVICE_ID`.",
		Chinese: "用于统计额度和计费的业务实体（企业版）。不能与 `DEVICE_ID` 同时设置。",
		read:    func(d *draft, v value) { d.app.SessionContext.CustomConsumer = d.text(v) },
	},
	{
		Name: "CONNECTOR_ID", App: own, Group: groupScope,
		English: "The channel that tokens are limited to: `2001` is the Web SDK.",
		Chinese: "把令牌限定在指定渠道：`2001` 为 Web SDK。",
		read:    func(d *draft, v value) { d.app.SessionContext.ConnectorID = d.word(v) },
	},
	{
		Name: "LISTEN", Group: groupServer, Default: "127.0.0.1:8787", Native: true,
		Fallbacks: []Fallback{{Name: portName}},
		English:   "The address to listen on, `host:port`; `:8787` is port 8787 on all interfaces. `PORT`, which many platforms set, is a port on all interfaces.",
		Chinese:   "监听地址，格式为 `host:port`；`:8787` 表示在所有网卡上监听 8787 端口。许多云平台会自动设置 `PORT`，表示在所有网卡上监听该端口。",
		read:      readListen,
	},
	{
		Name: "MAX_CONNECTIONS", Group: groupServer, Default: strconv.Itoa(defaultConnections), Native: true,
		English: "How many connections may be open at once, 1 to 1000000. For a further one, the one that has been idle for longest is closed; where none is idle, it waits. Keep it below the limit of open files.",
		Chinese: "同时打开的连接数上限，1～1000000。达到上限时，关闭空闲最久的连接，为新连接腾出位置；没有空闲连接时，新连接须等待。应小于系统允许打开的文件数。",
		read:    readMaxConnections,
	},
	{
		Name: "TLS_CERT_FILE", Group: groupServer, Native: true, key: true,
		English: "The certificate chain as a PEM file, for HTTPS without a proxy in front. Needs `TLS_KEY_FILE`.",
		Chinese: "证书链的 PEM 文件，用于不经反向代理直接提供 HTTPS。须与 `TLS_KEY_FILE` 一起设置。",
		read:    readTLSCert,
	},
	{
		Name: "TLS_KEY_FILE", Group: groupServer, Native: true, key: true,
		English: "The certificate's private key as a PEM file. Needs `TLS_CERT_FILE`.",
		Chinese: "证书私钥的 PEM 文件。须与 `TLS_CERT_FILE` 一起设置。",
		read:    readTLSKey,
	},
	{
		Name: "AUDIT_FILE", Group: groupLog, Native: true,
		English: "A file to which one JSON record for each token and each refusal is appended, whatever `LOG_LEVEL` is. Not set: they go to the log. When it cannot be written, the log says so once a minute, and the service goes on.",
		Chinese: "审计文件：每次发放或拒绝令牌追加一条 JSON 记录，不受 `LOG_LEVEL` 影响。不设置则写入日志。无法写入时，日志每分钟提示一次，服务继续运行。",
		read:    func(d *draft, v value) { d.settings.AuditFile = v.text.Reveal() },
	},
	{
		Name: "LOG_LEVEL", Group: groupLog, Default: "info",
		English: "The least level that is logged: `debug`, `info`, `warn` or `error`. `warn` leaves out the audit records but those with status 500 or more, `error` all of them: `AUDIT_FILE` keeps them.",
		Chinese: "日志级别：`debug`、`info`、`warn` 或 `error`。`warn` 只留下状态码不小于 500 的审计记录，`error` 全部不留：要保留请设置 `AUDIT_FILE`。",
		read:    readLogLevel,
	},
	{
		Name: "LOG_FORMAT", Group: groupLog, Default: "auto", Native: true,
		English: "`text`, `json`, or `auto`: text on a terminal, JSON otherwise.",
		Chinese: "`text`、`json` 或 `auto`（终端上为文本，否则为 JSON）。",
		read:    readLogFormat,
	},
}

// Names that are read in a way of their own.
const (
	baseName = "COZE_API_BASE" // a URL without the token endpoint's path
	portName = "PORT"          // a port without a host
)

// Names are all the variables that set s, with its own first. Those of one rank exclude one another; a lower rank is
// read only when nothing in a higher one is set.
func (s *Setting) Names() []string {
	var names []string
	for _, rank := range s.ranks() {
		for _, source := range rank {
			names = append(names, source.Name)
		}
	}
	return names
}

// setIn says whether any of the names is set, rightly or wrongly.
func (s *Setting) setIn(env map[string]string) bool {
	return slices.ContainsFunc(s.Names(), func(name string) bool { return !blank(env[name]) })
}

func (s *Setting) ranks() [][]Fallback {
	own := []Fallback{{Name: s.Name}}
	if s.Secret {
		own = append(own, Fallback{Name: s.Name + "_FILE", File: true})
	}
	if len(s.Fallbacks) == 0 {
		return [][]Fallback{own}
	}
	return [][]Fallback{own, s.Fallbacks}
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
