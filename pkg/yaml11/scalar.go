package yaml11

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// The plain scalars of YAML 1.1, as PyYAML resolves them.
var (
	intForm = regexp.MustCompile(`^[-+]?(0b[0-1_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*(:[0-5]?[0-9])+)$`)

	floatForm = regexp.MustCompile(`^([-+]?([0-9][0-9_]*)\.[0-9_]*([eE][-+][0-9]+)?` +
		`|\.[0-9][0-9_]*([eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*)$`)

	timestampForm = regexp.MustCompile(`^([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)` +
		`[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)?([ \t]*(Z|[-+][0-9]{1,2}(:[0-9]{2})?))?)$`)
)

// Timestamp is a date, or a date with a time, as the document has it. Its form
// is checked, not that there is such a day.
type Timestamp string

// scalar returns the value of a scalar node.
func scalar(n ast.Node) (any, error) {
	text, ok := scalarText(n)
	if !ok {
		return nil, fmt.Errorf("line %d: unexpected %s", line(n), n.Type())
	}
	if isPlain(n) {
		return plain(text), nil
	}
	return text, nil
}

// scalarText returns the text of a scalar node as it was written.
func scalarText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case nil:
		return "", true
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.NullNode:
		if n.Token.Type == token.ImplicitNullType {
			return "", true
		}
		return n.Token.Value, true
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode, *ast.MergeKeyNode:
		return n.GetToken().Value, true
	default:
		return "", false
	}
}

// isPlain reports whether a scalar node was written without quotes.
func isPlain(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Token.Type != token.SingleQuoteType && n.Token.Type != token.DoubleQuoteType
	case *ast.LiteralNode:
		return false
	default:
		return true
	}
}

// plain returns the meaning of a plain scalar.
func plain(text string) any {
	switch text {
	case "", "~", "null", "Null", "NULL":
		return nil
	case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON":
		return true
	case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF":
		return false
	case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF":
		return math.Inf(1)
	case "-.inf", "-.Inf", "-.INF":
		return math.Inf(-1)
	case ".nan", ".NaN", ".NAN":
		return math.NaN()
	}
	switch {
	case intForm.MatchString(text):
		if v, ok := integer(text); ok {
			return v
		}
	case floatForm.MatchString(text):
		if v, ok := float(text); ok {
			return v
		}
	case timestampForm.MatchString(text):
		return Timestamp(text)
	}
	return text
}

// hasTag reports whether v is what the tag, of a scalar, promises.
func hasTag(v any, tag string) bool {
	switch v.(type) {
	case nil:
		return tag == "!!null"
	case bool:
		return tag == "!!bool"
	case int64, *big.Int:
		return tag == "!!int"
	case float64:
		return tag == "!!float"
	default:
		return false
	}
}

// integer reads the form that intForm admits.
func integer(text string) (any, bool) {
	digits := strings.ReplaceAll(text, "_", "")
	sign := ""
	if digits[0] == '-' || digits[0] == '+' {
		sign, digits = strings.TrimPrefix(digits[:1], "+"), digits[1:]
	}
	n := new(big.Int)
	ok := true
	switch {
	case strings.Contains(digits, ":"):
		for part := range strings.SplitSeq(digits, ":") {
			v, err := strconv.ParseUint(part, 10, 64)
			ok = ok && err == nil
			n.Add(n.Mul(n, big.NewInt(60)), new(big.Int).SetUint64(v))
		}
	case strings.HasPrefix(digits, "0b"):
		_, ok = n.SetString(digits[2:], 2)
	case strings.HasPrefix(digits, "0x"):
		_, ok = n.SetString(digits[2:], 16)
	case strings.HasPrefix(digits, "0"):
		_, ok = n.SetString(digits, 8)
	default:
		_, ok = n.SetString(digits, 10)
	}
	if sign == "-" {
		n.Neg(n)
	}
	if n.IsInt64() {
		return n.Int64(), ok
	}
	return n, ok
}

// float reads the form that floatForm admits.
func float(text string) (any, bool) {
	digits := strings.ReplaceAll(text, "_", "")
	if !strings.Contains(digits, ":") {
		v, err := strconv.ParseFloat(digits, 64)
		return v, err == nil
	}
	unsigned := strings.TrimLeft(digits, "+-")
	sum := 0.0
	for part := range strings.SplitSeq(unsigned, ":") {
		v, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return nil, false
		}
		sum = sum*60 + v
	}
	if digits[0] == '-' {
		sum = -sum
	}
	return sum, true
}
