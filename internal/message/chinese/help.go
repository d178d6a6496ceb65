package chinese

// Usage is what "coze-token help" says. Its verb is the list of commands.
const Usage = `coze-token 是扣子（Coze）动态令牌服务：保管扣子 OAuth 应用的私钥，为每个终端用户发放短期访问令牌。

用法：
  coze-token 命令 [参数]

命令：
%s  help       显示本页；加上命令名称，显示该命令的用法

第一次使用请运行 "coze-token demo"：无需账号，无需配置。

配置用环境变量。必填三项：CLIENT_ID、KID 和 PRIVATE_KEY（或 PRIVATE_KEY_FILE）。
"coze-token check" 会指出缺什么、错在哪、怎么办。全部配置见 docs/settings.zh-CN.md。

LC_ALL、LC_MESSAGES 或 LANG 为中文（zh_CN）时，提示信息用中文，否则用英文。
任何命令都可加 --lang zh 或 --lang en 指定语言。日志一律用英文。

退出码：
  0    成功
  1    失败，不改动的话，重试也会失败
  2    命令行或配置有误
  3    扣子无法访问、繁忙或没有响应，重试可能成功
  130  未完成就被中断（Ctrl-C）
`

const config = `  --config FILE      读取 coze_oauth_config.json，即扣子官方示例所用的配置文件。环境变量优先于文件
`

const app = `  --app NAME         使用 APPS 中的某个应用，而不是根路径 / 上的应用
`

// Help is the help of a command. That of sandbox has a verb, which is the list of faults.
func Help(command string) string {
	switch command {
	case "serve":
		return serve
	case "demo":
		return demo
	case "mint":
		return mint
	case "check":
		return check
	case "health":
		return health
	case "key":
		return key
	case "sandbox":
		return sandbox
	case "completion":
		return completion
	case "version":
		return version
	}
	return ""
}

const serve = `
用法：coze-token serve [--config FILE]

启动 HTTP 令牌服务，直到收到停止信号（SIGINT 或 SIGTERM，处理中的请求会完成）。
设置了 DRAIN_DELAY 时，收到信号后继续服务这么多秒，期间 /readyz 返回 503。

  POST /           获取令牌：{"access_token": "…", "expires_in": …, "token_type": "Bearer", …}
                   请求头 X-User-ID 指明令牌属于哪个终端用户
  POST /NAME       获取 APPS 中某个应用的令牌
  GET  /healthz    进程是否存活
  GET  /readyz     服务是否就绪
  GET  /client.js  供不用打包工具的网页使用的客户端

参数：
` + config + `
最重要的配置，都是环境变量：
  CLIENT_ID、KID、PRIVATE_KEY   扣子 OAuth 应用；也可用 PRIVATE_KEY_FILE 指定私钥文件
  COZE_REGION                   cn（默认）或 com
  API_KEYS、JWT_ISSUER、WECHAT_APP_ID、VISITOR_SECRET
                                谁能取令牌（全部方式见 docs/access.zh-CN.md）；都不设置，谁都能取
  ALLOWED_ORIGINS               允许哪些来源的网页请求
  LISTEN                        host:port，默认 127.0.0.1:8787，或 unix:/path；只设 PORT 则监听所有网卡
  LOG_FORMAT、LOG_LEVEL         auto、text 或 json；debug、info、warn 或 error

配置文件改动后会自动重新读取，收到 SIGHUP 时全部重新读取：密钥、应用、鉴权方式和 TLS 证书无需重启即可更换。
新配置有误时只记日志，一切照旧。SIGHUP 还会重新打开 AUDIT_FILE。

日志写到标准错误。退出码：0 正常停止，1 无法监听或服务出错，2 配置有误。
`

const demo = `
用法：coze-token demo [--listen HOST:PORT] [--once]

无需账号，体验整个服务：启动模拟扣子的沙箱，临时生成密钥对，在沙箱前面启动服务，通过 HTTP 取一个令牌并显示结果，
给出可以照抄的 curl 命令，以及一个网页的地址（两个用户和一个访客在其中与智能体对话），然后一直运行到停止为止。
不会访问外部网络，令牌只能访问这个沙箱，也不读取环境变量中的配置。

参数：
  --listen HOST:PORT 监听地址；不填为 127.0.0.1:8787，被占用时改用任一空闲端口
  --once             取得第一个令牌后结束

退出码：0 正常停止，1 无法监听或服务出错，2 命令行有误，130 取得第一个令牌之前被中断。
`

const mint = `
用法：coze-token mint [--session ID] [--duration SECONDS] [--json] [--app NAME] [--config FILE]

向扣子换取一个访问令牌，只把令牌输出到标准输出：

  curl -H "Authorization: Bearer $(coze-token mint)" https://api.coze.cn/v1/workspaces

参数：
  --session ID       令牌所属的终端用户，含义与请求头 X-User-ID 相同，SESSION_PREFIX 和 SESSION_HASH 同样生效。
                     不填则用 DEFAULT_SESSION，或不带会话；SESSION_REQUIRED 为 on 时必填
  --duration SECONDS 令牌的有效期，1～86399 秒；不填则用 TOKEN_DURATION
  --json             以 JSON 输出完整结果：access_token、expires_in（Unix 时间）、token_type、ttl（剩余秒数）
` + app + config + `
退出码：0 已输出令牌，1 扣子拒绝，2 命令行或配置有误，3 扣子无法访问、繁忙或没有响应，130 被中断。
`

const check = `
用法：coze-token check [--offline] [--app NAME] [--bot ID] [--config FILE]

逐项检查取得令牌所需的一切，每个应用、每个私钥都检查；每项一行，有问题的在下一行写明怎么办。检查的内容有：配置、
私钥、鉴权、到扣子的网络、本机时间、扣子是否发放令牌，以及（指定了智能体时）令牌能否访问该智能体。不会输出令牌。

参数：
  --offline          不发任何请求，只检查配置、私钥和鉴权
  --app NAME         只检查 APPS 中的这个应用
  --bot ID           检查令牌能否访问这个智能体，以及它是否已发布到 API 渠道
` + config + `
退出码：0 没有问题（可能有警告），1 有问题，2 命令行有误，130 被中断。
`

const health = `
用法：coze-token health [URL]

询问运行中的 coze-token 是否就绪，供没有 curl 的镜像做健康检查。不填 URL 时，询问当前环境的 LISTEN 或 PORT 所指的
服务，路径为 /readyz；URL 不带路径时，路径也是 /readyz：

  coze-token health
  coze-token health http://127.0.0.1:8787
  coze-token health https://token.example.com/healthz

一切正常时没有输出。

退出码：0 已就绪，1 未就绪或 3 秒内没有响应，2 命令行有误。
`

const key = `
用法：coze-token key [--name NAME]

为后端生成 API 密钥，后端凭它为自己的用户取令牌。输出两行：第一行是密钥，由后端保管，发送时写作
"Authorization: Bearer KEY" 或 "X-API-Key: KEY"；第二行是配置项 API_KEYS，其中只有密钥的哈希，可直接写进配置文件。
由哈希推不出密钥，请立即保存密钥。

参数：
  --name NAME        密钥在日志中的名称，默认为 "backend"

退出码：0 已输出密钥，2 命令行有误。
`

const sandbox = `
用法：coze-token sandbox [--listen HOST:PORT] [--fault FAULT]...

启动模拟扣子的沙箱，与扣子文档一样严格：验证每个 JWT，每个只接受一次。它把一个应用的配置（私钥刚刚生成）以
dotenv 格式输出到标准输出；把它们放进环境变量，"coze-token serve" 或 "coze-token mint" 就会使用这个沙箱：

  coze-token sandbox > sandbox.env                 在一个终端里；然后在另一个终端里：
  set -a; . ./sandbox.env; set +a
  coze-token mint --session user-1

参数：
  --listen HOST:PORT 监听地址；不填为 127.0.0.1:8788
  --fault FAULT      模拟故障，可多次使用。FAULT 是以下之一，可带选项：
%s
运行时可以查询和控制沙箱：GET /sandbox/exchanges、GET /sandbox/issued?token=TOKEN、
PUT /sandbox/faults（每行一个故障，空内容表示清除）。

退出码：0 正常停止，1 无法监听或服务出错，2 命令行有误。
`

const completion = `
用法：coze-token completion bash|zsh|fish

输出 shell 的补全脚本，可补全 coze-token 的命令和参数，说明文字用当前语言：

  bash   source <(coze-token completion bash)                        写进 ~/.bashrc
  zsh    source <(coze-token completion zsh)                         写进 ~/.zshrc，放在 compinit 之后
  fish   coze-token completion fish > ~/.config/fish/completions/coze-token.fish

退出码：0 已输出，2 命令行有误。
`

const version = `
用法：coze-token version

输出版本、Go 版本和平台。
`
