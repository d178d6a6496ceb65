//go:build !wasip1

package native

import (
	"errors"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"coze-token/internal/fault"
	"coze-token/internal/message"
)

// YAMLToJSON turns one document of YAML into JSON. What would change on the way, or be lost, is
// refused: a second document, a number that is not written in plain digits, a tag. The error is a
// [fault.Fault] that says where, and quotes nothing of the text.
func YAMLToJSON(text []byte) ([]byte, error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, yamlFault(err)
	}
	documents := 0
	for _, d := range file.Docs {
		if _, directive := d.Body.(*ast.DirectiveNode); directive || d.Body == nil {
			continue
		}
		if documents++; documents > 1 {
			return nil, fault.New("has a second YAML document from line %d on, and only one would count",
				"put all apps into one document, without --- between them", d.Body.GetToken().Position.Line)
		}
		var lossy lossyNodes
		ast.Walk(&lossy, d.Body)
		if lossy.found != nil {
			return nil, *lossy.found
		}
	}
	converted, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, yamlFault(err)
	}
	return converted, nil
}

// yamlFault says where an error is. The library's own words quote the text.
func yamlFault(err error) error {
	at, ok := errors.AsType[yaml.Error](err)
	if !ok || at.GetToken() == nil {
		return fault.New("is neither JSON nor YAML", "correct it")
	}
	position := at.GetToken().Position
	where := message.New("line %d, column %d", position.Line, position.Column)
	if _, twice := errors.AsType[*yaml.DuplicateKeyError](err); twice ||
		strings.Contains(at.GetMessage(), "already defined") {
		return fault.New("has a name twice: the second is at %s", "remove one of the two, or give it another name", where)
	}
	remedy := message.Format("correct it there: a colon, a quote or an indentation is wrong")
	if strings.Contains(at.GetMessage(), "\t") || strings.Contains(at.GetMessage(), "tab") {
		remedy = "indent with spaces: YAML takes no tabs"
	}
	return fault.New("is neither JSON nor YAML: wrong at %s", remedy, where)
}

// lossyNodes finds the first value that JSON would not have as it is written.
type lossyNodes struct{ found *fault.Fault }

// Visit implements [ast.Visitor].
func (l *lossyNodes) Visit(node ast.Node) ast.Visitor {
	report := func(problem, remedy message.Format) {
		f := fault.New("has %s in line %d", remedy, problem, node.GetToken().Position.Line)
		l.found = &f
	}
	switch n := node.(type) {
	case *ast.TagNode:
		report("a tag (!)", "remove it, and write a text in quotes")
	case *ast.IntegerNode:
		digits := strings.TrimPrefix(n.Token.Value, "-")
		if strings.Trim(digits, "0123456789") != "" || len(digits) > 1 && digits[0] == '0' {
			report("a number that is not written in plain digits", "put it in quotes if it is a text, such as an id")
		}
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		report("a number with a fraction", "put it in quotes if it is a text, such as an id")
	}
	if l.found != nil {
		return nil
	}
	return l
}
