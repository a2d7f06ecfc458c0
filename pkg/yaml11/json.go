package yaml11

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Members that mark what JSON has no form for. A mapping that could be taken for
// one is written as typeMap.
const (
	typeBinary    = "!!binary"    // base64 text
	typeMap       = "!!map"       // an array of pairs of key and value
	typeTimestamp = "!!timestamp" // as the document has it
)

// JSON returns v, a value that Parse returned, as text for Python's json
// module, which also reads NaN and Infinity. What JSON has no form for is an
// object with one member: {"!!binary": "aGk="}, {"!!timestamp": "2020-01-01"},
// and {"!!map": [[1, "x"]]} for a mapping with a key that is no string.
func JSON(v any) []byte { return appendJSON(nil, v) }

func appendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case Mapping:
		if !hasPlainKeys(v) {
			return appendPairs(dst, v)
		}
		dst = append(dst, '{')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			key, _ := e.Key.(string) // hasPlainKeys says so
			dst = append(appendText(dst, key), ':')
			dst = appendJSON(dst, e.Value)
		}
		return append(dst, '}')
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, e)
		}
		return append(dst, ']')
	case string:
		return appendText(dst, v)
	case Timestamp:
		return appendTyped(dst, typeTimestamp, string(v))
	case []byte:
		return appendTyped(dst, typeBinary, base64.StdEncoding.EncodeToString(v))
	default:
		return append(dst, literal(v)...)
	}
}

// hasPlainKeys reports whether a JSON object says all about m.
func hasPlainKeys(m Mapping) bool {
	for _, e := range m {
		key, ok := e.Key.(string)
		if !ok || strings.HasPrefix(key, "!!") {
			return false
		}
	}
	return true
}

func appendPairs(dst []byte, m Mapping) []byte {
	dst = append(dst, `{"`+typeMap+`":[`...)
	for i, e := range m {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendJSON(append(dst, '['), e.Key), ',')
		dst = append(appendJSON(dst, e.Value), ']')
	}
	return append(dst, "]}"...)
}

func appendTyped(dst []byte, name, text string) []byte {
	dst = append(appendText(append(dst, '{'), name), ':')
	return append(appendText(dst, text), '}')
}

// literal returns a value that is neither text nor a container.
func literal(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case *big.Int:
		return v.String()
	case float64:
		return floatText(v)
	default:
		return fmt.Sprint(v)
	}
}

func floatText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case f == math.Trunc(f) && math.Abs(f) < 1e16:
		return strconv.FormatFloat(f, 'f', 1, 64)
	default:
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
}

// appendText appends s as a JSON string.
func appendText(dst []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil { // cannot happen: every string has a form
		return append(dst, `""`...)
	}
	return append(dst, text...)
}
