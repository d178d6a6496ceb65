package cozetoken_test

import (
	"testing"

	cozetoken "coze-token"
)

func TestNearMiss(t *testing.T) {
	for wrong, right := range map[string]string{
		"TOKEN_DURATIONS":              "TOKEN_DURATION",
		"TOKEN_DURATON":                "TOKEN_DURATION",
		"TOKEN_DURATOIN":               "TOKEN_DURATION",
		"CLEINT_ID":                    "CLIENT_ID",
		"API_KYES":                     "API_KEYS",
		"PRIVTAE_KEY":                  "PRIVATE_KEY",
		"TOKENDURATION":                "TOKEN_DURATION",
		"token_duration":               "TOKEN_DURATION",
		"TOKEN_TTL":                    "TOKEN_DURATION",
		"PRIVATEKEY":                   "PRIVATE_KEY",
		"PRIVATE-KEY":                  "PRIVATE_KEY",
		"PRIVATE_KEYFILE":              "PRIVATE_KEY_FILE",
		"CLIENTID":                     "CLIENT_ID",
		"CLIENT_IDD":                   "CLIENT_ID",
		"kid":                          "KID",
		"COZE_KID":                     "KID",
		"COZE_CLIENT_ID":               "CLIENT_ID",
		"COZE_PRIVATE_KEY":             "PRIVATE_KEY",
		"COZE_TOKEN_ENDPOINT":          "TOKEN_ENDPOINT",
		"TOKEN_ENDPOIND":               "TOKEN_ENDPOINT",
		"AUDIANCE":                     "AUDIENCE",
		"COZE_REGIO":                   "COZE_REGION",
		"LOGLEVEL":                     "LOG_LEVEL",
		"COZE_JWT_OAUTH_CLIENTID":      "COZE_JWT_OAUTH_CLIENT_ID",
		"COZE_JWT_OAUTH_PUBLIC_KEY_I":  "COZE_JWT_OAUTH_PUBLIC_KEY_ID",
		"COZE_API_BASE_URL":            "COZE_API_BASE",
		"DEFAULT_SESSIONS":             "DEFAULT_SESSION",
		"UPSTREAM_TIMEOUTS":            "UPSTREAM_TIMEOUT",
		"COZE_JWT_OAUTH_PRIVATE_KEY_F": "COZE_JWT_OAUTH_PRIVATE_KEY",
	} {
		_, warnings := mustRead(t, with(wrong, "x"), native)
		checkWarnings(t, warnings, wrong+": is not a setting; did you mean "+right+"?")
	}
}

// A name of another spelling altogether is pointed out only while the setting is not set.
func TestOtherNames(t *testing.T) {
	_, warnings := mustRead(t, with("KEY_ID", "x", "PUBLIC_KEY_ID", "y"), native)
	checkWarnings(t, warnings)
	faults := faultsOf(t, with("KID", "-", "KEY_ID", "x", "PUBLIC_KEY_ID", "y"), native)
	checkFaults(t, faults, "KID: rename KEY_ID to KID")
	_, warnings, _ = cozetoken.Read(with("KID", "-", "KEY_ID", "x", "PUBLIC_KEY_ID", "y"), native)
	checkWarnings(t, warnings, "PUBLIC_KEY_ID: did you mean KID?")
}

// The variables of ordinary machines, containers, platforms and of other programs that use Coze are
// no misspelling.
func TestOrdinaryEnvironment(t *testing.T) {
	env := with()
	for _, name := range []string{
		"PATH", "HOME", "HOST", "HOSTNAME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TERM",
		"TZ", "PWD", "OLDPWD",
		"SHLVL", "EDITOR", "PAGER", "DISPLAY", "TMPDIR", "TEMP", "MAIL", "_", "KIND", "KIDS", "SCOPES", "MODE", "NAME",
		"DEBUG", "ENV", "REGION", "STAGE",
		"XDG_SESSION_ID", "XDG_RUNTIME_DIR", "XDG_SESSION_TYPE", "DBUS_SESSION_BUS_ADDRESS", "DESKTOP_SESSION",
		"SESSION_MANAGER",
		"SSH_AUTH_SOCK", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "GPG_AGENT_INFO", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"NODE_EXTRA_CA_CERTS",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "ALL_PROXY",
		"GOPATH", "GOROOT", "GOFLAGS", "GOMAXPROCS", "GOMEMLIMIT", "GODEBUG", "NODE_ENV", "NODE_OPTIONS", "NPM_TOKEN",
		"npm_config_scope", "JAVA_HOME", "PYTHONPATH",
		"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "INVOCATION_ID", "JOURNAL_STREAM", "MAINPID",
		"CREDENTIALS_DIRECTORY", "LOGS_DIRECTORY",
		"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ACCOUNT_ID",
		"AZURE_CLIENT_ID", "AZURE_TENANT_ID",
		"GOOGLE_CLIENT_ID", "GITHUB_TOKEN", "GITHUB_CLIENT_ID", "CI", "CF_ACCOUNT_ID", "CLOUDFLARE_ACCOUNT_ID",
		"CLOUDFLARE_API_TOKEN", "K_SERVICE", "K_REVISION",
		"KUBERNETES_PORT", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_PORT_443_TCP_PROTO",
		"POD_NAME", "POD_IP", "NODE_NAME",
		"DYNO", "FLY_REGION", "FLY_APP_NAME", "RAILWAY_ENVIRONMENT", "RENDER_SERVICE_ID", "VERCEL_REGION",
		"FC_FUNCTION_NAME", "TENCENTCLOUD_REGION",
		"PORT", "PORTS", "WEB_CONCURRENCY", "MAX_REQUESTS", "TIMEOUT", "DATABASE_URL", "REDIS_HOST", "REDIS_PORT",
		"SECRET_KEY", "SECRET_KEY_BASE", "JWT_SECRET", "API_KEY",
		"PUBLIC_KEY", "TENANT_ID", "SERVICE_ID", "APP_ID", "CLIENT_SECRET", "TOKEN", "ACCESS_TOKEN", "OPENAI_API_KEY",
		"LOG_DIR", "LOG_FILE", "RUST_LOG",
		"COZE_API_TOKEN", "COZE_WWW_BASE", "COZE_BOT_ID", "COZE_WORKSPACE_ID", "COZE_WORKFLOW_ID", "COZE_CONVERSATION_ID",
		"COZE_USER_ID", "COZE_SPACE_ID",
		"COZE_WEB_OAUTH_CLIENT_ID", "COZE_WEB_OAUTH_CLIENT_SECRET", "COZE_PKCE_OAUTH_CLIENT_ID",
		"COZE_DEVICE_OAUTH_CLIENT_ID", "COZE_ENV",
		"Path", "SystemRoot", "APPDATA", "ProgramFiles", "COMPUTERNAME", "USERPROFILE", "PROCESSOR_IDENTIFIER",
		"NUMBER_OF_PROCESSORS",
	} {
		if _, set := env[name]; !set {
			env[name] = "1"
		}
	}
	_, warnings := mustRead(t, env, native)
	checkWarnings(t, warnings)
}
