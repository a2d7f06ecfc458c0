package yaml11

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
)

// JSON returns v, a value that Parse returned, as text for Python's json
// module, which also reads NaN and Infinity. Keys become strings the way
// Python's json writes them; binary values become base64 text.
func JSON(v any) []byte { return appendJSON(nil, v) }

func appendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case Mapping:
		dst = append(dst, '{')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendText(dst, keyText(e.Key)), ':')
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
	case []byte:
		return appendText(dst, base64.StdEncoding.EncodeToString(v))
	default:
		return append(dst, literal(v)...)
	}
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

func keyText(key any) string {
	switch k := key.(type) {
	case string:
		return k
	case []byte:
		return base64.StdEncoding.EncodeToString(k)
	default:
		return literal(k)
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
