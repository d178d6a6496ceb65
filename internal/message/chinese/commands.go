package chinese

import (
	"slices"

	"coze-token/internal/message"
)

// All are all texts. It is a function, so that the Worker, which does not call it, contains HTTP only.
func All() message.Catalogue { return slices.Concat(HTTP, Commands) }

// Commands are the texts of the command line: what is wrong with settings, and what commands say. They
// stand in the order of the files that say them.
var Commands = message.Catalogue{
	// The forms in which messages are put together.
	{"%s: %s", "%s：%s"},
	{"%s: %s; %s", "%s：%s；%s"},
	{"%s; %s", "%s；%s"},
	{"%s (%s)", "%s（%s）"},
	{"%s (status %d)", "%s（状态码 %d）"},
	{"%s (logid %s)", "%s（logid %s）"},
	{"%s %s", "%s：%s"},
	{"coze-token: %s: %s\n", "coze-token: %s：%s\n"},

	// internal/native/native.go
	{"cannot listen on %s: %s", "无法监听 %s：%s"},
	{"another program has this port", "端口已被其他程序占用"},
	{"ports below 1024 need a privilege", "监听 1024 以下的端口需要特权"},

	// internal/native/socket.go
	{"another program has this socket", "Unix 套接字已被其他程序占用"},
	{"there is a file of this name, and it is no socket", "已有同名文件，且不是 Unix 套接字"},

	{"it could not be read", "无法读取"},

	// internal/message/cause.go
	{"no such file or directory", "文件或目录不存在"},
	{"permission denied", "没有权限"},
	{"is a directory", "是一个目录"},
	{"not a directory", "上级路径不是目录"},
	{"no space left on device", "磁盘已满"},
	{"connection refused", "连接被拒绝"},
	{"connection reset by peer", "连接被对方重置"},
	{"no such host", "域名无法解析"},
	{"no route to host", "没有到对方主机的路由"},
	{"network is unreachable", "网络不可达"},
	{"i/o timeout", "超时"},
	{"context deadline exceeded", "超时"},
	{"EOF", "对方提前关闭了连接"},
	{"unexpected EOF", "对方提前关闭了连接"},
	{"cannot assign requested address", "本机没有这个地址"},
	{"first record does not look like a TLS handshake", "对方使用的不是 TLS（HTTPS）"},
	{"certificate signed by unknown authority", "证书不是由受信任的机构签发的"},

	// internal/auth/jwk.go, keyset.go: what check says of a provider's keys
	{"the JWKS has no key that can be used", "JWKS 中没有可用的公钥"},
	{"key %d of %d: %s", "第 %d 个公钥（共 %d 个）：%s"},
	{"the keys are not a JWKS", "公钥不是 JWKS 格式"},
	{"the JWKS has more than 100 keys", "JWKS 中的公钥多于 100 个"},
	{"it is not a JWK", "不是 JWK 格式"},
	{"its private half is published", "私钥部分已被公开"},
	{"it is not for signatures (use)", "不用于签名（use）"},
	{"it is not for verifying (key_ops)", "不用于验签（key_ops）"},
	{"its type (kty) is none of RSA, EC and OKP", "类型（kty）不是 RSA、EC 或 OKP"},
	{"its algorithm (alg) is none that is taken with its type", "算法（alg）与类型不符，或不受支持"},
	{"its numbers (n, e) are none of an RSA key", "参数（n、e）不是 RSA 公钥的"},
	{"it has %d bits, and %d to %d are taken", "有 %d 位，只接受 %d～%d 位"},
	{"its exponent (e) is not one that is used", "指数（e）不合常规"},
	{"its point (x, y) is not of its curve", "点（x、y）不在曲线上"},
	{"its curve (crv) is none of P-256, P-384 and P-521", "曲线（crv）不是 P-256、P-384 或 P-521"},
	{"it is not an Ed25519 key", "不是 Ed25519 公钥"},
	{"fetching the login's keys: %s", "获取公钥失败：%s"},
	{"fetching the login's discovery document: %s", "获取发现文档失败：%s"},
	{"the login's discovery document is not one", "发现文档不是有效的 JSON"},
	{"the discovery document is of the issuer %.200q, and not of %q: they must agree to the letter, a slash at the " +
		"end too",
		"发现文档的签发者是 %.200q，而不是 %q：两者必须完全一致，末尾的斜杠也算"},
	{"the jwks_uri of the login's discovery document %s", "发现文档中的 jwks_uri %s"},
	{"the jwks_uri of the login's discovery document is not https", "发现文档中的 jwks_uri 不是 https"},
	{"its address is not a URL", "地址不是网址"},
	{"%s answered with the status %d", "%s 返回状态码 %d"},
	{"the answer of %s broke off: %s", "%s 的响应中断：%s"},
	{"the answer of %s is larger than 256 KiB", "%s 的响应超过 256 KiB"},

	// internal/redis
	{"the shared store cannot be used: %s; %s", "共享存储不可用：%s；%s"},
	{"its certificate is of an authority that this machine does not know: set SSL_CERT_FILE to the authority's " +
		"certificate",
		"本机不认识签发其证书的机构，请把 SSL_CERT_FILE 设为该机构的证书"},
	{"its certificate is for another name: use that name in REDIS_URL", "证书上是另一个名称，请在 REDIS_URL 中使用该名称"},
	{"put the right password into REDIS_URL: redis://:password@host or redis://user:password@host",
		"请在 REDIS_URL 中填写正确的密码：redis://:password@host 或 redis://user:password@host"},
	{"allow the user ~coze-token:* and the commands GET, GETRANGE, SET, DEL, TIME, EVAL and EVALSHA",
		"请允许该用户访问 ~coze-token:*，并使用 GET、GETRANGE、SET、DEL、TIME、EVAL 和 EVALSHA 命令"},
	{"REDIS_URL names a read-only replica: name the primary, or let Sentinel do it, redis+sentinel://",
		"REDIS_URL 指向只读副本，请改为主节点，或由 Sentinel 查找：redis+sentinel://"},
	{"REDIS_URL names a node of a cluster as if it were alone, or the cluster is down: use " +
		"redis+cluster://:password@host1:6379,host2:6379, or rediss+cluster:// for TLS",
		"REDIS_URL 把集群节点当成了单机，或集群不可用：集群请用 " +
			"redis+cluster://:password@host1:6379,host2:6379，TLS 用 rediss+cluster://"},
	{"the server's memory is full: raise maxmemory, or set maxmemory-policy to allkeys-lru",
		"服务器内存已满，请调高 maxmemory，或把 maxmemory-policy 设为 allkeys-lru"},
	{"the server lacks a command: GET, GETRANGE, SET, DEL, TIME, EVAL and EVALSHA are used",
		"服务器缺少命令，需要 GET、GETRANGE、SET、DEL、TIME、EVAL 和 EVALSHA"},
	{"use a database that the server has, such as 0", "请用服务器上存在的数据库编号，如 0"},
	{"the server does not speak TLS on this port: write redis:// instead of rediss://, or use its TLS port",
		"该端口不支持 TLS，请把 rediss:// 改为 redis://，或换用 TLS 端口"},
	{"see that the server runs and that REDIS_URL has its host and port",
		"请确认服务器在运行，且 REDIS_URL 的主机和端口正确"},
	{"see that the server runs, that REDIS_URL has its host and port, and rediss:// if it speaks TLS",
		"请确认服务器在运行，REDIS_URL 的主机和端口正确，使用 TLS 时写作 rediss://"},

	// internal/rsakey/rsakey.go
	{"an RSA key", "RSA 密钥"},
	{"a public key", "公钥"},
	{"this is a personal access token (PAT), not a private key", "这是个人访问令牌（PAT），不是私钥"},
	{"the RSA key has more than two primes", "RSA 密钥的素数多于两个"},

	// The demo.
	{`Everything here is pretended: "Coze" is a sandbox in this process (%s), the app and its
key were made a moment ago, and the tokens open nothing else.
%s
$ curl -X POST -H 'X-User-ID: user-1' %s
`, `以下都是模拟的：“扣子”是本进程里的沙箱（%s），应用和密钥刚刚生成，令牌只能访问这个沙箱。
%s
$ curl -X POST -H 'X-User-ID: user-1' %s
`},
	{`
Open %[4]s/ in a browser: two users and a visitor chat with a bot of the sandbox's.

Or try it yourself, in another terminal:

  curl -X POST %[1]s                              a token without a session
  curl -X POST -H 'X-User-ID: 小明' %[1]s         a token for one end user
  curl -i %[1]s                                   what a wrong request gets
  curl -H 'Authorization: Bearer %[3]s' %[2]s/v1/users/me
                     use the token above at the sandbox

Ctrl-C ends it. To serve your own app: set CLIENT_ID, KID and PRIVATE_KEY_FILE, then "coze-token check" and
"coze-token serve".
`, `
在浏览器中打开 %[4]s/：两个用户和一个访客与沙箱里的智能体对话。

也可以在另一个终端里自己试：

  curl -X POST %[1]s                              不带会话的令牌
  curl -X POST -H 'X-User-ID: 小明' %[1]s         某个终端用户的令牌
  curl -i %[1]s                                   错误的请求会得到什么
  curl -H 'Authorization: Bearer %[3]s' %[2]s/v1/users/me
                     在沙箱中使用上面的令牌

按 Ctrl-C 结束。要换成自己的应用，请设置 CLIENT_ID、KID 和 PRIVATE_KEY_FILE，再运行 "coze-token check" 和
"coze-token serve"。
`},

	// apps.go
	{"a JSON object of objects", "由对象组成的 JSON 对象"},
	{"give the app another name", "请给该应用换个名称"},
	{"has a member %s, which no app has", "含有应用不能使用的配置项 %s"},
	{"has an app named %s, which cannot stand in a path", "应用名称 %s 不能用在路径中"},
	{"has an app named %s, which is a path of the service's own", "应用名称 %s 是服务自身的路径"},
	{"is neither JSON nor YAML, or has a name in it twice", "既不是 JSON，也不是 YAML，或其中有重复的名称"},
	{"is of a type that is no setting's", "类型不对"},
	{"names %d apps, and %d is the most", "有 %d 个应用，最多 %d 个"},
	{"names no app", "没有应用"},
	{"run several services", "请分成多个服务运行"},
	{"the members are: %s", "可用的配置项：%s"},
	{"use 1 to 40 letters a-z, digits, - and _, with a letter or digit first",
		"请用 1～40 个小写字母、数字、- 和 _，以字母或数字开头"},
	{`use an object of names and settings, such as {"shop": {"client_id": "…", "kid": "…", "private_key": "…"}}`,
		`请用“名称：配置”组成的对象，如 {"shop": {"client_id": "…", "kid": "…", "private_key": "…"}}`},
	{"write a text, a number, true or false, a list of texts, or, for scope, an object and for logins a list " +
		"of them",
		"请用字符串、数字、true 或 false、字符串列表；scope 用对象，logins 用对象列表"},
	{"write what it is to be, or remove it", "请填上内容，或去掉它"},

	// broker.go
	{"a whole number of exchanges a minute, or off", "每分钟的换取次数（整数）或 off"},
	{"is %d seconds, too much for tokens that live %d", "为 %d 秒，令牌有效期只有 %d 秒，太长"},
	{"use at most %d, nine tenths of %s, or raise that", "最多用 %d，即 %s 的十分之九，或调高后者"},

	// cmd/coze-token/check.go
	{"%s answered after %v", "%s 响应用时 %v"},
	{"%s: app %s, region %s, tokens of %v from %s", "%s：OAuth 应用 %s，区域 %s，令牌有效期 %v，接口 %s"},
	{"--bot is not the id of a bot", "--bot 的值不是智能体 ID"},
	{"Coze issued one that lives %v", "扣子已发放令牌，有效期 %v"},
	{"FAIL", "失败"},
	{"SESSION_REQUIRED is on: the token is asked for as the user %s",
		"SESSION_REQUIRED 为 on：以用户 %s 的身份换取令牌"},
	{"agrees with the answer's Date header", "与响应的 Date 头一致"},
	{"clock", "系统时间"},
	{"coze", "扣子"},
	{"it is refused: %s", "会话标识不可用：%s"},
	{"key", "私钥"},
	{"not asked (--offline)", "未检查（--offline）"},
	{"ok", "正常"},
	{"private key of %s: readable", "%s 的私钥格式正确"},
	{"private key of %s: readable; whether Coze knows it is tried below", "%s 的私钥格式正确，扣子是否认可见下文"},
	{"say what is wrong with the settings, and what to do", "检查配置，指出问题和解决办法"},
	{"settings", "配置"},
	{"the answer has no Date header to compare this machine's clock with", "响应没有 Date 头，无法核对本机时间"},
	{"this machine's clock is %v ahead of Coze's: assertions may be refused as not yet valid; set the clock " +
		"(NTP)",
		"本机时间比扣子快 %v，JWT 可能因尚未生效而被拒绝，请校时（NTP）"},
	{"this machine's clock is %v behind Coze's: assertions may be refused as expired; set the clock (NTP)",
		"本机时间比扣子慢 %v，JWT 可能因已过期而被拒绝，请校时（NTP）"},
	{"token", "令牌"},
	{"use a shorter SESSION_PREFIX, or DEFAULT_SESSION where it is set",
		"请缩短 SESSION_PREFIX，或缩短 DEFAULT_SESSION（如已设置）"},
	{"use the number after /bot/ in the address of the bot's page", "请用智能体编辑页网址中 /bot/ 之后的数字"},
	{"warn", "警告"},

	// cmd/coze-token/check_access.go
	{"%d API keys", "%d 个 API 密钥"},
	{"REDIS_URL: %s", "REDIS_URL：%s"},
	{"REDIS_URL: %s; until it works, replicas share nothing", "REDIS_URL：%s；恢复之前，各副本互不共享"},
	{"access", "鉴权"},
	{"access is open: whoever reaches this address gets a token, for any X-User-ID or, beside logins, for " +
		"none; set API_KEYS, a login or VISITOR_SECRET, and no OPEN_ACCESS, to close it (docs/access.md), or let " +
		"only your own backend reach it",
		"未设鉴权：谁能访问这个地址，谁就能取得令牌，X-User-ID 可以任意填写（设有登录方式时则不能填写）。要限制访" +
			"问，请设置 API_KEYS、登录方式或 VISITOR_SECRET，并去掉 OPEN_ACCESS（见 docs/access.zh-CN.md），或只允许" +
			"自己的后端访问"},
	{"anonymous visitors, each a session of its own", "匿名访客，每人一个会话"},
	{"answers", "响应正常"},
	{"check JWT_ISSUER and JWKS_URL, and the network between this machine and the provider",
		"请检查 JWT_ISSUER 和 JWKS_URL，以及本机到身份提供方的网络"},
	{"no pages of other origins (ALLOWED_ORIGINS is not set)", "不接受跨域网页（未设置 ALLOWED_ORIGINS）"},
	{"pages of the origins that ALLOWED_ORIGINS lists, and no others", "只接受 ALLOWED_ORIGINS 中列出的网页来源"},
	{"redis", "Redis"},
	{"users of %s, which has %d keys", "%s 的用户，其公钥有 %d 个"},
	{"users of %s: %s", "%s 的用户：%s"},
	{"users of %s: %s, so tokens that it signed are refused", "%s 的用户：%s，由它签名的令牌会被拒绝"},
	{"users of %s; its keys were not fetched (--offline)", "%s 的用户；未获取其公钥（--offline）"},
	{"users of the WeChat mini program %s, whose AppSecret WeChat takes", "微信小程序 %s 的用户，AppSecret 有效"},
	{"users of the WeChat mini program %s: %s", "微信小程序 %s 的用户：%s"},
	{"users of the WeChat mini program %s; WeChat was not asked (--offline)",
		"微信小程序 %s 的用户；未向微信核实（--offline）"},
	{"users whom a trusted proxy names in %s", "可信代理在 %s 中指明的用户"},

	// cmd/coze-token/check_bot.go
	{"%s answered with status %d and nothing that Coze's API sends", "%s 返回状态码 %d，内容不是扣子 API 的响应"},
	{"%s could not be reached: %s", "无法访问 %s：%s"},
	{"%s: Coze says %d: %s (log id %s)", "%s：扣子返回 %d：%s（logid %s）"},
	{"%s: the token sees it, and it is published to the API: %s",
		"%s：令牌可以访问该智能体，且它已发布到 API 渠道：%s"},
	{"Coze issued this token and does not take it for the bot's API: if the bot was made in the other region " +
		"(coze.cn and coze.com share nothing), use an app of that region and set COZE_REGION; if a proxy stands " +
		"between, it must pass Authorization on",
		"令牌有效，但智能体的 API 不接受：如果智能体建在另一个区域（coze.cn 与 coze.com 互不相通），请改用那个站" +
			"点的 OAuth 应用并设置 COZE_REGION；如果中间有代理，它必须原样转发 Authorization"},
	{"bot", "智能体"},
	{"check that no proxy answers in Coze's place", "请检查是否有代理代替扣子响应"},
	{"check the network or proxy between this machine and Coze", "请检查本机到扣子的网络或代理"},
	{"in Coze's console, open the OAuth app, give it the permissions that the call needs (for this one: to " +
		"read bots; for chats: to chat), and authorise it for the workspace that the bot is in; then wait half a " +
		"minute",
		"请在扣子控制台打开该 OAuth 应用，勾选所需权限（此处需要查看智能体，对话需要对话权限），并授权给智能体所" +
			"在的空间，然后等半分钟"},
	{"in Coze's console, publish the bot again, with the channel API chosen",
		"请在扣子控制台重新发布智能体，并勾选 API 渠道"},
	{"the id is the number after /bot/ in the address of the bot's page; the bot must be in the same region " +
		"as the app, and in a workspace that the app is authorised for",
		"ID 是智能体编辑页网址中 /bot/ 之后的数字；智能体须与 OAuth 应用在同一区域，且所在空间已授权给该应用"},

	// cmd/coze-token/command.go
	{`"coze-token help" lists the commands, "coze-token help COMMAND" says how one is used`,
		`用 "coze-token help" 查看全部命令，用 "coze-token help 命令" 查看某个命令的用法`},
	{"%s: %q is one word too many", "%s：多了一个参数 %q"},
	{"%s; did you mean %s?", "%s；是否想用 %s？"},
	{"coze-token: hint: %s\n", "coze-token: 提示：%s\n"},
	{"coze-token: interrupted\n", "coze-token: 已中断\n"},
	{"error", "错误"},
	{"invalid value %s for --%s: %s", "参数 --%[2]s 的值 %[1]s 无效：%[3]s"},
	{"make room where it goes, or send it elsewhere", "请腾出空间，或输出到别处"},
	{"standard output cannot be written: %s", "无法写入标准输出：%s"},
	{"the flag --%s needs a value", "参数 --%s 需要一个值"},
	{"there is no command %q", "没有命令 %q"},
	{"the flag --%s takes no value", "参数 --%s 不带值"},
	{"there is no flag --%s", "没有参数 --%s"},
	{"warning", "警告"},

	// cmd/coze-token/completion.go
	{"a fault to show", "要模拟的故障"},
	{"ask nobody", "离线检查，不访问网络"},
	{"completion: name a shell: bash, zsh or fish", "completion：请指定 shell：bash、zsh 或 fish"},
	{"end after the first token", "取得第一个令牌后结束"},
	{"how long the token lives, in seconds", "令牌的有效期，单位为秒"},
	{"one of the apps of APPS", "APPS 中的一个应用"},
	{"print the completion for a shell", "输出 shell 的补全脚本"},
	{"print the whole answer as JSON", "以 JSON 输出完整响应"},
	{"read a coze_oauth_config.json", "读取 coze_oauth_config.json"},
	{"the end user that the token is for", "令牌所属的终端用户"},
	{"the id of a bot to ask about", "要检查的智能体 ID"},
	{"the language of messages, zh or en", "提示信息的语言，zh 或 en"},
	{"what the key is called", "密钥的名称"},
	{"where to serve, host:port", "监听地址，host:port"},

	// cmd/coze-token/demo.go
	{"Another program has %s, so this is at %s.\n", "%s 已被其他程序占用，改用 %s。\n"},
	{"the service answered %s: %s", "服务返回 %s：%s"},
	{"try the service: a sandbox, a made-up key, no account", "体验服务：沙箱加临时密钥，无需账号"},

	// cmd/coze-token/health.go
	{"ask a running service whether it is ready", "检查运行中的服务是否就绪"},
	{"no answer within 3 s", "3 秒内没有响应"},
	{"no answer: %s", "没有响应：%s"},
	{"see that coze-token serve runs and has this address; another one follows the command: coze-token health " +
		"http://127.0.0.1:8787",
		"请确认 coze-token serve 正在运行，监听的就是这个地址；要检查其他地址，写在命令后面：coze-token health " +
			"http://127.0.0.1:8787"},
	{"no body", "没有响应体"},
	{"status %d: %s", "状态码 %d：%s"},
	{"the URL is not one of HTTP", "网址不是 HTTP 地址"},
	{"write it as http://127.0.0.1:8787, and without a user and a password",
		"请写成 http://127.0.0.1:8787，不带用户名和密码"},

	// cmd/coze-token/key.go
	{"key: --name is not a name that a key can have", "key：--name 的值不能用作密钥名称"},
	{"make an API key for a backend", "为后端生成 API 密钥"},
	{`use 1 to 31 letters, digits, ".", "_", "-" or "@", and neither apps nor origins`,
		`请用 1～31 个字母、数字、"."、"_"、"-" 或 "@"，且不能是 apps 或 origins`},

	// cmd/coze-token/language.go
	{"--lang %q is not a language; there are zh and en", "没有语言 --lang %q，可用 zh 或 en"},

	// cmd/coze-token/mint.go
	{"coze is busy", "扣子繁忙"},
	{"coze refused", "扣子拒绝了请求"},
	{"give whole seconds from 1 to 86399", "请填 1～86399 的整数秒"},
	{"name the end user that the token is for with --session, as SESSION_REQUIRED asks",
		"请用 --session 指定终端用户，因为 SESSION_REQUIRED 为 on"},
	{"no answer from coze in time", "扣子没有及时响应"},
	{"no token from coze", "没有从扣子取得令牌"},
	{"print one token", "换取一个令牌并输出"},
	{"the assertion could not be signed", "JWT 无法签名"},
	{"the session is refused: %s", "会话标识不可用：%s"},
	{"the session is refused: there is none, and this service gives no token without one",
		"缺少会话标识，而本服务只发放带会话的令牌"},
	{"use a shorter name, or a shorter SESSION_PREFIX", "请缩短会话标识，或缩短 SESSION_PREFIX"},

	// cmd/coze-token/sandbox.go
	{"coze-token: the sandbox stands in for Coze at %s; Ctrl-C ends it\n",
		"coze-token: 沙箱在 %s 模拟扣子，按 Ctrl-C 结束\n"},
	{"name another host:port of this machine with --listen", "请用 --listen 指定本机的其他 host:port"},
	{"sandbox: %s", "sandbox：%s"},
	{"serve an emulator of Coze's token endpoint", "启动模拟扣子的沙箱"},

	// cmd/coze-token/serve.go
	{"TLS_CERT_FILE and TLS_KEY_FILE changed while they were read: %s",
		"读取 TLS_CERT_FILE 和 TLS_KEY_FILE 时，文件发生了变化：%s"},
	{"serve tokens over HTTP", "启动令牌服务（HTTP）"},
	{"set LISTEN to another host:port of this machine, or to another socket",
		"请把 LISTEN 设为本机的其他 host:port，或其他 Unix 套接字"},
	{"set METRICS_LISTEN to another host:port of this machine", "请把 METRICS_LISTEN 设为本机的其他 host:port"},
	{"start again", "请重新启动"},

	// cmd/coze-token/settings.go
	{"cannot be opened: %s", "无法打开：%s"},
	{"cannot be read: %s", "无法读取：%s"},
	{"cannot be used with TLS_KEY_FILE: %s", "无法与 TLS_KEY_FILE 配合使用：%s"},
	{"name a coze_oauth_config.json that exists", "请指定存在的 coze_oauth_config.json"},
	{"name a file that this process may write", "请指定本进程可写的文件"},
	{"name one with --app", "请用 --app 指定一个应用"},
	{"name the certificate chain and the private key that was made with it, both in PEM form",
		"请指定证书链及其对应的私钥，均为 PEM 格式"},
	{"the apps are those that APPS names", "可用的应用见 APPS"},
	{"there is no app %q", "没有应用 %q"},
	{"there is no app at /, only those of APPS", "根路径 / 上没有应用，只有 APPS 中的应用"},

	// cmd/coze-token/version.go
	{"print the version", "输出版本"},

	// coze.go
	{"%s is set too, %s", "同时设置了 %s，%s"},
	{"%s is set too, and Coze advises to choose one of the two", "同时设置了 %s，扣子建议只选其一"},
	{"a JSON object", "JSON 对象"},
	{"and a token is for one or the other", "令牌只能属于其中之一"},
	{"and the bots would be written into it", "BOTS 也会写入 SCOPE"},
	{"compare it with the app's id in Coze's console", "请与扣子控制台上 OAuth 应用的 ID 核对"},
	{"copy it again from Coze's console, a leading - or _ included", "请从扣子控制台重新复制，开头的 - 或 _ 也要带上"},
	{"does not end in /token, so the id in %s cannot be put into it", "不是以 /token 结尾，无法加入 %s 的 ID"},
	{"has %d characters; the fingerprints Coze shows have 43 letters, digits, - and _",
		"有 %d 个字符，而扣子显示的公钥指纹是 43 个字母、数字、- 和 _"},
	{"holds an account or enterprise id already, and %s is set too", "已包含账号或企业 ID，同时又设置了 %s"},
	{"holds the name of a file, not a key", "填的是文件名，不是密钥"},
	{"is %d bytes long, over the limit of %d", "长 %d 字节，超过上限 %d 字节"},
	{"is %s; the ids of OAuth apps seen so far are all digits", "为 %s，而已知的 OAuth 应用 ID 都是纯数字"},
	{"is an empty scope", "是空的 scope"},
	{"is not UTF-8", "不是 UTF-8 编码"},
	{"put that name into %s_FILE, or the file's content here", "请把文件名填在 %s_FILE，或在这里填文件内容"},
	{"remove one of the two", "请去掉其中一个"},
	{"remove one of the two, unless your quotas need both", "请去掉其中一个，除非额度统计确实需要两者"},
	{"set both, or neither", "两者都要设置，或都不设"},
	{"set it to the OAuth app's id, as Coze's console shows it", "请设为 OAuth 应用的 ID，见扣子控制台"},
	{"set it to the public key's fingerprint, as Coze's console lists it next to the key",
		"请设为公钥指纹，在扣子控制台的密钥旁边"},
	{"set it to the whole private_key.pem that Coze's console let you download",
		"请设为从扣子控制台下载的 private_key.pem 的完整内容"},
	{`use a JSON object, such as {"account_permission":{"permission_list":["Connector.botChat"]}}`,
		`请用 JSON 对象，如 {"account_permission":{"permission_list":["Connector.botChat"]}}`},
	{`use a JSON object, such as {"account_permission":{"permission_list":["Connector.botChat"]}}, or remove it`,
		`请用 JSON 对象，如 {"account_permission":{"permission_list":["Connector.botChat"]}}，或去掉它`},
	{"use an endpoint that ends in /api/permission/oauth2/token", "请用以 /api/permission/oauth2/token 结尾的接口地址"},
	{"use the ordinary endpoint, which ends in /api/permission/oauth2/token",
		"请用普通的接口地址，以 /api/permission/oauth2/token 结尾"},

	// coze/key.go
	{"a DSA key", "DSA 密钥"},
	{"a character is missing, or there is one too many", "少了或多了一个字符"},
	{"a key of another algorithm", "其他算法的密钥"},
	{"an EC key", "EC 密钥"},
	{"an Ed25519 key", "Ed25519 密钥"},
	{"an Ed448 key", "Ed448 密钥"},
	{"an RSA-PSS key", "RSA-PSS 密钥"},
	{"an X25519 key", "X25519 密钥"},
	{"an X448 key", "X448 密钥"},
	{"create a key pair in the OAuth app's settings in Coze's console and use the private key it downloads",
		"请在扣子控制台的 OAuth 应用设置中新建密钥对，使用下载得到的私钥"},
	{"decrypt it first: openssl pkey -in encrypted.pem -out private_key.pem",
		"请先解密：openssl pkey -in encrypted.pem -out private_key.pem"},
	{"it has the character %q (%U)", "含有字符 %q（%U）"},
	{"it has the character %q (%U), as where a program hides or shortens a secret",
		"含有字符 %q（%U），像是密钥被遮盖或截断"},
	{"it has the character %q (%U), from an escape that could not be undone", "含有字符 %q（%U），像是无法还原的转义"},
	{"paste the whole private_key.pem that Coze's console let you download, from -----BEGIN PRIVATE KEY----- " +
		"to -----END PRIVATE KEY-----",
		"请粘贴从扣子控制台下载的 private_key.pem 的完整内容，从 -----BEGIN PRIVATE KEY----- 到 -----END PRIVATE " +
			"KEY-----"},
	{"paste the whole private_key.pem that Coze's console let you download, from -----BEGIN PRIVATE KEY----- " +
		"to -----END PRIVATE KEY----- (in a dotenv file, put it in double quotes)",
		"请粘贴从扣子控制台下载的 private_key.pem 的完整内容，从 -----BEGIN PRIVATE KEY----- 到 -----END PRIVATE " +
			"KEY-----（写在 dotenv 文件里时要加双引号）"},
	{"the -----BEGIN line is incomplete", "-----BEGIN 一行不完整"},
	{"the RSA key has %d bits, more than the %d that are of use", "RSA 密钥有 %d 位，超过有用的上限 %d 位"},
	{"the RSA key has %d bits, too few for RS256", "RSA 密钥只有 %d 位，不足以用于 RS256"},
	{"the key is cut off: it begins but has no -----END line", "密钥不完整：有开头，没有 -----END 一行"},
	{"the key is damaged: it is base64, but not an RSA private key", "密钥已损坏：是 base64，但不是 RSA 私钥"},
	{"the private key is encrypted with a passphrase", "私钥用口令加密了"},
	{"the public key stays in Coze's console; paste the private_key.pem that was downloaded when the pair was " +
		"made",
		"公钥留在扣子控制台；请粘贴创建密钥对时下载的 private_key.pem"},
	{"the text between the BEGIN and END lines is not base64: %s", "BEGIN 与 END 之间的内容不是 base64：%s"},
	{"the value is %d bytes long, far more than an RSA key", "值长 %d 字节，远超 RSA 密钥的长度"},
	{"the value is empty", "值为空"},
	{"this is %s, and Coze takes plain RSA keys only (RS256)", "这是 %s，而扣子只接受普通的 RSA 密钥（RS256）"},
	{"this is a PEM block of another kind than a private key", "这个 PEM 块不是私钥"},
	{"this is an OpenSSH key", "这是 OpenSSH 格式的密钥"},
	{"this is not a private key: there is no -----BEGIN line, and it is not the base64 of one either",
		"这不是私钥：没有 -----BEGIN 一行，也不是私钥的 base64"},
	{"this is the public half (%s), and signing takes the private one", "这是公钥（%s），签名需要私钥"},
	{"use one of 2048 bits or more: create a key pair in the OAuth app's settings in Coze's console and use " +
		"the private key it downloads",
		"请用 2048 位以上的密钥：在扣子控制台的 OAuth 应用设置中新建密钥对，使用下载得到的私钥"},
	{"use one of 2048 to 4096 bits", "请用 2048～4096 位的密钥"},

	// cozetoken.go
	{"set OPEN_ACCESS to on (open_access: on) if that is meant, or say again who may ask",
		"如果确要如此，请把 OPEN_ACCESS 设为 on（open_access: on），否则请重新设置鉴权方式"},
	{"would let anybody in from now on, and did not before", "此后会对所有人开放，而此前不是"},

	// internal/auth/apikey.go
	{"%s ends on a day that there is not", "%s的到期日不存在"},
	{"%s has a name that is not one", "%s的名称不合法"},
	{"%s is followed by something that is not a limit", "%s后面有无法识别的限制"},
	{"%s is limited to an app whose name is not one", "%s的 apps 中有不合法的应用名称"},
	{"%s is limited to an origin that no browser sends", "%s的 origins 中有浏览器不会发送的来源"},
	{"%s is named %s, which is a limit and not a key", "%s的名称是 %s，这是限制项，不是密钥"},
	{"%s is not of the form name=key", "%s不是“名称=密钥”的格式"},
	{"%s is the same key as another", "%s与另一个密钥相同"},
	{"add another under the same name (coze-token key makes one), and give that to its caller",
		"用同一名称再加一个密钥（coze-token key 可生成），交给调用方"},
	{"add one (coze-token key makes one), or leave it out altogether",
		"请添加一个（coze-token key 可生成），或不设这一项"},
	{"copy the line that coze-token key printed", "请复制 coze-token key 输出的整行"},
	{"give each caller a key of its own (coze-token key makes one)",
		"请给每个调用方单独的密钥（coze-token key 可生成）"},
	{"has a SHA-256 that is not 64 hexadecimal digits", "SHA-256 不是 64 位十六进制数字"},
	{"has characters that a header cannot carry everywhere", "含有请求头中不宜使用的字符"},
	{"holds %d keys, more than %d", "有 %d 个密钥，最多 %d 个"},
	{"holds no key", "没有密钥"},
	{"is %d characters long, which can be guessed: %d is the least", "只有 %d 个字符，容易被猜中，至少要 %d 个"},
	{"is a JWT, which is not a key", "是 JWT，不是密钥"},
	{"is longer than %d characters", "超过 %d 个字符"},
	{"key %d", "第 %d 个密钥"},
	{"leave out the port that is the scheme's own", "请去掉该协议的默认端口"},
	{"make a key with: coze-token key", "请生成密钥：coze-token key"},
	{"name apps as the settings do, several separated by |, with / for the one that is served there",
		"请用配置中的应用名称，多个之间用 | 分隔，根路径上的应用写作 /"},
	{"remove it, and give its caller a new one (coze-token key)", "请去掉它，并给调用方新的密钥（coze-token key）"},
	{"repeats the same few characters, which can be guessed", "只有少数几种字符，容易被猜中"},
	{"the key %s ended on %s", "密钥 %s 已于 %s 到期"},
	{"the key %s will end on %s", "密钥 %s 将于 %s 到期"},
	{"use a login or visitors for that many callers", "调用方这么多，请改用登录或访客"},
	{"write an international domain name in its xn-- form", "国际化域名请写成 xn-- 形式"},
	{"write apps=…, origins=… and until 2027-01-31 at most once each after a key, and a comma or a line end " +
		"before the next key",
		"密钥之后，apps=…、origins=… 和 until 2027-01-31 最多各写一次，下一个密钥之前用逗号或换行"},
	{"write it as https://shop.example", "请写成 https://shop.example"},
	{"write it in lower case and end it with the host or the port, as https://shop.example",
		"请用小写，到主机或端口为止，如 https://shop.example"},
	{"write name=key or name=sha256:hash, without spaces around the =",
		"请写成 name=key 或 name=sha256:hash，等号两边没有空格"},
	{"write out each origin: a key takes no wildcards", "请逐一列出来源，密钥不支持通配符"},
	{"write the last day on which it is good as until 2027-01-31", "请写最后有效日，如 until 2027-01-31"},
	{"write the limits of a key after it, with a space between: name=key apps=a|b origins=https://x.example",
		"限制写在密钥之后，用空格隔开：name=key apps=a|b origins=https://x.example"},

	// internal/auth/login.go
	{"an algorithm is not one of %s", "algorithms 中有不支持的算法，可用的有 %s"},
	{"an audience is empty", "audiences 中有空值"},
	{"give each a name of its own", "请给每个身份提供方各起一个名称"},
	{"has a user or a fragment in it", "有用户名或片段（#）"},
	{"have the provider sign with one of these", "请让身份提供方改用其中之一签名"},
	{"is missing", "缺失"},
	{"is not a JSON list of logins", "不是身份提供方的 JSON 列表"},
	{"is not https", "不是 https"},
	{"is set without JWT_ISSUER", "已设置，但没有设置 JWT_ISSUER"},
	{"leave it out, as every login reads Authorization: Bearer; or have the proxy put the token into a header " +
		"of its own, such as X-Auth-Token",
		"请去掉它，因为所有身份提供方的令牌都从 Authorization: Bearer 读取；或让代理把令牌放在单独的请求头中，如 X-Auth-Token"},
	{"make one of them, with the audiences of both", "请合并为一个，audiences 写上两者的值"},
	{"name it alone, with up to 64 letters, digits and hyphens, such as X-Auth-Token",
		"请只写请求头的名称，最多 64 个字母、数字和连字符，如 X-Auth-Token"},
	{`name it with 1 to 31 letters, digits, ".", "_", "-" or "@"`,
		`名称可用 1～31 个字母、数字、"."、"_"、"-" 或 "@"`},
	{"set JWT_AUDIENCE to the client id (or API identifier) that the provider writes into aud, so that no " +
		"token for another service is taken",
		"请把 JWT_AUDIENCE 设为身份提供方写入 aud 的客户端 ID（或 API 标识），以免接受签发给其他服务的令牌"},
	{"set JWT_ISSUER to the iss of the tokens, or remove it", "请把 JWT_ISSUER 设为令牌中的 iss，或去掉它"},
	{"set it to the client id (or API identifier) that the provider writes into aud",
		"请设为身份提供方写入 aud 的客户端 ID（或 API 标识）"},
	{"the address of the keys (JWKS) %s", "密钥地址（JWKS）%s"},
	{"the address of the keys (JWKS) is not https, and the issuer's is", "密钥地址（JWKS）不是 https，而签发者的是"},
	{"the header %s has another meaning", "请求头 %s 另有用途"},
	{"the header's name is not one", "请求头的名称不合法"},
	{"the issuer %s", "签发者（issuer）%s"},
	{`the issuer has a query or a "|" in it`, `签发者（issuer）中有查询参数或 "|"`},
	{"the login's name is not one", "身份提供方的名称不合法"},
	{"the session claim %s does not tell users apart", "用作会话标识的声明 %s 无法区分用户"},
	{"the session claim has a name that is too long", "用作会话标识的声明，名称过长"},
	{"the team is not one", "团队域名不合法"},
	{"there is no audience, so a token that is meant for any other service would do",
		"没有限定 aud（audience），签发给任何其他服务的令牌都会被接受"},
	{"two logins are both called %s, so their users would share sessions", "两个身份提供方都叫 %s，用户会共用会话"},
	{"two logins have the issuer %s", "两个身份提供方的签发者都是 %s"},
	{`use [{"issuer": "https://login.example.com", "audiences": ["my-page"]}], with no members but those that ` +
		`the documentation lists`,
		`请用 [{"issuer": "https://login.example.com", "audiences": ["my-page"]}]，字段只能是文档中列出的`},
	{"use an https URL", "请用 https 网址"},
	{"use an https URL, or leave it out: the issuer's discovery document has it",
		"请用 https 网址，或不填：签发者的发现文档中有"},
	{"use sub, or another claim that is each user's own", "请用 sub，或其他每个用户各不相同的声明"},
	{"use sub, or another claim that the provider sets", "请用 sub，或身份提供方写入的其他声明"},
	{"use the https URL that the provider's discovery document has as issuer",
		"请用身份提供方发现文档中 issuer 的 https 网址"},
	{"use the team domain that Cloudflare's dashboard shows, such as my-team.cloudflareaccess.com",
		"请用 Cloudflare 控制台显示的团队域名，如 my-team.cloudflareaccess.com"},

	// internal/auth/open.go
	{"has no effect beside VISITOR_SECRET, because whoever has no credential is a visitor",
		"与 VISITOR_SECRET 同时设置时不起作用：没有凭证的都是访客"},
	{"is off, and nobody else is let in", "为 off，又没有其他鉴权方式"},
	{"lets anybody in without a credential, beside the callers that prove who they are",
		"使没有凭证的人也能取得令牌，尽管已设置鉴权方式"},
	{"remove it", "请去掉它"},
	{"remove it once all callers have a credential", "所有调用方都有凭证后，请去掉它"},
	{"set API_KEYS, JWT_ISSUER, LOGINS, CF_ACCESS_TEAM, USER_HEADER, WECHAT_APP_ID or VISITOR_SECRET, or set " +
		"it to on",
		"请设置 API_KEYS、JWT_ISSUER、LOGINS、CF_ACCESS_TEAM、USER_HEADER、WECHAT_APP_ID 或 VISITOR_SECRET，或设" +
			"为 on"},

	// internal/auth/proxyuser.go
	{"have the proxy send the user in a header of its own, such as X-Forwarded-User",
		"请让代理用单独的请求头发送用户，如 X-Forwarded-User"},
	{"is %s, which has another meaning", "为 %s，这个请求头另有用途"},
	{"is %s, which is not the name of a header", "为 %s，不是请求头的名称"},
	{"name the header in which your proxy sends the user, such as X-Forwarded-User",
		"请填代理用来发送用户的请求头，如 X-Forwarded-User"},

	// internal/auth/turnstile.go
	{"copy the widget's secret key alone from Cloudflare's dashboard", "请从 Cloudflare 控制台只复制该组件的密钥"},
	{"the secret key has characters that no key has", "密钥中有不应出现的字符"},

	// internal/auth/visitor.go
	{"is set without VISITOR_SECRET, and only visitors have to pass Turnstile",
		"已设置，但没有设置 VISITOR_SECRET，而只有访客才需要 Turnstile 验证"},
	{"keep the newest, and those of the last half year", "请保留最新的，以及最近半年用过的"},
	{"make one with: openssl rand -base64 32", "请生成一个：openssl rand -base64 32"},
	{"secret %d has %d bytes, which can be guessed: %d is the least",
		"第 %d 个密钥只有 %d 字节，容易被猜中，至少要 %d 字节"},
	{"secret %d is there twice", "第 %d 个密钥出现了两次"},
	{"secret %d repeats the same few characters, which can be guessed", "第 %d 个密钥只有少数几种字符，容易被猜中"},
	{"set VISITOR_SECRET, or remove it", "请设置 VISITOR_SECRET，或去掉它"},
	{"there are more than %d secrets", "密钥多于 %d 个"},
	{"there is no secret", "没有密钥"},

	// internal/auth/wechat.go
	{"compare it with the AppID at mp.weixin.qq.com", "请与 mp.weixin.qq.com 上的 AppID 核对"},
	{"copy the AppID, wx and 16 digits, from mp.weixin.qq.com", "请从 mp.weixin.qq.com 复制 AppID：wx 加 16 位"},
	{"copy the AppSecret, 32 digits, from mp.weixin.qq.com", "请从 mp.weixin.qq.com 复制 AppSecret：32 位"},
	{"has more than scheme, host and path", "只能包含协议、主机和路径"},
	{"is not the id of a mini program", "不是小程序的 AppID"},
	{"is not the secret of a mini program", "不是小程序的 AppSecret"},
	{"is not wx and 16 digits, as AppIDs are", "不是 AppID 通常的“wx 加 16 位”"},
	{"is set without WECHAT_APP_ID", "已设置，但没有设置 WECHAT_APP_ID"},
	{"set WECHAT_APP_ID and WECHAT_APP_SECRET, or remove it", "请设置 WECHAT_APP_ID 和 WECHAT_APP_SECRET，或去掉它"},
	{"use https://api.weixin.qq.com", "请用 https://api.weixin.qq.com"},
	{"use the address of WeChat's API, https://api.weixin.qq.com, or http to this machine itself",
		"请用微信 API 的地址 https://api.weixin.qq.com，或本机的 http 地址"},

	// internal/clientip/proxies.go
	{"a range of mapped addresses that holds more than IPv4", "这个 IPv4 映射地址段超出了 IPv4 的范围"},
	{"an address with a port", "地址里带有端口"},
	{"an address with a zone", "地址里带有区域标识"},
	{"has %d entries, more than %d", "有 %d 项，最多 %d 项"},
	{"leave out %% and what follows", "请去掉 %% 及其后的内容"},
	{"leave the port out: proxies connect from any", "请去掉端口：代理可能从任意端口连接"},
	{"use %s for the range, or %s for the address alone", "整个网段用 %s，单个地址用 %s"},
	{"use a number from 1 to %d after the slash", "斜杠后请用 1～%d 的数字"},
	{"use addresses and CIDR ranges with commas between, such as 10.0.0.5, 192.168.0.0/16; or the words " +
		"private and unix",
		"请用地址或 CIDR 网段，以逗号分隔，如 10.0.0.5, 192.168.0.0/16；也可用 private 和 unix"},
	{"use addresses and CIDR ranges with commas between, such as 10.0.0.5, 192.168.0.0/16; or the words " +
		"private and unix; names are not looked up, because whoever answers for them would be trusted",
		"请用地址或 CIDR 网段，以逗号分隔，如 10.0.0.5, 192.168.0.0/16；也可用 private 和 unix；不解析域名，否则" +
			"控制解析的人也会被信任"},
	{"use ranges that hold several of them", "请用网段合并其中几项"},
	{"which has an address within the range, not its first", "这是网段中的地址，不是网段的首地址"},
	{"which is a name", "这是主机名"},
	{"which is neither an address nor a range", "这既不是地址，也不是网段"},
	{"which would trust everybody, so that anybody could choose the address they are counted by",
		"这会信任所有人，谁都能自选用于限流的 IP 地址"},
	{"whose length of the range is wrong", "网段长度有误"},
	{"write it as IPv4, such as 10.0.0.0/8", "请写成 IPv4，如 10.0.0.0/8"},

	// internal/clientip/settings.go
	{"is set without TRUSTED_PROXIES", "已设置，但没有设置 TRUSTED_PROXIES"},
	{"names the header %s", "指定了请求头 %s"},
	{"set TRUSTED_PROXIES to the addresses of the proxies", "请把 TRUSTED_PROXIES 设为代理的地址"},
	{"use the one that your proxy sets, X-Forwarded-For or Forwarded; no other can be walked from proxy to proxy",
		"请用代理设置的那个请求头：X-Forwarded-For 或 Forwarded；其他请求头无法逐级追溯"},

	// internal/cors/pattern.go
	{"a wildcard before an address", "IP 地址前不能用通配符"},
	{"a wildcard with a scheme that is neither https nor http", "通配符只能用于 https 或 http"},
	{"but pages from files have the origin null, as any page can",
		"但用 file:// 打开的网页来源是 null，任何网页都能让自己的来源变成 null"},
	{"leave it out; open local files through a web server, and list that, such as http://localhost:8080",
		"请去掉；本地文件请通过 Web 服务器打开，并列出其来源，如 http://localhost:8080"},
	{"leave out all that follows the host", "请去掉主机之后的内容"},
	{"leave out what stands before the @, and the @", "请去掉 @ 及其之前的内容"},
	{"leave the dot out", "请去掉末尾的点"},
	{"list an origin for each port that you use", "请为用到的每个端口各列一个来源"},
	{"list each origin", "请逐一列出来源"},
	{"list each origin of your own, or put * below your own domain, such as https://*.you.%s",
		"请逐一列出自己的来源，或把 * 用在自己的域名下，如 https://*.you.%s"},
	{"list the origins of your own pages, such as https://www.example.com",
		"请列出自己网页的来源，如 https://www.example.com"},
	{"longer than any origin", "长度超过任何来源"},
	{"open them through a web server, and list that, such as http://localhost:8080",
		"请通过 Web 服务器打开网页，并列出其来源，如 http://localhost:8080"},
	{"the address of a page", "这是网页的地址"},
	{"under which anybody can have a page", "任何人都能在这个域名下发布网页"},
	{"use * for the first label only, such as https://*.example.com, or list each origin",
		"* 只能用作第一段，如 https://*.example.com，或逐一列出来源"},
	{"use a number from 1 to 65535, or leave the port out", "请用 1～65535 的数字，或去掉端口"},
	{"use four numbers, such as 127.0.0.1", "请用四个数字，如 127.0.0.1"},
	{"use http://[::1]:8080 for this machine; location.origin in the browser's console shows a page's origin",
		"本机请用 http://[::1]:8080；在浏览器控制台输入 location.origin 可查看网页的来源"},
	{"use letters, digits, hyphens and dots, such as https://www.example.com",
		"请用字母、数字、连字符和点，如 https://www.example.com"},
	{"use origins such as https://www.example.com", "请用来源的格式，如 https://www.example.com"},
	{"where * is not the whole first label", "* 不是完整的第一段"},
	{"which any page can be by way of a sandboxed frame", "任何网页都能借沙箱化的 iframe 使用这个来源"},
	{"which ends in a slash, and origins have none", "末尾有斜杠，而来源没有"},
	{"which would let every web page on earth ask", "这会允许任何网页请求"},
	{"whose host ends in a dot", "主机名以点结尾"},
	{"whose host is none", "主机名不合法"},
	{"whose host is not an IPv4 address", "主机不是 IPv4 地址"},
	{"whose host is not an IPv6 address in brackets", "主机不是带方括号的 IPv6 地址"},
	{"whose host is not in ASCII", "主机名不是 ASCII"},
	{"whose scheme is none", "协议不合法"},
	{"with a port that is any", "端口是通配符"},
	{"with a user's name in it", "其中有用户名"},
	{"with the port %s, which is none", "端口 %s 不合法"},
	{"without a host", "缺少主机"},
	{"without a scheme", "缺少协议"},
	{"write the form with xn--; location.origin in the browser's console shows a page's origin",
		"请写成 xn-- 形式；在浏览器控制台输入 location.origin 可查看网页的来源"},
	{"write the scheme and the host, such as https://www.example.com", "请写出协议和主机，如 https://www.example.com"},

	// internal/cors/set.go
	{"has %s, %s", "含有 %s，%s"},
	{"has %s, whose pages can be changed by whoever is on the way to them, tokens and all",
		"含有 %s，其网页用 http 传输，可能被中途篡改，令牌也会泄露"},
	{"serve them over https, and list that", "请改用 https 提供网页，并列出 https 来源"},

	// internal/cors/settings.go
	{"has %s, which is not the name of a header", "含有 %s，这不是请求头的名称"},
	{"is set without ALLOWED_ORIGINS, and no page may ask", "已设置，但没有设置 ALLOWED_ORIGINS，网页还不能请求"},
	{"name each header that your pages send, such as traceparent, with commas between",
		"请列出网页发送的每个请求头，用逗号分隔，如 traceparent"},
	{"set ALLOWED_ORIGINS to the pages that send these headers, or remove it",
		"请把 ALLOWED_ORIGINS 设为发送这些请求头的网页来源，或去掉它"},

	// internal/fault/fault.go
	{"%s in %s", "%[2]s 的 %[1]s"},

	// internal/gate/settings.go
	{"all callers without X-User-ID share one conversation space", "没有传 X-User-ID 的调用方共用一个会话，能看到彼此的对话"},
	{"give the app another name, or remove %s", "请给该应用换个名称，或去掉 %s"},
	{"is %d bytes long, and with the name after it a session has %d at most",
		"长 %d 字节，而会话标识连同前缀最多 %d 字节"},
	{"is %d characters long, too short to be a secret", "只有 %d 个字符，作为密钥太短"},
	{"is longer, with %s before it, than the %d bytes of a session", "加上 %s 后，超过会话标识的上限 %d 字节"},
	{"is on, and SESSION_SECRET is not set", "为 on，但没有设置 SESSION_SECRET"},
	{"is quickstart, and an app is named %s, which is a path of the quickstarts'",
		"为 quickstart，而应用名称 %s 是扣子快速入门示例使用的路径"},
	{"is set without SESSION_HASH, so no name is hashed", "已设置，但没有设置 SESSION_HASH，会话标识不会哈希"},
	{"send X-User-ID for each end user, and remove this once all do",
		"请为每个终端用户传 X-User-ID，全部改好后去掉这一项"},
	{"set SESSION_HASH to on; or to off, if the secret is for apps that set it to on",
		"请把 SESSION_HASH 设为 on；如果只供部分应用使用，设为 off"},
	{"shorten one of the two", "请缩短其中一个"},
	{"use %d bytes at most", "最多用 %d 字节"},
	{"use 1 to 256 bytes of UTF-8 without control characters", "请用 1～256 字节的 UTF-8，不含控制字符"},
	{"use 32 random characters or more, such as openssl rand -hex 32 prints",
		"请把 SESSION_SECRET 设为 32 个以上的随机字符，如 openssl rand -hex 32 的输出"},

	// internal/native/proxy.go
	{"is not the URL of a proxy", "不是代理的网址"},
	{"names a proxy of a kind that cannot be used", "指定的代理类型不支持"},
	{"use http://, https://, socks5:// or socks5h://", "请用 http://、https://、socks5:// 或 socks5h://"},
	{"write it as http://proxy.example.com:3128, and characters of the password that mean something in a URL " +
		"as %%XX: / is %%2F, # is %%23, ? is %%3F, @ is %%40, %% is %%25, a space is %%20",
		"请写成 http://proxy.example.com:3128；密码中的特殊字符要写成 %%XX：/ 写作 %%2F，# 写作 %%23，? 写作 %%3F" +
			"，@ 写作 %%40，%% 写作 %%25，空格写作 %%20"},

	// internal/native/settings.go
	{"TLS_CERT_FILE takes the certificate chain, TLS_KEY_FILE its private key",
		"TLS_CERT_FILE 填证书链，TLS_KEY_FILE 填对应的私钥"},
	{"TLS_KEY_FILE takes the certificate's private key, TLS_CERT_FILE the certificate chain",
		"TLS_KEY_FILE 填证书的私钥，TLS_CERT_FILE 填证书链"},
	{"a certificate", "证书"},
	{"a private key", "私钥"},
	{"does not name a socket by its whole path", "没有写出 Unix 套接字的绝对路径"},
	{"has a path of %d bytes, longer than systems take", "路径长 %d 字节，超过系统上限"},
	{"has the host %s, which is neither an address nor a name", "主机 %s 既不是地址，也不是主机名"},
	{"has the port %s, which is not a number from 0 to 65535", "端口 %s 不是 0～65535 的数字"},
	{"is %s, not an address with a port", "为 %s，不是带端口的地址"},
	{"is %s, which is no mode of a file", "为 %s，不是文件权限"},
	{"is %s, which is not a port", "为 %s，不是端口"},
	{"is %s, which names neither a user nor a group", "为 %s，既不是用户也不是用户组"},
	{"is a URL or a path, not an address", "是网址或路径，不是监听地址"},
	{"is a port without a host", "只有端口，没有主机"},
	{"is a socket, and Prometheus asks over TCP", "是 Unix 套接字，而 Prometheus 通过 TCP 抓取"},
	{"is set, and LISTEN names no socket", "已设置，但 LISTEN 不是 Unix 套接字"},
	{"remove it, or use LISTEN=unix:/run/coze-token.sock", "请去掉它，或设置 LISTEN=unix:/run/coze-token.sock"},
	{"set both for HTTPS, or neither", "启用 HTTPS 时两者都要设置，否则都不设"},
	{"the file does not hold %s in PEM form", "文件中没有 PEM 格式的%s"},
	{"use 127.0.0.1:%s for this machine only, or :%s for all interfaces",
		"只供本机访问用 127.0.0.1:%s，所有网卡用 :%s"},
	{"use a number from 0 to 65535, or set LISTEN, which wins over it",
		"请用 0～65535 的数字，或设置优先级更高的 LISTEN"},
	{"use a path of %d bytes at most", "路径最多用 %d 字节"},
	{"use host:port, such as 127.0.0.1:8787, :8787 for all interfaces, or unix:/run/coze-token.sock",
		"请用 host:port，如 127.0.0.1:8787；所有网卡用 :8787；也可用 unix:/run/coze-token.sock"},
	{"use host:port, such as 127.0.0.1:8787, :8787 for all interfaces, or unix:/run/coze-token.sock; an IPv6 " +
		"address stands in brackets, [::1]:8787",
		"请用 host:port，如 127.0.0.1:8787；所有网卡用 :8787；也可用 unix:/run/coze-token.sock；IPv6 地址要加方括" +
			"号，如 [::1]:8787"},
	{"use host:port, such as 127.0.0.1:9464", "请用 host:port，如 127.0.0.1:9464"},
	{"use three or four octal digits, such as 0660: who may write to the socket may connect",
		"请用三四位八进制数字，如 0660：对套接字有写权限的用户可以连接"},
	{"use unix: and a path, such as unix:/run/coze-token.sock", "请用 unix: 加路径，如 unix:/run/coze-token.sock"},
	{"use user:group, user or :group, such as :www-data", "请用 user:group、user 或 :group，如 :www-data"},

	// internal/native/yaml.go
	{"a number that is not written in plain digits", "没有用十进制数字书写的数"},
	{"a number with a fraction", "小数"},
	{"a tag (!)", "标签（!）"},
	{"correct it", "请更正"},
	{"correct it there: a colon, a quote or an indentation is wrong", "请在该处更正：冒号、引号或缩进有误"},
	{"has %s in line %d", "第 %[2]d 行有%[1]s"},
	{"has a name twice: the second is at %s", "有重复的名称：第二处在%s"},
	{"has a second YAML document from line %d on, and only one would count",
		"从第 %d 行起是第二个 YAML 文档，只有一个会生效"},
	{"indent with spaces: YAML takes no tabs", "请用空格缩进，YAML 不接受制表符"},
	{"is neither JSON nor YAML", "既不是 JSON，也不是 YAML"},
	{"is neither JSON nor YAML: wrong at %s", "既不是 JSON，也不是 YAML：错误在%s"},
	{"line %d, column %d", "第 %d 行第 %d 列"},
	{"put all apps into one document, without --- between them", "请把所有应用写在同一个文档里，中间不要有 ---"},
	{"put it in quotes if it is a text, such as an id", "如果是文本（如 ID），请加引号"},
	{"remove it, and write a text in quotes", "请去掉它，文本请加引号"},
	{"remove one of the two, or give it another name", "请去掉其中一个，或给它换个名称"},

	// internal/quote/quote.go
	{"a text of %d characters", "长度为 %d 个字符的文本"},

	// internal/ratelimit/rate.go
	{"has the span %s, out of range", "时长 %s 超出范围"},
	{"has the span %s, which is none", "时长 %s 无法识别"},
	{"is %s requests, above the maximum of %d", "为 %s 次请求，超过最大值 %d"},
	{"is %s, not a rate", "为 %s，不是限流的写法"},
	{"is 0 requests, which would refuse everybody", "为 0 次请求，会拒绝所有人"},
	{"use 1s to 24h", "请用 1s～24h"},
	{"use a number of requests a minute, such as 300; or a number and a span, such as 100/10s; or off for no " +
		"limit",
		"请用每分钟的请求数，如 300；或“次数/时长”，如 100/10s；或用 off 表示不限"},
	{"use off for no limit, or a smaller number", "不限请用 off，否则用小一些的数字"},
	{"use off for no limit, or at least 1", "不限请用 off，否则至少为 1"},
	{"use whole seconds, minutes or hours: 10s, 5m, 1h", "请用整数的秒、分或小时，如 10s、5m、1h"},

	// internal/redis/url.go
	{"a password stands behind a colon: redis://:password@host", "密码写在冒号之后：redis://:password@host"},
	{"does not begin with redis://, rediss:// or unix://", "不是以 redis://、rediss:// 或 unix:// 开头"},
	{"has a database that is not a number", "数据库编号不是数字"},
	{"has a database, and a cluster has none", "写了数据库编号，而集群没有数据库"},
	{"has a user and no password", "有用户名但没有密码"},
	{"has options behind a question mark", "有以问号开头的选项"},
	{"is empty", "为空"},
	{"is not a URL", "不是网址"},
	{"leave it out, or write redis://host:6379/0", "请去掉，或写成 redis://host:6379/0"},
	{"leave them out: timeouts and connections are this program's business, certificates are always verified, " +
		"and the database stands behind a slash: redis://host/1",
		"请去掉：超时和连接数由本程序管理，证书一律验证，数据库编号写在斜杠之后，如 redis://host/1"},
	{"names no host", "缺少主机"},
	{"names no primary", "缺少主节点的名称"},
	{"names no socket", "缺少 Unix 套接字的路径"},
	{"the name that Sentinel has for the primary stands behind a slash: " +
		"redis+sentinel://:password@host1:26379,host2:26379/mymaster",
		"Sentinel 中主节点的名称写在斜杠之后：redis+sentinel://:password@host1:26379,host2:26379/mymaster"},
	{"use redis+cluster://:password@host1:6379,host2:6379, or rediss+cluster:// for TLS",
		"请用 redis+cluster://:password@host1:6379,host2:6379，TLS 用 rediss+cluster://"},
	{"use redis://:password@host:6379, rediss://:password@host:6379 for TLS, or unix:///path/to/socket",
		"请用 redis://:password@host:6379，TLS 用 rediss://:password@host:6379，也可用 unix:///path/to/socket"},
	{"use redis://:password@host:6379, rediss://:password@host:6379 for TLS, or unix:///path/to/socket, and " +
		"write characters of the password that mean something in a URL as %%XX: / is %%2F, # is %%23, ? is %%3F, " +
		"@ is %%40, %% is %%25",
		"请用 redis://:password@host:6379，TLS 用 rediss://:password@host:6379，也可用 unix:///path/to/socket；密" +
			"码中的特殊字符要写成 %%XX：/ 写作 %%2F，# 写作 %%23，? 写作 %%3F，@ 写作 %%40，%% 写作 %%25"},
	{"write three slashes: unix:///path/to/socket", "请写三个斜杠：unix:///path/to/socket"},

	// internal/setting/nearmiss.go
	{"is not a setting", "不是配置项"},

	// internal/setting/reader.go
	{"%s (wrangler secret put %s)", "%s（wrangler secret put %s）"},
	{"%s is set too", "同时设置了 %s"},
	{"%s, or %s_FILE to the name of that file", "%s，或把 %s_FILE 设为该文件的路径"},
	{"holds what looks like a private key", "内容像是私钥"},
	{"holds what looks like a public key", "内容像是公钥"},
	{"is bound to something that is no text, such as a secret of a Secrets Store, or is a number of too many " +
		"digits",
		"绑定的不是文本（如 Secrets Store 中的机密），或是位数过多的数字"},
	{"is for Cloudflare Workers, and this is the native server", "只用于 Cloudflare Workers，而这是服务器版"},
	{"is ignored, because %s is set", "不生效，因为设置了 %s"},
	{"is not set", "未设置"},
	{"is not set, but %s is, which is not a setting", "未设置，但设置了 %s，它不是配置项"},
	{"is set without %s", "已设置，但没有设置 %s"},
	{"keep one of the two", "两者只保留一个"},
	{"name it in PRIVATE_KEY_FILE, and here the file with %s", "请把该文件填在 PRIVATE_KEY_FILE，这里填 %s 的文件"},
	{"no setting takes one: Coze keeps it, and lists its fingerprint, which is KID",
		"没有配置项需要公钥：公钥由扣子保存，其指纹就是 KID"},
	{"put the key into PRIVATE_KEY, and correct this one", "请把密钥填在 PRIVATE_KEY，并更正这一项"},
	{"remove it here", "请在这里去掉它"},
	{"remove it here; replicas share through REDIS_URL", "请在这里去掉它；各副本通过 REDIS_URL 共享"},
	{"rename %s to %s", "请把 %s 改名为 %s"},
	{"set it as text, in quotes, or with wrangler secret put %s; if it is no setting, give the binding " +
		"another name",
		"请设为文本（加引号），或用 wrangler secret put %s 设置；如果不是配置项，请给这个绑定换个名称"},
	{"the file it names holds what looks like a private key", "指定的文件内容像是私钥"},
	{"the file it names holds what looks like a public key", "指定的文件内容像是公钥"},
	{"the file it names is empty", "指定的文件为空"},
	{"this host cannot heed it: only the native server (coze-token serve) has a listener and files",
		"当前平台不支持：只有服务器版（coze-token serve）才监听端口、读取文件"},
	{"write the value of %s into it", "请把 %s 的值写入该文件"},

	// internal/setting/text.go
	{"save it as UTF-8, and name it again", "请另存为 UTF-8 后再用"},
	{"the file has a NUL byte in it: it is binary or damaged", "文件中有 NUL 字节：是二进制文件，或已损坏"},
	{"the file is UTF-16 that is cut off or damaged", "文件是 UTF-16 编码，但不完整或已损坏"},
	{"the file is not UTF-8: it is binary, or in an older encoding such as GBK",
		"文件不是 UTF-8 编码：是二进制文件，或用了 GBK 等旧编码"},

	// internal/setting/value.go
	{"%s: %s is %d", "%s：%s 即 %d"},
	{"a whole number", "整数"},
	{"a whole number of seconds", "整数秒"},
	{"check the path, and that the user the service runs as may read the file",
		"请检查路径，并确认运行服务的用户有权读取"},
	{"copy the id alone from Coze's console", "请从扣子控制台只复制 ID 本身"},
	{"copy the id alone from Coze's console, without quotes, brackets or spaces",
		"请从扣子控制台只复制 ID 本身，不带引号、括号和空格"},
	{"every user of this machine can read the file %s", "本机所有用户都能读取文件 %s"},
	{"has %s twice in one object, and only one of them would count", "同一对象中有两个 %s，只有一个会生效"},
	{"holds the content of a file, not its name", "填的是文件内容，不是文件名"},
	{"is %d bytes long, more than any id", "长 %d 字节，不像是 ID"},
	{"is %d, above the maximum of %d", "为 %d，超过最大值 %d"},
	{"is %d, below the minimum of %d", "为 %d，低于最小值 %d"},
	{"is %s, not %s", "为 %s，不是%s"},
	{"is %s, out of range", "为 %s，超出范围"},
	{"is %s, which has characters that no id has", "为 %s，含有 ID 中不会有的字符"},
	{"is %s, which is not one of its values", "为 %s，不是可用的值"},
	{"is a list with nothing in it", "是空列表"},
	{"is not %s", "不是%s"},
	{"is not valid JSON: wrong at byte %d of %d", "不是有效的 JSON：错误在第 %d 字节（共 %d 字节）"},
	{"its value begins with %s%s, which was left out", "值以 %s%s 开头，已略去"},
	{"its value stands in quotes, which were left out", "值带有引号，已略去"},
	{"let it belong to the user that the service runs as, and chmod 600",
		"请把文件属主改为运行服务的用户，并 chmod 600"},
	{"names a file, and this host has no files", "指定了文件，而当前平台没有文件系统"},
	{"put the content into %s, or name the file here", "请把内容填在 %s，或在这里填文件名"},
	{"put the value itself into %s", "请把值本身填在 %s"},
	{"remove that: the value alone belongs there", "请去掉这部分，只填值本身"},
	{"remove the quotes", "请去掉引号"},
	{"say what is in it, or remove it", "请填上内容，或去掉它"},
	{"the file %s cannot be read: %s", "文件 %s 无法读取：%s"},
	{"there is no file %s", "文件 %s 不存在"},
	{"use %s from %d to %d", "请用%s，范围 %d～%d"},
	{"use %s or %s", "请用 %s 或 %s"},
	{"write the content into a file, and name that here", "请把内容写入文件，在这里填文件名"},
	{"write the whole path: nothing replaces ~ here", "请写完整路径，这里不会展开 ~"},

	// oauth_file.go
	{"a member", "某个字段"},
	{"correct it there: a missing quote or comma, or one too many", "请在该处更正：缺少或多出引号、逗号"},
	{`create an OAuth app of the type JWT (服务类应用) in Coze's console and use its file, with ` +
		`"client_type": "jwt"`,
		`请在扣子控制台创建服务类应用（JWT），使用它的配置文件，其中应有 "client_type": "jwt"`},
	{"did you mean %s?", "是否想用 %s？"},
	{"is %s, and only an OAuth app of the type JWT can mint tokens by itself",
		"为 %s，只有服务类应用（JWT）才能自行换取令牌"},
	{"is not a JSON object", "不是 JSON 对象"},
	{"is not a member that is read", "是无法识别的字段"},
	{"is not a text", "不是字符串"},
	{"is not valid JSON: wrong at line %d, column %d", "不是有效的 JSON：错误在第 %d 行第 %d 列"},
	{"it is cut off: copy the whole file", "文件不完整，请复制整个文件"},
	{"remove it; settings beyond the app are environment variables", "请去掉它；应用之外的配置请用环境变量"},
	{"use the coze_oauth_config.json of Coze's console or samples", "请用扣子控制台或示例中的 coze_oauth_config.json"},
	{`use the coze_oauth_config.json of Coze's samples: {"client_type": "jwt", "client_id": …}`,
		`请用扣子示例中的 coze_oauth_config.json：{"client_type": "jwt", "client_id": …}`},
	{"write it in double quotes", "请加双引号"},
	{"write line ends inside a text as \\n: in JSON, private_key stands on one line",
		"文本中的换行请写成 \\n：在 JSON 中，private_key 要写在一行里"},

	// region.go
	{"append /api/permission/oauth2/token", "在末尾加上 /api/permission/oauth2/token"},
	{"append /api/permission/oauth2/token to the host alone", "只保留主机名，后面加上 /api/permission/oauth2/token"},
	{"behind a proxy, AUDIENCE stays that of Coze", "使用代理时，AUDIENCE 仍填扣子的域名"},
	{"has a fragment", "有片段（# 及其后的内容）"},
	{"has a path, and the audience is a bare host", "有路径，而这里只能填主机名"},
	{"has a path, and the token endpoint is not below it", "有路径，而令牌接口不在该路径下"},
	{"has a port, and the audience is a bare host", "有端口，而这里只能填主机名"},
	{"has a query", "有查询参数"},
	{"has a scheme, and the audience is a bare host", "有协议，而这里只能填主机名"},
	{"has a user name or password in it", "有用户名或密码"},
	{"has another path than Coze's token endpoints, which end in /token",
		"路径与扣子的令牌接口不同，扣子的以 /token 结尾"},
	{"has no path", "缺少路径"},
	{"has no scheme", "缺少协议"},
	{"has the scheme %s", "协议是 %s"},
	{"is %s, Coze's website rather than its API", "为 %s，这是扣子的网站，不是 API"},
	{"is %s, which is not a host name", "为 %s，不是主机名"},
	{"is %s; Coze documents api.coze.cn and api.coze.com only", "为 %s，而扣子文档中只有 api.coze.cn 和 api.coze.com"},
	{"is http to another machine, so anyone on the way could read the tokens",
		"用 http 访问另一台机器，令牌可能被中途窃取"},
	{"is no host of Coze's, so the region is taken to be cn", "不是扣子的域名，区域按 cn 处理"},
	{"is not a valid URL", "不是有效的网址"},
	{"is of coze.%s, and %s is of coze.%s: the two share neither apps nor keys",
		"属于 coze.%s，而 %s 属于 coze.%s：两个区域的应用和密钥互不相通"},
	{"is on Coze's website rather than its API", "是扣子的网站，不是 API"},
	{"is the whole token endpoint", "是完整的令牌接口"},
	{"keep COZE_REGION, set to the one in which the app was made, and remove AUDIENCE and TOKEN_ENDPOINT",
		"请只保留 COZE_REGION，设为应用所在的区域，并去掉 AUDIENCE 和 TOKEN_ENDPOINT"},
	{"put https:// in front of it", "请在前面加上 https://"},
	{"remove /api/permission/oauth2/token from it, or put it into TOKEN_ENDPOINT",
		"请去掉 /api/permission/oauth2/token，或填在 TOKEN_ENDPOINT"},
	{"remove the # and what follows it", "请去掉 # 及其后的内容"},
	{"remove the ? and what follows it", "请去掉 ? 及其后的内容"},
	{"remove what stands before the @: Coze is shown the signed JWT and nothing else",
		"请去掉 @ 之前的内容：发给扣子的凭证只有 JWT"},
	{"set COZE_REGION to the region of the app, cn or com", "请把 COZE_REGION 设为应用所在的区域：cn 或 com"},
	{"use https", "请用 https"},
	{"use https://%s", "请用 https://%s"},
	{"use https; http is for a sandbox on this machine only", "请用 https；http 只用于本机的沙箱"},
	{"use the bare host of Coze's API: api.coze.cn or api.coze.com",
		"请只填扣子 API 的主机名：api.coze.cn 或 api.coze.com"},
	{"write %s", "请写成 %s"},
	{"write a URL such as %s", "请写成网址，如 %s"},

	// settings.go
	{"is set without TRUSTED_PROXIES, and nobody would be believed",
		"已设置，但没有设置 TRUSTED_PROXIES，因此没有可信任的代理"},
	{"limits the key %s to %s, whose pages %s refuses", "把密钥 %s 限于 %s，而 %s 不允许该来源的网页"},
	{"limits the key %s to an app that there is not", "把密钥 %s 限于不存在的应用"},
	{"list that origin as well, or correct it", "请把该来源也加入列表，或更正"},
	{"name apps as APPS does, and the one of CLIENT_ID as /", "请用 APPS 中的名称，CLIENT_ID 对应的应用写作 /"},
	{"set TRUSTED_PROXIES to the addresses of the proxy that sends it",
		"请把 TRUSTED_PROXIES 设为发送该请求头的代理的地址"},

	// worker.go
	{"is %s, none of what it can be", "为 %s，不是可用的值"},
	{"use cache, off, or kv: and the name of a binding in wrangler.jsonc, such as kv:TOKENS",
		"请用 cache、off，或 kv: 加 wrangler.jsonc 中的绑定名称，如 kv:TOKENS"},
}
