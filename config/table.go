package config

import (
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
	// Fallbacks are other names that are read when this one is not set, in order.
	Fallbacks []Fallback
	// English and Chinese say what it does, its bounds and its unit, in Markdown, whole sentences.
	English, Chinese string

	missing string              // the remedy when a required setting is not set
	read    func(*draft, value) // puts a value into the draft, or reports what is wrong with it
}

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
		Name: "CLIENT_ID", Group: groupApp, Required: true,
		Fallbacks: []Fallback{{Name: "COZE_JWT_OAUTH_CLIENT_ID"}},
		English:   "The OAuth app's id, as Coze's console shows it.",
		Chinese:   "OAuth 应用的 ID，在扣子控制台的应用详情里可以看到。",
		missing:   "set it to the OAuth app's id, as Coze's console shows it",
		read:      readClientID,
	},
	{
		Name: "PRIVATE_KEY", Group: groupApp, Required: true, Secret: true,
		Fallbacks: []Fallback{{Name: "COZE_JWT_OAUTH_PRIVATE_KEY"}, {Name: "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH", File: true}},
		English:   "The private key that Coze's console let you download (`private_key.pem`): RSA, 2048 to 8192 bits, not encrypted.",
		Chinese:   "在扣子控制台创建密钥时下载的私钥（`private_key.pem`）：RSA，2048～8192 位，不能带密码。",
		missing:   "set it to the whole private_key.pem that Coze's console let you download",
		read:      readPrivateKey,
	},
	{
		Name: "KID", Group: groupApp, Required: true,
		Fallbacks: []Fallback{{Name: "COZE_JWT_OAUTH_PUBLIC_KEY_ID"}},
		English:   "The fingerprint of the public key that belongs to `PRIVATE_KEY`, as Coze's console lists it: 43 characters.",
		Chinese:   "与 `PRIVATE_KEY` 对应的公钥指纹，在扣子控制台的公钥列表里可以看到，共 43 个字符。",
		missing:   "set it to the public key's fingerprint, as Coze's console lists it next to the key",
		read:      readKeyID,
	},
	{
		Name: "COZE_REGION", Group: groupRegion,
		English: "`cn` (coze.cn) or `com` (coze.com). Sets `AUDIENCE` and `TOKEN_ENDPOINT` together. Not set: what those two say, otherwise `cn`.",
		Chinese: "`cn`（coze.cn）或 `com`（coze.com），同时决定 `AUDIENCE` 和 `TOKEN_ENDPOINT`。不设置时由这两项推断，都没有则为 `cn`。",
		read:    readRegion,
	},
	{
		Name: "AUDIENCE", Group: groupRegion, Default: coze.China.Audience,
		English: "The bare host of Coze's API, without scheme, port or path. Needed only behind a proxy. The default follows `COZE_REGION` and `TOKEN_ENDPOINT`.",
		Chinese: "扣子 API 的域名，不带协议、端口和路径。只有经过代理访问时才需要设置。默认值随 `COZE_REGION` 和 `TOKEN_ENDPOINT` 而定。",
		read:    readAudience,
	},
	{
		Name: "TOKEN_ENDPOINT", Group: groupRegion, Default: coze.China.Endpoint,
		Fallbacks: []Fallback{{Name: baseName}},
		English: "The URL of the token endpoint: `https`, or `http` to this machine itself (the sandbox). The default follows `COZE_REGION` and `AUDIENCE`. " +
			"`COZE_API_BASE` has only what stands before `" + coze.TokenPath + "`.",
		Chinese: "换取访问令牌的接口地址：必须是 `https`，只有指向本机（沙箱）时才能用 `http`。默认值随 `COZE_REGION` 和 `AUDIENCE` 而定。" +
			"`COZE_API_BASE` 只写 `" + coze.TokenPath + "` 之前的部分。",
		read: readEndpoint,
	},
	{
		Name: "TOKEN_DURATION", Group: groupToken, Default: seconds(coze.DefaultDuration),
		English: "How long a token lives: whole seconds, 1 to 86399 (Coze's maximum).",
		Chinese: "访问令牌的有效期：以秒为单位的整数，1～86399（扣子允许的最大值）。",
		read:    readDuration,
	},
	{
		Name: "DEFAULT_SESSION", Group: groupToken,
		English: "The session of callers that send no `X-User-ID`: 1 to 256 bytes, no control characters. They then share one conversation space. Not set: no session is sent for them.",
		Chinese: "请求没有带 `X-User-ID` 时使用的会话名：1～256 字节，不含控制字符。这些调用方会共用同一个会话空间。不设置则不发送会话名。",
		read:    readDefaultSession,
	},
	{
		Name: "ASSERTION_LIFETIME", Group: groupToken, Default: seconds(coze.DefaultAssertionLifetime),
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
		Name: "CACHE", Group: groupCache, Default: on,
		English: "`on` remembers tokens and hands them out again while they are good; `off` makes one exchange for each request, as the original did.",
		Chinese: "`on`：记住令牌，在有效期内重复使用；`off`：每个请求都换取一次，与原来的 Worker 相同。",
		read:    func(d *draft, v value) { d.settings.CacheOff = d.choice(v, on, off) == off },
	},
	{
		Name: "CACHE_SIZE", Group: groupCache, Default: strconv.Itoa(broker.DefaultSize), EdgeDefault: "10000",
		English: "How many grants (one for each app and session) are remembered at most, 1 to 10000000. One takes about 260 bytes besides the token. What is used least goes first.",
		Chinese: "最多记住多少个授权（每个应用的每个会话算一个），1～10000000。每个除令牌本身外约占 260 字节。超出时先淘汰最久未用的。",
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
		English: "How many exchanges are made a minute at most, for all callers together, 1 to 1000000, or `off`. Past it, callers whose token is remembered still get it.",
		Chinese: "每分钟最多向扣子换取多少次令牌（所有调用方合计），1～1000000，或 `off` 表示不限。超出后，已记住的令牌仍可使用。",
		read:    readBudget,
	},
	{
		Name: "ACCOUNT_ID", Group: groupScope,
		English: "Mint tokens for this organisation: its id, or the uid of the workspace's owner. Excludes `ENTERPRISE_ID`.",
		Chinese: "为指定组织签发令牌：填组织 ID，或工作空间所有者的 UID。不能与 `ENTERPRISE_ID` 同时设置。",
		read:    func(d *draft, v value) { d.app.AccountID = d.word(v) },
	},
	{
		Name: "ENTERPRISE_ID", Group: groupScope,
		English: "Mint tokens for this enterprise, with an app that was given that privilege. Excludes `ACCOUNT_ID`.",
		Chinese: "为指定企业签发令牌，应用须已获得企业授权。不能与 `ACCOUNT_ID` 同时设置。",
		read:    func(d *draft, v value) { d.app.EnterpriseID = d.word(v) },
	},
	{
		Name: "SCOPE", Group: groupScope,
		English: "What tokens are limited to, as a JSON object that is sent to Coze as it is. Coze heeds it for channel apps only.",
		Chinese: "令牌的权限范围，写成 JSON 对象，原样发给扣子。仅对渠道应用有效。",
		read:    readScope,
	},
	{
		Name: "DEVICE_ID", Group: groupScope,
		English: "The device that quota and billing are put down to (enterprise edition). Excludes `CUSTOM_CONSUMER`.",
		Chinese: "用于统计额度和计费的设备 ID（企业版）。不能与 `CUSTOM_CONSUMER` 同时设置。",
		read:    func(d *draft, v value) { d.app.SessionContext.DeviceID = d.text(v) },
	},
	{
		Name: "CUSTOM_CONSUMER", Group: groupScope,
		English: "The business entity that quota and billing are put down to (enterprise edition). Excludes `DEVICE_ID`.",
		Chinese: "用于统计额度和计费的业务实体（企业版）。不能与 `DEVICE_ID` 同时设置。",
		read:    func(d *draft, v value) { d.app.SessionContext.CustomConsumer = d.text(v) },
	},
	{
		Name: "CONNECTOR_ID", Group: groupScope,
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
		English: "How many connections may be open at once, 1 to 1000000. Keep it below the limit of open files.",
		Chinese: "同时打开的连接数上限，1～1000000。应小于系统允许打开的文件数。",
		read:    readMaxConnections,
	},
	{
		Name: "TLS_CERT_FILE", Group: groupServer, Native: true,
		English: "The certificate chain as a PEM file, for HTTPS without a proxy in front. Needs `TLS_KEY_FILE`.",
		Chinese: "证书链的 PEM 文件，用于不经反向代理直接提供 HTTPS。须与 `TLS_KEY_FILE` 一起设置。",
		read:    readTLSCert,
	},
	{
		Name: "TLS_KEY_FILE", Group: groupServer, Native: true,
		English: "The certificate's private key as a PEM file. Needs `TLS_CERT_FILE`.",
		Chinese: "证书私钥的 PEM 文件。须与 `TLS_CERT_FILE` 一起设置。",
		read:    readTLSKey,
	},
	{
		Name: "LOG_LEVEL", Group: groupLog, Default: "info",
		English: "The least level that is logged: `debug`, `info`, `warn` or `error`.",
		Chinese: "日志级别：`debug`、`info`、`warn` 或 `error`。",
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
