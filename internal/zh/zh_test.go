package zh_test

import (
	"testing"

	"coze-token/internal/zh"
)

func TestCheck(t *testing.T) {
	for text, want := range map[string]int{
		"令牌会缓存，设置 `KID` 后用 [API](x.md#会话名) 换取（见 **鉴权方式**）。": 0,
		"**备案（ICP）。** 域名须先备案，再用 `a`。":                       0,
		"```sh\necho 中文a, b\n```": 0,
		"```sh\n# 令牌会记住\n```":     1,
		"会话名":                     1,
		"令牌, 会话":                  1,
		"令牌(会话)":                  1, // one fault for each rule and line
		"用`KID`":                  1,
		"用KID":                    1,
		"见[API](x)":               1,
		"这个%s的请求，共 %d 次":          0,
		"15分钟":                    1,
		"令牌 ，会话":                  1,
		"「令牌」":                    1,
		"选**“服务类应用”**。":           1,
		"**只要写了。**就":              1,
		"**一**，**“二”**":           0,
		"**一**二**（三）**":           1,
	} {
		if got := zh.Check("page", text); len(got) != want {
			t.Errorf("%q: %q, want %d faults", text, got, want)
		}
	}
}
