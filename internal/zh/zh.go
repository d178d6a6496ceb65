// Package zh checks Chinese text: the project's words, and typography. It is for tests, of the pages
// and of the program's messages.
package zh

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

type rule struct {
	right string
	wrong *regexp.Regexp
}

func is(right, wrong string) rule { return rule{right, regexp.MustCompile(wrong)} }

// words are the project's words for things that had other words, or nearly have. Those of Coze's
// console stay as they are there: 智能体, 访问令牌, OAuth 应用, 服务类应用, 渠道应用, 公钥指纹, 权限, 空间.
var words = []rule{
	is("网页（page）；控制台的写“页”", `页面`),
	is("访客（visitor）", `访问者`),
	is("凭证（credential）；请求头里发给访客、微信用户的是票据（ticket）", `凭据`),
	is("会话标识（session_name）", `会话名`),
	is("来源（origin）", `(其他|允许的|网页的|列出的|该|与)源([^码代头文]|$)`),
	is("OAuth 应用的 ID（client id）", `应用 ID`),
	is("多个 OAuth 应用（several apps）", `多个应用`),
	is("缓存（remember）", `(令牌|失败)[都也会已被]*记住|记住的?(令牌|失败)|(没有|已|被)记住`),
	is("缓存条目（grant）", `个授权|授权数`),
	is("敏感信息（secret），在 Workers 上是机密（Secret）", `敏感值|机密值|（secret）|和 secret`),
	is("密钥对、私钥、公钥（key），量词用“个”", `[一二两三几这那前后下]把[密公私]?钥?`),
	is("鉴权方式（ways of access）", `访问模式|谁可以请求`),
	is("免鉴权（open access）", `开放模式|开放访问`),
	is("限流（rate limit）；“额度”只指扣子的", `频率限制|请求频率|限制频率`),
	is("换取次数上限（MINT_BUDGET）", `预算`),
	is("信任（trust）、跳过（walk past）", `采信|越过`),
	is("身份提供方（identity provider）", `登录提供方`),
	is("服务器版（native server），与 Worker 版对应", `原生服务|原生程序`),
	is("测试对象（contender）", `参赛者`),
	is("JWT（assertion）", `断言`),
	is("isolate", `隔离环境`),
	is("goroutine", `协程`),
	is("调用方（caller）", `调用者`),
	is("换新（renew）", `续换`),
}

// typography is what a regular expression can see of it, in lines without code.
var typography = []rule{
	is("全角标点", `\p{Han}[,;:?!()]|[()]\p{Han}|\p{Han}\.(\p{Han}|\s|$)`),
	is("全角标点两侧没有空格", "[\\p{Han}\\w）`] [，。；：？！、（）]|[，。；：？！、（）] [\\p{Han}\\w“]"),
	is("引号“”", `[「」『』]|"\p{Han}|\p{Han}"`),
}

var (
	spacing = is("中文与字母、数字、代码之间空一格", `\p{Han}\w|\w\p{Han}`)
	code    = regexp.MustCompile("`+[^`]*`+|<[^>]*>|https?://[\\w/.-]+")
	target  = regexp.MustCompile(`\]\([^)]*\)`)
	verb    = regexp.MustCompile(`%[+#]?[a-zA-Z]`) // of package fmt: what it writes may be Chinese
	marks   = strings.NewReplacer("*", "", "[", "", "]", "")
)

// Check returns what is wrong with a Chinese text, which may be Markdown. Each fault has the name, the
// line, what stands there, and what is right. In fenced code only words are looked at.
func Check(name, text string) []string {
	var faults []string
	n, fenced := 0, false
	for line := range strings.Lines(text) {
		n++
		fault := func(found, right string) {
			if found != "" {
				faults = append(faults, fmt.Sprintf("%s:%d: %q → %s", name, n, found, right))
			}
		}
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		line = target.ReplaceAllString(line, "]")
		prose := code.ReplaceAllString(line, "`")
		for _, r := range words {
			fault(r.wrong.FindString(prose), r.right)
		}
		if fenced {
			continue
		}
		for _, r := range typography {
			fault(r.wrong.FindString(prose), r.right)
		}
		plain := verb.ReplaceAllString(marks.Replace(code.ReplaceAllString(line, "x")), "")
		fault(spacing.wrong.FindString(plain), spacing.right)
		fault(notBold(prose), "** 原样显示：标点移到粗体之外，或在旁边加空格")
	}
	return faults
}

// notBold returns the place where ** shows as it is: Markdown takes it for neither the beginning nor
// the end of bold text where it stands between a letter and a punctuation mark, on the wrong sides.
func notBold(line string) string {
	parts := strings.Split(line, "**")
	for i := 1; i < len(parts); i++ {
		before, _ := utf8.DecodeLastRuneInString(parts[i-1])
		after, _ := utf8.DecodeRuneInString(parts[i])
		if i%2 == 0 {
			before, after = after, before
		}
		if unicode.IsLetter(before) && !unicode.IsLetter(after) && !unicode.IsDigit(after) && !unicode.IsSpace(after) {
			return parts[i-1] + "**" + parts[i]
		}
	}
	return ""
}
