package metrics

import (
	"bytes"
	"math"
	"strconv"
)

// Numbers from plainFrom up to plainTo are written without exponent.
const (
	plainFrom = 1e-3
	plainTo   = 1e7
)

// appendNumber appends v as Java prints it (MET §12.3): 1.0, 290371.129, 1.0E7.
// What is not finite is written as the exposition wants it; it never gets into
// a log line.
func appendNumber(dst []byte, v float64) []byte {
	size := math.Abs(v)
	switch {
	case math.IsNaN(v):
		return append(dst, "NaN"...)
	case math.IsInf(v, 1):
		return append(dst, "+Inf"...)
	case math.IsInf(v, -1):
		return append(dst, "-Inf"...)
	case size < plainTo && size >= 1 && v == math.Trunc(v):
		return append(strconv.AppendInt(dst, int64(v), 10), ".0"...) // most of them
	case size < plainTo && (size >= plainFrom || size == 0):
		from := len(dst)
		return appendPoint(strconv.AppendFloat(dst, v, 'f', -1, 64), from)
	default:
		return appendExponent(dst, v)
	}
}

// appendPoint appends ".0" to digits, from from, that have no point.
func appendPoint(dst []byte, from int) []byte {
	if bytes.IndexByte(dst[from:], '.') < 0 {
		dst = append(dst, ".0"...)
	}
	return dst
}

// appendExponent appends 1.5E-7 where Go writes 1.5e-07.
func appendExponent(dst []byte, v float64) []byte {
	from := len(dst)
	dst = strconv.AppendFloat(dst, v, 'e', -1, 64)
	mark := from + bytes.IndexByte(dst[from:], 'e')
	exponent, _ := strconv.Atoi(string(dst[mark+1:])) // strconv wrote it
	dst = append(appendPoint(dst[:mark], from), 'E')
	return strconv.AppendInt(dst, int64(exponent), 10)
}
