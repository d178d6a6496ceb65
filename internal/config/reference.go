package config

import (
	"fmt"
	"strings"
)

// A Language is one that the reference is written in.
type Language string

// The languages of the reference.
const (
	English Language = "en"
	Chinese Language = "zh-CN"
)

// words are what the reference says beyond the table's own texts.
var words = map[Language]struct {
	head, required, none, secret, file, native, edge, fallback, list, stop, space string // secret has a %s for the name
}{
	English: {
		head:     "| Variable | Default | Meaning |",
		required: "**required**", none: "not set",
		secret: "Secret; may stand in a file instead, which %s names.", file: " (names a file)",
		native: "Native server only.", edge: "Cloudflare Workers only.", fallback: "Otherwise read from ", list: ", ", stop: ".", space: " ",
	},
	Chinese: {
		head:     "| 变量 | 默认值 | 说明 |",
		required: "**必填**", none: "无",
		secret: "敏感信息，也可以从文件读取：用 %s 指定文件路径。", file: "（填文件路径）",
		native: "仅用于原生服务器。", edge: "仅用于 Cloudflare Workers。", fallback: "未设置时读取 ", list: "、", stop: "。",
	},
}

// Reference is [Table] as Markdown tables, one for each group: what stands between the markers of docs/settings.md.
func Reference(language Language) string {
	w := words[language]
	var b strings.Builder
	var group Group
	for i := range Table {
		s := &Table[i]
		text, heading := s.English, s.Group.English
		if language == Chinese {
			text, heading = s.Chinese, s.Group.Chinese
		}
		if s.Group != group {
			group = s.Group
			b.WriteString("\n### " + heading + "\n\n" + w.head + "\n|---|---|---|\n")
		}
		value := w.none
		switch {
		case s.Required:
			value = w.required
		case s.Default != "":
			value = code(s.Default)
		}
		if s.Secret {
			text += w.space + fmt.Sprintf(w.secret, code(s.Name+"_FILE"))
		}
		if len(s.Fallbacks) > 0 {
			names := make([]string, len(s.Fallbacks))
			for i, fallback := range s.Fallbacks {
				names[i] = code(fallback.Name)
				if fallback.File {
					names[i] += w.file
				}
			}
			text += w.space + w.fallback + strings.Join(names, w.list) + w.stop
		}
		if s.Edge {
			text += w.space + w.edge
		}
		if s.Native {
			text += w.space + w.native
		}
		b.WriteString("| " + code(s.Name) + " | " + value + " | " + text + " |\n")
	}
	return b.String()
}

func code(text string) string { return "`" + text + "`" }
