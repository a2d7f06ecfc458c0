package yaml11

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a document. Parsing takes time that grows with the square of the
// size, hence the small one.
const (
	MaxSize    = 256 << 10 // bytes
	maxNesting = 256       // levels of flow style, or of marks in a row
	maxIndent  = 1024      // columns before the first mark of a line
	maxCost    = 16 << 20  // of all values after aliases were followed, see cost
	cost       = 16        // of a value, beside the bytes of its text
)

// ErrTooLarge is the cause of a refusal for the size, the nesting or the
// expansion of a document.
var ErrTooLarge = errors.New("document is too large")

// Parse returns the value of the one document in text; an empty text, or one
// of comments only, is nil. Later entries of a mapping replace earlier ones of
// the same key and keep their place. It returns an error for a text that is
// not YAML, holds several documents, names an application's tag or is larger
// than the bounds of this package (ErrTooLarge).
func Parse(text []byte) (v any, err error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(text), MaxSize)
	}
	file, err := syntax(strings.TrimPrefix(string(text), "\ufeff"))
	if err != nil {
		return nil, err
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if _, directive := doc.Body.(*ast.DirectiveNode); directive || doc.Body == nil {
			continue
		}
		if body != nil {
			return nil, errors.New("more than one document")
		}
		body = doc.Body
	}
	c := converter{anchors: make(map[string]anchored)}
	return c.value(body)
}

// syntax parses text. The library's error shows an excerpt of the document,
// which does not belong in a log: only its first line is kept.
func syntax(text string) (*ast.File, error) {
	tokens := lexer.Tokenize(text)
	if err := checkNesting(tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return nil, errors.New(line)
	}
	return file, nil
}

// checkNesting refuses what would make the recursive parser too deep: open
// brackets, marks that nest without a scalar between them, and indentation.
func checkNesting(tokens token.Tokens) error {
	flow, marks, line := 0, 0, 0
	for _, t := range tokens {
		first := t.Position.Line != line
		line = t.Position.Line
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
			marks = 0
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			marks++
		case token.CommentType:
		default:
			marks = 0
		}
		if flow > maxNesting || marks > maxNesting || first && t.Position.Column > maxIndent {
			return fmt.Errorf("%w: line %d is nested too deeply", ErrTooLarge, line)
		}
	}
	return nil
}

// anchored is a value with a name, and what it costs.
type anchored struct {
	value any
	cost  int
}

type converter struct {
	anchors map[string]anchored
	spent   int
}

func (c *converter) spend(n int) error {
	c.spent += n
	if c.spent > maxCost {
		return fmt.Errorf("%w: its aliases expand too far", ErrTooLarge)
	}
	return nil
}

func (c *converter) value(n ast.Node) (any, error) {
	text, _ := scalarText(n)
	if err := c.spend(cost + len(text)); err != nil {
		return nil, err
	}
	switch n := n.(type) {
	case nil, *ast.CommentGroupNode:
		return nil, nil
	case *ast.MappingNode:
		return c.mapping(n.Values)
	case *ast.MappingValueNode:
		return c.mapping([]*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		return c.sequence(n.Values)
	case *ast.AnchorNode:
		return c.anchor(n)
	case *ast.AliasNode:
		return c.alias(n)
	case *ast.TagNode:
		return c.tagged(n)
	case *ast.MappingKeyNode:
		return c.value(n.Value)
	default:
		return scalar(n)
	}
}

func (c *converter) sequence(nodes []ast.Node) (any, error) {
	list := make([]any, 0, len(nodes))
	for _, n := range nodes {
		v, err := c.value(n)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// mapping converts entries; what << merges comes first and yields to the
// mapping's own entries, as in PyYAML.
func (c *converter) mapping(nodes []*ast.MappingValueNode) (any, error) {
	var merged, own builder
	for _, n := range nodes {
		key, err := c.key(n.Key)
		if err != nil {
			return nil, err
		}
		value, err := c.value(n.Value)
		if err != nil {
			return nil, err
		}
		if _, merge := n.Key.(*ast.MergeKeyNode); !merge {
			own.set(key, value)
			continue
		}
		if err := merged.merge(value); err != nil {
			return nil, fmt.Errorf("line %d: %w", line(n.Key), err)
		}
	}
	for _, e := range own.entries {
		merged.set(e.Key, e.Value)
	}
	return merged.entries, nil
}

func (c *converter) key(n ast.Node) (any, error) {
	if _, merge := n.(*ast.MergeKeyNode); merge {
		return "<<", nil
	}
	key, err := c.value(n)
	if err != nil {
		return nil, err
	}
	switch key.(type) {
	case Mapping, []any:
		return nil, fmt.Errorf("line %d: a key is a mapping or a sequence", line(n))
	default:
		return key, nil
	}
}

func (c *converter) anchor(n *ast.AnchorNode) (any, error) {
	before := c.spent
	v, err := c.value(n.Value)
	if err != nil {
		return nil, err
	}
	c.anchors[name(n.Name)] = anchored{value: v, cost: c.spent - before}
	return v, nil
}

func (c *converter) alias(n *ast.AliasNode) (any, error) {
	a, ok := c.anchors[name(n.Value)]
	if !ok {
		return nil, fmt.Errorf("line %d: unknown alias", line(n))
	}
	return a.value, c.spend(a.cost)
}

// tagged applies the tags of YAML's own repository; others would create
// objects of an application and are refused.
func (c *converter) tagged(n *ast.TagNode) (any, error) {
	v, err := c.value(n.Value)
	if err != nil {
		return nil, err
	}
	tag := n.Start.Value
	if long, ok := strings.CutPrefix(tag, "!<tag:yaml.org,2002:"); ok {
		tag = "!!" + strings.TrimSuffix(long, ">")
	}
	text, isScalar := scalarText(n.Value)
	switch tag {
	case "!!map", "!!seq", "!!omap", "!!pairs", "!!set":
		return v, nil
	case "!", "!!str":
		if isScalar {
			return text, nil
		}
	case "!!timestamp":
		if isScalar && timestampForm.MatchString(text) {
			return Timestamp(text), nil
		}
	case "!!binary":
		return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	case "!!null", "!!bool", "!!int", "!!float":
		if v := plain(text); isScalar && hasTag(v, tag) {
			return v, nil
		}
		if f, ok := plain(text).(int64); ok && tag == "!!float" {
			return float64(f), nil
		}
	default:
	}
	return nil, fmt.Errorf("line %d: tag %s does not fit its value", line(n), tag)
}

func name(n ast.Node) string {
	if n == nil || n.GetToken() == nil {
		return ""
	}
	return n.GetToken().Value
}

func line(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}
